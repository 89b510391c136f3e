//! A wire with a counter: forwards connections to the server, counts them, and remembers what it said.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Ends when it is dropped, and its connections with it.
pub(crate) struct Tap {
    /// What a base URL begins with.
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    said: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Listens on a free port, in front of `server` (host and port).
    pub(crate) async fn before(server: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let connections = Arc::new(AtomicUsize::new(0));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (count, record, server) = (connections.clone(), said.clone(), server.to_owned());
        let task = tokio::spawn(async move {
            let mut wires = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (server, record) = (server.clone(), record.clone());
                wires.spawn(async move {
                    // A connection that breaks is for the two ends to see.
                    let _ = forward(client, &server, &record).await;
                });
            }
        });
        Ok(Self {
            url,
            connections,
            said,
            task,
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// How often the server said this.
    pub(crate) fn count(&self, text: &str) -> usize {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).matches(text).count()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Both directions, each ended where its source ends, so that a close of the server is seen when it happens.
async fn forward(mut client: TcpStream, server: &str, record: &Mutex<Vec<u8>>) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        tokio::io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let down = async {
        let mut bytes = [0; 8192];
        loop {
            let length = from_server.read(&mut bytes).await?;
            if length == 0 {
                return to_client.shutdown().await;
            }
            record
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(&bytes[..length]);
            to_client.write_all(&bytes[..length]).await?;
        }
    };
    tokio::try_join!(up, down)?;
    Ok(())
}
