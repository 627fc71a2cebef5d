//! The connection against hyper's server.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{io::DuplexStream, task::LocalSet};

use super::{
    super::{
        Body, Kind, Target, Wanted,
        frame::{kind, put},
    },
    *,
};

pub(super) fn call(body: &[u8]) -> Call {
    let target: Target = "grpc://localhost:1/a.B/C".parse().expect("a target");
    let kind = Kind::grpc(&target, HeaderMap::new(), Wanted::GrpcOk);
    Call::new(kind, &target, Body::grpc(&[body.to_vec()], "#"))
}

/// Answers with what it was sent; a body of `wait` never.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    assert_eq!((request.uri().path(), request.method().as_str()), ("/a.B/C", "POST"));
    assert_eq!(request.headers()["te"], "trailers");
    let Ok(body) = request.into_body().collect().await else { return Ok(Response::default()) };
    let body = body.to_bytes();
    if body.ends_with(b"wait") {
        std::future::pending::<()>().await;
    }
    Ok(Response::builder().header("grpc-status", "0").body(Full::new(body)).expect("an answer"))
}

fn serve(streams: u32) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(10_000);
    tokio::spawn(async move {
        let mut server = http2::Builder::new(TokioExecutor::new());
        server.max_concurrent_streams(streams).initial_stream_window_size(70_000);
        let _ = server.serve_connection(TokioIo::new(theirs), service_fn(echo)).await;
    });
    ours
}

fn sent(answer: &Answer) -> &[u8] {
    assert_eq!(
        (answer.status, &*answer.ended.as_ref().expect("an end").code),
        (StatusCode::OK, "0")
    );
    &answer.body[5..]
}

#[tokio::test]
async fn requests_of_any_size_and_number_are_answered() {
    let work = async {
        let connection = Rc::new(Http2::open(serve(3)).await.expect("open"));
        let mut all = Vec::new();
        for number in 0_usize..20 {
            let connection = connection.clone();
            all.push(tokio::task::spawn_local(async move {
                // Larger than any window, and than a frame.
                let body = vec![b'a'; if number == 7 { 1_000_000 } else { number }];
                let answer = connection.exchange(&call(&body), 0, None).await.expect("an answer");
                assert!(sent(&answer) == body, "{number}");
            }));
        }
        for one in all {
            one.await.expect("answered");
        }
        let state = connection.0.state.borrow();
        assert_eq!((state.active, state.streams.len()), (0, 0));
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn who_does_not_wait_any_more_leaves_room_for_others() {
    let work = async {
        let connection = Http2::open(serve(1)).await.expect("open");
        for _ in 0..3 {
            let endless = call(b"wait");
            let waits = connection.exchange(&endless, 0, None);
            assert!(tokio::time::timeout(Duration::from_millis(20), waits).await.is_err());
        }
        let answer = connection.exchange(&call(b"b"), 0, None).await.expect("an answer");
        assert_eq!(sent(&answer), b"b");
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn who_speaks_something_else_is_found_out_at_once() {
    let work = async {
        for said in [&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..], b""] {
            let (ours, mut theirs) = tokio::io::duplex(10_000);
            tokio::io::AsyncWriteExt::write_all(&mut theirs, said).await.expect("said");
            drop(theirs);
            assert!(Http2::open(ours).await.is_err(), "{said:?}");
        }
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn a_connection_that_never_opens_is_let_go() {
    let work = async {
        let (ours, mut theirs) = tokio::io::duplex(10_000);
        let opening = tokio::time::timeout(Duration::from_millis(20), Http2::open(ours)).await;
        assert!(opening.is_err(), "nobody has said anything");
        let mut said = Vec::new();
        let end = tokio::io::AsyncReadExt::read_to_end(&mut theirs, &mut said);
        let ended = tokio::time::timeout(Duration::from_secs(5), end).await;
        assert!(matches!(ended, Ok(Ok(_))), "it is still open");
    };
    LocalSet::new().run_until(work).await;
}

#[tokio::test]
async fn who_waits_for_room_goes_on_when_there_may_be_more() {
    let settings = |streams: u32| {
        let setting = [&3_u16.to_be_bytes()[..], &streams.to_be_bytes()].concat();
        let mut bytes = BytesMut::new();
        put(&mut bytes, kind::SETTINGS, 0, 0, &setting);
        bytes
    };
    let work = async {
        let (ours, mut theirs) = tokio::io::duplex(10_000);
        tokio::io::AsyncWriteExt::write_all(&mut theirs, &settings(0)).await.expect("said");
        let connection = Http2::open(ours).await.expect("open");
        let empty = call(b"");
        let server = async {
            tokio::task::yield_now().await;
            assert_eq!(connection.0.state.borrow().active, 0);
            tokio::io::AsyncWriteExt::write_all(&mut theirs, &settings(1)).await.expect("said");
            while connection.0.state.borrow().active == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = server => {}
            answer = connection.exchange(&empty, 0, None) => unreachable!("{answer:?}"),
        }
    };
    let local = LocalSet::new();
    assert!(tokio::time::timeout(Duration::from_secs(5), local.run_until(work)).await.is_ok());
}
