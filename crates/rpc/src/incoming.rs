//! Connections of a gRPC server.

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;

/// What comes in by a listener, each connection such that what is written leaves at once. `tcp_nodelay` of tonic's
/// builder is for listeners that tonic opens itself: without it the end of an answer waits until the caller's system has
/// acknowledged its beginning, 40 ms on Linux.
pub fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use futures::StreamExt as _;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn what_is_written_leaves_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = incoming(listener);
        let _client = TcpStream::connect(address).await.unwrap();
        let accepted = incoming.next().await.unwrap().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
