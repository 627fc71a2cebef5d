//! Accepts connections, and lets those that are open end when the process does.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{Router, body::Body, response::Response};
use ficus_process::Shutdown;
use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::{
    error,
    framing::{Ambiguity, Watched},
};

/// A head must be complete after this long. It also ends connections that nobody uses, so it is longer
/// than a slow sender deserves.
const HEAD_TIME: Duration = Duration::from_mins(1);
const HEAD_BYTES: usize = 32 << 10;
/// How long to wait when no connection can be accepted, as when file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Who is at the other end of the connection; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until the end is requested, and then until every open request has its answer.
pub async fn run(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    tokio::spawn(connection(stream, Peer(peer), router.clone(), graceful.watcher()));
                }
                Err(error) => {
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
            () = shutdown.requested() => break,
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, watcher: Watcher) {
    // Without it small answers wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let (stream, ambiguity) = Watched::new(stream);
    let service =
        service_fn(move |request| answer(router.clone(), peer, ambiguity.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(2 * HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection broke");
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    ambiguity: Ambiguity,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if ambiguity.seen() {
        let mut response: Response = error::ambiguous().response();
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return Ok(response);
    }
    request.extensions_mut().insert(peer);
    router.oneshot(request.map(Body::new)).await
}
