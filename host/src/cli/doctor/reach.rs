//! Whether there is an HTTP server at the base URL, before anybody asks it for
//! anything: the same dialling as for chats, without a key.
//!
//! The plugin is told a code; here the transport's own error says which address
//! refused, what a certificate lacked, and which half of a connection stood.
//! Where the scheme may be the wrong one, the other one is tried.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use provider_host::Wiring;
use provider_host::egress::{NetworkTransport, Timing, Transport as _, TransportError};
use provider_host::policy::{Grant, Origin};

use super::Setup;
use super::report::{Fault, Report};
use crate::cli::amount;

/// How long a connection, and then an answer to the smallest of requests, is
/// waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Looks for the server; false if there is none.
pub(super) async fn check(setup: &Setup, report: &mut Report) -> io::Result<bool> {
    const CHECK: &str = "connection";
    let base = &setup.wired.resolved.base_url;
    let root = base.trim_end_matches('/').trim_end_matches("/v1");
    let start = Instant::now();
    let error = match get(&setup.wired, &format!("{root}/version")).await {
        Ok(_) => {
            let took = amount::seconds(start.elapsed());
            report.ok(CHECK, &format!("an HTTP server answered in {took}"))?;
            return Ok(true);
        }
        Err(error) => error,
    };
    let mut text = error.to_string();
    if let Ok(origin) = setup.wired.origin()
        && !text.contains(origin.host_text())
    {
        text = format!(
            "{}://{}: {text}",
            origin.scheme().as_str(),
            origin.authority()
        );
    }
    if let Some(other) = other_scheme(&setup.wired, &error).await {
        text.push_str(&format!(
            "; a server answers at {other}: set {} to that",
            setup.path("baseUrl")
        ));
    } else if let Some(advice) = error.advice() {
        text.push_str("; ");
        text.push_str(advice);
    }
    report.failed(CHECK, Fault::Server, &text)?;
    Ok(false)
}

/// The base URL with the other scheme, if the error may come from the wrong one
/// and a server speaks that there.
async fn other_scheme(wired: &Wiring, error: &TransportError) -> Option<String> {
    let base = &wired.resolved.base_url;
    let other = match error {
        TransportError::Tls { .. } | TransportError::TlsTimeout { .. } => {
            format!("http{}", base.strip_prefix("https")?)
        }
        TransportError::Protocol(_) | TransportError::Closed(_) => {
            format!("https{}", base.strip_prefix("http")?)
        }
        _ => return None,
    };
    match at(wired, &other, &other).await {
        // A certificate that is not trusted is one: TLS is spoken there.
        Ok(_) | Err(TransportError::Certificate { .. }) => Some(other),
        Err(_) => None,
    }
}

/// Whether there is an API at another base URL of the same origin: it answers,
/// or asks for a key.
pub(super) async fn is_api(wired: &Wiring, base: &str) -> bool {
    let answer = get(wired, &format!("{}/models", base.trim_end_matches('/'))).await;
    matches!(answer, Ok(200 | 401 | 403))
}

/// The status of an answer, within the grant of the provider.
async fn get(wired: &Wiring, url: &str) -> Result<u16, TransportError> {
    at(wired, &wired.resolved.base_url, url).await
}

async fn at(wired: &Wiring, base: &str, url: &str) -> Result<u16, TransportError> {
    let unusable = |why: String| TransportError::Configuration(why);
    let origin = Origin::parse(base).map_err(|error| unusable(error.to_string()))?;
    // No secrets: nothing is sent but the request line and the host.
    let mut grant = Grant::new(origin).with_private_network(wired.resolved.allow_private);
    let resolved = &wired.resolved;
    grant.ca_pem = resolved.ca_pem.as_deref().map(Vec::from);
    grant.server_name.clone_from(&resolved.server_name);
    grant.proxy.clone_from(&resolved.proxy);
    // It is for the configured origin, and for no other that is looked for.
    if wired.origin().is_ok_and(|origin| origin == grant.origin) {
        grant.client_identity.clone_from(&resolved.client_identity);
    }
    let transport = NetworkTransport::new(&grant)?;
    let request = http::Request::get(url)
        .body(Bytes::new())
        .map_err(|error| unusable(error.to_string()))?;
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    let timing = Timing::new(PATIENCE, PATIENCE, deadline);
    let response = transport.send(request, timing).await?;
    Ok(response.status().as_u16())
}
