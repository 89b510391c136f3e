//! Asks the server beside the library: a request a connection, nothing shared with what is tested.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(20);

/// Speaks just enough HTTP.
pub(crate) struct Probe {
    authority: String,
}

impl Probe {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let authority = url.strip_prefix("http://").context("not a http URL")?;
        Ok(Self {
            authority: authority.to_owned(),
        })
    }

    /// The address that the server listens on.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// A value of `GET /metrics`, added up over engines.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = self.exchange("GET", "/metrics", "").await?;
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with(['{', ' ']))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
            .collect();
        ensure!(!values.is_empty(), "the server has no metric {name}");
        Ok(values.iter().sum())
    }

    pub(crate) async fn json(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(
            &self.exchange("GET", path, "").await?,
        )?)
    }

    /// How many tokens a text has by the model's own tokenizer.
    pub(crate) async fn tokens(&self, model: &str, text: &str) -> Result<u64> {
        let body = serde_json::json!({"model": model, "prompt": text, "add_special_tokens": false});
        let answer = self
            .exchange("POST", "/tokenize", &body.to_string())
            .await?;
        let answer: Value = serde_json::from_str(&answer)?;
        answer["count"].as_u64().context("no count")
    }

    /// The body of the answer, which must be a 200.
    async fn exchange(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let exchange = async {
            let mut stream = TcpStream::connect(&self.authority).await?;
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                self.authority,
                body.len()
            );
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = tokio::time::timeout(PATIENCE, exchange)
            .await
            .with_context(|| format!("{method} {path} took more than {PATIENCE:?}"))?
            .with_context(|| format!("{method} {path}"))?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        ensure!(
            head.starts_with("HTTP/1.1 200"),
            "{method} {path}: {}",
            head.lines().next().unwrap_or_default()
        );
        Ok(body.to_owned())
    }
}
