//! A [`TransportError`] in a form that can be written down and read again.
//!
//! The error itself has no such form on purpose: its variants grow with the transport, and a file has to be read by later
//! versions.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::redaction::Redaction;
use crate::egress::{ProxyFailure, ProxyFault, TransportError};
use crate::policy::{AddressClass, Prohibited, Reach};

/// What stands in the file. Fields that a kind does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    /// The variant's name in kebab-case; `other` for those that no transport gives.
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Class of the address, and what was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    class: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alert: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fields: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The classes and reaches by their names in a file.
const CLASSES: [(&str, AddressClass); 9] = [
    ("public", AddressClass::Public),
    ("loopback", AddressClass::Loopback),
    ("private", AddressClass::Private),
    ("link-local", AddressClass::LinkLocal),
    ("metadata", AddressClass::Metadata),
    ("unspecified", AddressClass::Unspecified),
    ("multicast", AddressClass::Multicast),
    ("broadcast", AddressClass::Broadcast),
    ("reserved", AddressClass::Reserved),
];
const REACHES: [(&str, Reach); 3] = [
    ("loopback", Reach::Loopback),
    ("private", Reach::Private),
    ("public", Reach::Public),
];

/// The failures of a proxy by their names in a file.
const PROXY_FAULTS: [(&str, ProxyFault); 9] = [
    ("proxy-unreachable", ProxyFault::Unreachable),
    ("proxy-connect-timeout", ProxyFault::ConnectTimeout),
    ("proxy-silent", ProxyFault::Silent),
    ("proxy-closed", ProxyFault::Closed),
    ("proxy-protocol", ProxyFault::Protocol),
    ("proxy-wants-credentials", ProxyFault::CredentialsMissing),
    ("proxy-refused-credentials", ProxyFault::CredentialsRefused),
    ("proxy-forbidden", ProxyFault::Forbidden),
    ("proxy-status", ProxyFault::Status),
];

impl Failure {
    fn of(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    fn address(mut self, address: impl ToString) -> Self {
        self.address = Some(address.to_string());
        self
    }

    fn after(mut self, after: Duration) -> Self {
        self.after_us = Some(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        self
    }

    fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    fn detail(mut self, detail: &str) -> Self {
        self.detail = Some(detail.to_owned());
        self
    }

    /// The failure without what must not be seen.
    pub(super) fn redacted(mut self, redaction: &Redaction) -> Self {
        for text in [&mut self.host, &mut self.detail].into_iter().flatten() {
            *text = redaction.text(text);
        }
        self
    }

    pub(super) fn new(error: &TransportError) -> Self {
        use TransportError as E;
        match error {
            E::TooManyRequests { limit } => Self::of("too-many-requests").limit(*limit as u64),
            E::ConnectionsUsedUp { limit } => Self::of("connections-used-up").limit(*limit as u64),
            E::FurtherConnectionsUsedUp { limit } => {
                Self::of("further-connections-used-up").limit(*limit as u64)
            }
            E::LookupsUsedUp { host, limit } => {
                Self::of("lookups-used-up").host(host).limit(*limit as u64)
            }
            E::OutOfResources { what, detail } => {
                Self::of("out-of-resources").host(what).detail(detail)
            }
            E::RequestBodyTooLarge { limit } => Self::of("request-body-too-large").limit(*limit),
            E::RequestBody(detail) => Self::of("request-body").detail(detail),
            E::Configuration(detail) => Self::of("configuration").detail(detail),
            E::Dns { host, detail } => Self::of("dns").host(host).detail(detail),
            E::DnsTimeout { host, after } => Self::of("dns-timeout").host(host).after(*after),
            E::Prohibited(one) => {
                let name =
                    |found: Option<&(&str, _)>| found.map_or("", |(name, _)| *name).to_owned();
                let class = CLASSES.iter().find(|(_, class)| *class == one.class);
                let class = class.map_or("", |(name, _)| *name).to_owned();
                let reach = name(REACHES.iter().find(|(_, reach)| *reach == one.reach));
                let mut failure = Self::of("prohibited").address(one.address);
                failure.class = Some((class, reach));
                failure
            }
            E::Refused { address } => Self::of("refused").address(address),
            E::Unreachable { address, detail } => {
                Self::of("unreachable").address(address).detail(detail)
            }
            E::ConnectTimeout { host, after } => {
                Self::of("connect-timeout").host(host).after(*after)
            }
            E::TlsTimeout { host, after } => Self::of("tls-timeout").host(host).after(*after),
            E::Certificate { host, detail } => Self::of("certificate").host(host).detail(detail),
            E::TlsAlert { host, id, alert } => {
                let mut failure = Self::of("tls-alert").host(host).detail(alert);
                failure.alert = Some(*id);
                failure
            }
            E::ClientCertificate {
                host,
                presented,
                alert,
                id,
            } => {
                let kind = match presented {
                    true => "client-certificate-refused",
                    false => "client-certificate-missing",
                };
                let mut failure = Self::of(kind).host(host);
                failure.detail.clone_from(alert);
                failure.alert = *id;
                failure
            }
            E::Proxy(one) => {
                let kind = PROXY_FAULTS.iter().find(|(_, fault)| *fault == one.fault);
                let kind = kind.map_or("other", |(name, _)| *name);
                let mut failure = Self::of(kind).host(&one.target).address(&one.proxy);
                failure = failure.detail(&one.detail);
                failure.limit = one.status.map(u64::from);
                match one.after {
                    Some(after) => failure.after(after),
                    None => failure,
                }
            }
            E::Tls { host, detail } => Self::of("tls").host(host).detail(detail),
            E::FirstByteTimeout { after } => Self::of("first-byte-timeout").after(*after),
            E::IdleTimeout { after } => Self::of("idle-timeout").after(*after),
            E::TotalTimeout { after } => Self::of("total-timeout").after(*after),
            E::Closed(detail) => Self::of("closed").detail(detail),
            E::Incomplete(detail) => Self::of("incomplete").detail(detail),
            E::Protocol(detail) => Self::of("protocol").detail(detail),
            E::HeadersTooLarge { limit, fields } => {
                let mut failure = Self::of("headers-too-large").limit(*limit as u64);
                failure.fields = Some(*fields as u64);
                failure
            }
            E::ResponseBodyTooLarge { limit } => Self::of("response-body-too-large").limit(*limit),
            E::ContentCoding(detail) => Self::of("content-coding").detail(detail),
            // Said above the seam, or by a replay: nothing to be repeated.
            E::Denied(_) | E::NotRecorded(_) | E::NoMemory { .. } => {
                Self::of("other").detail(&error.to_string())
            }
        }
    }

    /// The error again. `Err`: the file says something that no error is.
    pub(super) fn error(self) -> Result<TransportError, String> {
        use TransportError as E;
        let unknown = |what: &str| format!("a failure has an unknown {what}");
        let host = self.host.unwrap_or_default();
        let has_detail = self.detail.is_some();
        let detail = self.detail.unwrap_or_default();
        let after_known = self.after_us.is_some();
        let after = Duration::from_micros(self.after_us.unwrap_or_default());
        let limit = self.limit.unwrap_or_default();
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let address = self.address.unwrap_or_default();
        let socket = || -> Result<SocketAddr, String> {
            address.parse().map_err(|_| unknown("socket address"))
        };
        Ok(match self.kind.as_str() {
            "too-many-requests" => E::TooManyRequests { limit: size(limit) },
            "connections-used-up" => E::ConnectionsUsedUp { limit: size(limit) },
            "further-connections-used-up" => E::FurtherConnectionsUsedUp { limit: size(limit) },
            "lookups-used-up" => E::LookupsUsedUp {
                host,
                limit: size(limit),
            },
            "out-of-resources" => E::OutOfResources { what: host, detail },
            "request-body-too-large" => E::RequestBodyTooLarge { limit },
            "request-body" => E::RequestBody(detail),
            "configuration" | "other" => E::Configuration(detail),
            "dns" => E::Dns { host, detail },
            "dns-timeout" => E::DnsTimeout { host, after },
            "prohibited" => {
                let (class, reach) = self.class.unwrap_or_default();
                let class = CLASSES.iter().find(|(name, _)| *name == class);
                let reach = REACHES.iter().find(|(name, _)| *name == reach);
                E::Prohibited(Prohibited {
                    address: address.parse::<IpAddr>().map_err(|_| unknown("address"))?,
                    class: class.ok_or_else(|| unknown("class of address"))?.1,
                    reach: reach.ok_or_else(|| unknown("reach"))?.1,
                })
            }
            "refused" => E::Refused { address: socket()? },
            "unreachable" => E::Unreachable {
                address: socket()?,
                detail,
            },
            "connect-timeout" => E::ConnectTimeout { host, after },
            "tls-timeout" => E::TlsTimeout { host, after },
            "certificate" => E::Certificate { host, detail },
            "tls-alert" => E::TlsAlert {
                host,
                id: self.alert.unwrap_or_default(),
                alert: detail,
            },
            "client-certificate-refused" | "client-certificate-missing" => E::ClientCertificate {
                host,
                presented: self.kind == "client-certificate-refused",
                alert: has_detail.then_some(detail),
                id: self.alert,
            },
            "tls" => E::Tls { host, detail },
            "first-byte-timeout" => E::FirstByteTimeout { after },
            "idle-timeout" => E::IdleTimeout { after },
            "total-timeout" => E::TotalTimeout { after },
            "closed" => E::Closed(detail),
            "incomplete" => E::Incomplete(detail),
            "protocol" => E::Protocol(detail),
            "headers-too-large" => E::HeadersTooLarge {
                limit: size(limit),
                fields: size(self.fields.unwrap_or_default()),
            },
            "response-body-too-large" => E::ResponseBodyTooLarge { limit },
            "content-coding" => E::ContentCoding(detail),
            kind => {
                let fault = PROXY_FAULTS.iter().find(|(name, _)| *name == kind);
                let fault = fault.ok_or_else(|| unknown("kind"))?.1;
                E::from(ProxyFailure {
                    proxy: address,
                    target: host,
                    fault,
                    status: self.limit.and_then(|status| u16::try_from(status).ok()),
                    detail,
                    after: after_known.then_some(after),
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_of_a_transport_comes_back_as_it_was() {
        use TransportError as E;
        let (host, detail) = (|| "gpu:1".to_owned(), || "words".to_owned());
        let after = Duration::from_micros(1_234_567);
        let address = "10.0.0.1:8000".parse().unwrap();
        let errors = [
            E::TooManyRequests { limit: 4 },
            E::ConnectionsUsedUp { limit: 512 },
            E::FurtherConnectionsUsedUp { limit: 128 },
            E::LookupsUsedUp {
                host: host(),
                limit: 256,
            },
            E::OutOfResources {
                what: "a connection".to_owned(),
                detail: detail(),
            },
            E::RequestBodyTooLarge { limit: 5 },
            E::RequestBody(detail()),
            E::Configuration(detail()),
            E::Dns {
                host: host(),
                detail: detail(),
            },
            E::DnsTimeout {
                host: host(),
                after,
            },
            E::Refused { address },
            E::Unreachable {
                address,
                detail: detail(),
            },
            E::ConnectTimeout {
                host: host(),
                after,
            },
            E::TlsTimeout {
                host: host(),
                after,
            },
            E::Certificate {
                host: host(),
                detail: detail(),
            },
            E::TlsAlert {
                host: host(),
                id: 70,
                alert: detail(),
            },
            E::Tls {
                host: host(),
                detail: detail(),
            },
            E::FirstByteTimeout { after },
            E::IdleTimeout { after },
            E::TotalTimeout { after },
            E::Closed(detail()),
            E::Incomplete(detail()),
            E::Protocol(detail()),
            E::HeadersTooLarge {
                limit: 6,
                fields: 7,
            },
            E::ResponseBodyTooLarge { limit: 8 },
            E::ContentCoding(detail()),
        ];
        let prohibited = CLASSES.into_iter().flat_map(|(_, class)| {
            REACHES.map(|(_, reach)| {
                let address = "169.254.169.254".parse().unwrap();
                E::Prohibited(Prohibited {
                    address,
                    class,
                    reach,
                })
            })
        });
        let client = [
            (true, Some("UnknownCA".to_owned()), Some(48)),
            (false, None, None),
        ]
        .map(|(presented, alert, id)| E::ClientCertificate {
            host: host(),
            presented,
            alert,
            id,
        });
        let proxy = PROXY_FAULTS.map(|(_, fault)| {
            E::from(ProxyFailure {
                proxy: "proxy:3128".to_owned(),
                target: "gpu:443".to_owned(),
                fault,
                status: (fault == ProxyFault::Status).then_some(502),
                detail: detail(),
                after: (fault == ProxyFault::Silent).then_some(after),
            })
        });
        let errors = errors.into_iter().chain(prohibited);
        for error in errors.chain(client).chain(proxy) {
            let text = serde_json::to_string(&Failure::new(&error)).unwrap();
            let back: Failure = serde_json::from_str(&text).unwrap();
            assert_eq!(back.error().as_ref(), Ok(&error), "{text}");
        }
    }

    #[test]
    fn what_is_no_failure_is_refused() {
        let cases = [
            r#"{"kind":"of-another-version"}"#,
            r#"{"kind":"refused"}"#,
            r#"{"kind":"refused","address":"nowhere"}"#,
            r#"{"kind":"prohibited","address":"::1","class":["odd","public"]}"#,
        ];
        for text in cases {
            let failure: Failure = serde_json::from_str(text).unwrap();
            assert!(failure.error().is_err(), "{text}");
        }
    }
}
