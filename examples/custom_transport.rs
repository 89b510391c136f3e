//! A transport of one's own between the policy and the network: here one that tells what passes.
//!
//! What a transport gets was judged by the grant, and has the secrets in it, in header values that are marked as sensitive.
//!
//! ```sh
//! cargo run -p provider-host --example custom_transport
//! ```

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use provider_host::egress::{Exchange, NetworkTransport, Timing, Transport};
use provider_host::mock::{Mock, Options};
use provider_host::types::ChatRequest;
use provider_host::{Engine, EngineOptions, Plugin, Provider};

/// Tells each exchange on stdout, and leaves the work to another transport.
struct Telling<T>(T);

impl<T: Transport> Transport for Telling<T> {
    fn send(&self, request: http::Request<Bytes>, timing: Timing) -> Exchange<'_> {
        println!("→ {} {}", request.method(), request.uri());
        for (name, value) in request.headers() {
            // `Debug` writes `Sensitive` for a value that holds a secret.
            println!("  {name}: {value:?}");
        }
        let began = Instant::now();
        Box::pin(async move {
            let answer = self.0.send(request, timing).await;
            match &answer {
                Ok(response) => println!("← {} after {:?}", response.status(), began.elapsed()),
                Err(error) => println!("← {error}"),
            }
            answer
        })
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mock = Mock::start(Options::default()).await?;
    let base_url = std::env::var("VLLM_BASE_URL").unwrap_or_else(|_| mock.base_url());
    let model = std::env::var("VLLM_MODEL").unwrap_or_else(|_| "mock-model".to_owned());

    let engine = Engine::new(EngineOptions::default())?;
    let plugin = Plugin::embedded(&engine)?;
    let options = Provider::builder(&plugin)
        .base_url(base_url)
        .api_key("a key that is not shown")
        .options()?;
    let transport = Telling(NetworkTransport::new(&options.grant)?);
    let provider = Provider::with_transport(&plugin, options, Arc::new(transport));

    let model = provider.resolve_model(&model).await?;
    let chat = provider
        .chat(&model, &ChatRequest::user("Say hello."))
        .await?;
    println!("{}", chat.collect().await?.text);
    Ok(())
}
