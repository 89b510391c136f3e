//! The control: streams that hyper alone reads, in the same process and runtime as the chats. What
//! delays both is the machine's or the runtime's.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;

use super::now;

/// What the control asks for.
pub(crate) const PATH: &str = "/control";

/// Reads one stream after the other, for ever. `arrived` is told when an event was written and when
/// it came.
pub(crate) async fn read(server: SocketAddr, arrived: impl Fn(u64, u64)) {
    loop {
        let socket = tokio::net::TcpStream::connect(server)
            .await
            .expect("the server accepts");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket))
            .await
            .expect("a connection");
        tokio::spawn(connection);
        let request = hyper::Request::get(PATH)
            .header("host", server.to_string())
            .body(Empty::<Bytes>::new())
            .expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let mut body = answer.into_body();
        while let Some(Ok(frame)) = body.frame().await {
            let at = now();
            let Ok(data) = frame.into_data() else {
                continue;
            };
            for written in times(&data) {
                arrived(written, at);
            }
        }
    }
}

/// The times in a piece of an answer.
fn times(data: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(data);
    text.split("\"content\":\"")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next()?.parse().ok())
        .collect()
}
