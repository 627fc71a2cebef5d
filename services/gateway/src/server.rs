//! Accepts connections, and lets those that are open end when the process does.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use ficus_process::Shutdown;
use ficus_rpc::Drained;
use futures::TryFutureExt as _;
use http::{HeaderValue, Request, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::{
    config::Limits,
    error,
    explained::Explained,
    framing::{Ambiguity, Watched},
    lanes::Lanes,
    pace::{Pace, Patience},
};

/// As `error::unreadable` tells.
const HEAD_BYTES: usize = 32 << 10;
/// RFC 9110 asks for 8,000 at least (section 4.1).
const TARGET_BYTES: usize = 8 << 10;
/// How long to wait when no connection can be accepted, as when file descriptors have run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// How long requests that are under way at the end may take. The process is ended two seconds later, and must have
/// left the control database by then: the next switch would wait 40 s for a gateway that is gone.
const LAST_ANSWERS: Duration = Duration::from_secs(8);
/// How long at the end a first head may take that has begun; no request of its connection is under way yet.
const LAST_HEADS: Duration = Duration::from_secs(1);

/// Who is at the other end of the connection, as `X-Forwarded-For` tells it; an extension of the request.
#[derive(Debug, Clone)]
pub struct Peer(pub HeaderValue);

impl Peer {
    fn at(address: SocketAddr) -> Self {
        let text = address.ip().to_string();
        Self(HeaderValue::try_from(text).expect("an address is visible ASCII"))
    }
}

/// Serves until the end is requested, and then until every open request has its answer, or has waited for it
/// for eight seconds.
pub async fn run(listener: TcpListener, lanes: Lanes, limits: Limits, shutdown: Shutdown) {
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let (watcher, shutdown) = (graceful.watcher(), shutdown.clone());
                    let put = lanes.put(stream, move |stream, router| {
                        connection(stream, Peer::at(peer), router, limits, watcher, shutdown)
                    });
                    if let Err(error) = put {
                        tracing::warn!(%error, "failed to hand a connection on");
                    }
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
    if tokio::time::timeout(LAST_ANSWERS, graceful.shutdown()).await.is_err() {
        tracing::warn!("ending with requests under way that have no answer");
    }
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
    router: Router,
    limits: Limits,
    watcher: Watcher,
    shutdown: Shutdown,
) {
    // Without it small answers wait for the acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let pace = Pace::new(Duration::from_secs(limits.sender_time));
    let idle_time = Duration::from_secs(limits.idle_time);
    let (stream, ambiguity) = Watched::new(stream, pace, Patience::new(idle_time));
    let asked = Arc::new(AtomicBool::new(false));
    let unasked = unasked(shutdown, asked.clone());
    let (stream, answers) = Explained::new(stream);
    let service = service_fn(move |request| {
        asked.store(true, Ordering::Release);
        let under_way = answers.begin();
        let answered = answer(router.clone(), peer.clone(), ambiguity.clone(), request);
        answered.map_ok(|response| response.map(|body| under_way.with(body)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // It counts from the answer before; for a head that has begun less is left.
        .header_read_timeout(idle_time)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(2 * HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        },
        () = unasked => {}
    }
}

/// Returns at the end if the connection has had no request by then. The HTTP library closes one that is between two
/// requests, and one that has sent nothing, but waits for a first head that has begun.
async fn unasked(shutdown: Shutdown, asked: Arc<AtomicBool>) {
    shutdown.requested().await;
    tokio::time::sleep(LAST_HEADS).await;
    if asked.load(Ordering::Acquire) {
        std::future::pending::<()>().await;
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    ambiguity: Ambiguity,
    request: Request<Incoming>,
) -> Result<Response, Infallible> {
    if ambiguity.seen() {
        return Ok(closing(error::ambiguous().response()));
    }
    let mut request = request.map(Drained::new);
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES) {
        return Ok(error::target_too_long());
    }
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(ambiguity.clone());
    let response = router.oneshot(request.map(Body::new)).await?;
    Ok(if ambiguity.seen() { closing(response) } else { response })
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
