//! Servers that say one thing, whatever they are asked; and some that say
//! nothing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, Stream, crypto::ring};

/// What comes back for one path, and what for another.
type Routes = Vec<(&'static str, Vec<u8>)>;

/// A server that lives until it is dropped.
pub(in crate::cli) struct Canned {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Canned {
    /// Serves each connection with `serve` in a thread of its own.
    fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let over = Arc::new(AtomicBool::new(false));
        let (serve, ended) = (Arc::new(serve), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), serve) = (stream, Arc::clone(&serve)) else {
                    continue;
                };
                std::thread::spawn(move || serve(stream));
            }
        });
        Self { address, over }
    }

    /// These bytes for every request, then the close.
    pub(in crate::cli) fn raw(answer: impl Into<Vec<u8>>) -> Self {
        Self::routes(vec![("", answer.into())])
    }

    /// The bytes of the first path that the request's path begins with, then
    /// the close; 404 for the others.
    pub(in crate::cli) fn routes(routes: Routes) -> Self {
        Self::start(move |mut stream| {
            let Some(path) = requested(&mut stream) else {
                return;
            };
            let known = routes.iter().find(|(prefix, _)| path.starts_with(prefix));
            let answer = known.map_or_else(
                || http("404 Not Found", &[], r#"{"detail":"Not Found"}"#),
                |(_, answer)| answer.clone(),
            );
            let _ = stream.write_all(&answer);
        })
    }

    /// Greets in words of another protocol. (SSH would speak first; after the
    /// request it is always the same that the client meets first.)
    pub(in crate::cli) fn greeting(words: &'static str) -> Self {
        Self::raw(words)
    }

    /// Takes connections and says nothing.
    pub(in crate::cli) fn silent() -> Self {
        Self::start(|mut stream| {
            let mut buffer = [0; 1024];
            while matches!(stream.read(&mut buffer), Ok(1..)) {}
        })
    }

    /// TLS with a certificate for `name` that nobody trusts.
    pub(in crate::cli) fn tls(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .expect("a name")
            .self_signed(&key)
            .expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a configuration");
        let config = Arc::new(config);
        Self::start(move |mut stream| {
            let Ok(mut tls) = ServerConnection::new(Arc::clone(&config)) else {
                return;
            };
            let mut buffer = [0; 1024];
            let _ = Stream::new(&mut tls, &mut stream).read(&mut buffer);
            // An alert may be waiting to be sent.
            let _ = tls.complete_io(&mut stream);
        })
    }

    pub(in crate::cli) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/v1", self.address)
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

/// The path of a request, which is read to its end.
fn requested(stream: &mut TcpStream) -> Option<String> {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte), Ok(1)) {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    head.split(' ').nth(1).map(str::to_owned)
}

/// An HTTP answer with a body of known length.
pub(in crate::cli) fn http(status: &str, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut answer = format!("HTTP/1.1 {status}\r\n");
    for header in headers {
        answer.push_str(header);
        answer.push_str("\r\n");
    }
    answer.push_str(&format!(
        "content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    ));
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A JSON answer with status 200.
pub(in crate::cli) fn json(body: &str) -> Vec<u8> {
    http("200 OK", &["content-type: application/json"], body)
}

/// A port that takes no connection and refuses none: its queue is full.
pub(in crate::cli) struct Full {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _listener: tokio::net::TcpListener,
    _queued: Vec<std::net::TcpStream>,
}

impl Full {
    pub(in crate::cli) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket
                .bind(SocketAddr::from(([127, 0, 0, 1], 0)))
                .expect("a free port");
            socket.listen(1).expect("a listener")
        });
        let address = listener.local_addr().expect("its address");
        let wait = Duration::from_millis(200);
        let queued = (0..8)
            .map_while(|_| TcpStream::connect_timeout(&address, wait).ok())
            .collect();
        Self {
            address,
            _runtime: runtime,
            _listener: listener,
            _queued: queued,
        }
    }

    pub(in crate::cli) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

/// A port that nobody listens on.
pub(in crate::cli) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    format!("http://{address}/v1")
}
