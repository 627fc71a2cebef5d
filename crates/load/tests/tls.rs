//! The tester with TLS, against a server of the test.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use ficus_load::{
    Body, Call, Dialer, Kind, Offer, Plan, Protocol, Schedule, Shape, Share, Tally, Target, Tester,
    Wanted,
};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

struct Secure {
    authority: String,
    /// In PEM.
    certificate: String,
    connections: Arc<AtomicU32>,
}

/// Answers `ok` by HTTP/1.1, and by HTTP/2 a call that brings no message.
async fn serve(speaks: &[&[u8]]) -> Secure {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = speaks.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = format!("localhost:{}", listener.local_addr().unwrap().port());
    let connections = Arc::<AtomicU32>::default();
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, counted) = (acceptor.clone(), counted.clone());
            tokio::spawn(async move {
                // Whoever does not believe the certificate hangs up.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, Ordering::Relaxed);
                let by_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let (stream, answer) = (TokioIo::new(stream), service_fn(answer));
                if by_http2 {
                    let server = http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(stream, answer).await;
                } else {
                    let _ = http1::Builder::new().serve_connection(stream, answer).await;
                }
            });
        }
    });
    Secure { authority, certificate: made.cert.pem(), connections }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = Response::builder();
    Ok(match request.uri().scheme_str() {
        Some(scheme) => {
            assert_eq!(scheme, "https");
            answer.header("grpc-status", "0").body(Full::default()).unwrap()
        }
        None => answer.body(Full::from("ok")).unwrap(),
    })
}

async fn run(target: &str, dialer: Dialer) -> Tally {
    let target: Target = target.parse().unwrap();
    let call = match target.protocol {
        Protocol::Http => {
            let kind = Kind::http(&target, Method::GET, HeaderMap::new(), Wanted::Success);
            Call::new(kind, &target, Body::Fixed(Bytes::new()))
        }
        Protocol::Grpc => {
            let kind = Kind::grpc(&target, HeaderMap::new(), Wanted::GrpcStream);
            Call::new(kind, &target, Body::grpc(&[Vec::new()], "#"))
        }
    };
    let plan = Plan {
        name: target.to_string(),
        offers: vec![Offer {
            name: "call".to_owned(),
            weight: 1.0,
            server: target.server(),
            calls: vec![call],
        }],
        schedule: Schedule::Rate {
            shape: Shape::constant(100.0),
            spacing: ficus_load::Spacing::Even,
        },
        length: Duration::from_secs(1),
        warm_up: Duration::ZERO,
        seed: 1,
        threads: 1,
        connections: 1,
        in_flight: 4,
        timeout: Duration::from_secs(5),
        traced: 0.0,
        traces: 1,
        first_number: 0,
        share: Share::default(),
        dialer,
    };
    let tester = Tester::start(&plan).unwrap();
    tokio::task::spawn_blocking(move || tester.finish().0).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_out_by_tls_and_connections_are_kept() {
    let server = serve(&[b"h2", b"http/1.1"]).await;
    let trusting = Dialer::new(Some(server.certificate.as_bytes())).unwrap();
    for scheme_and_path in [("https", ""), ("grpcs", "a.B/C")] {
        let (scheme, path) = scheme_and_path;
        let tally = run(&format!("{scheme}://{}/{path}", server.authority), trusting.clone()).await;
        assert!(tally.errors.is_empty(), "{scheme}: {:?}", tally.errors);
        assert!(tally.ok >= 50, "{scheme}: {}", tally.ok);
        let opened = server.connections.swap(0, Ordering::Relaxed);
        assert!((1..=4).contains(&opened), "{scheme}: {opened} connections");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_an_error_of_its_kind() {
    let (server, other) = (serve(&[b"http/1.1"]).await, serve(&[b"http/1.1"]).await);
    let target = format!("https://{}/", server.authority);
    for dialer in [Dialer::new(None), Dialer::new(Some(other.certificate.as_bytes()))] {
        let tally = run(&target, dialer.unwrap()).await;
        let kinds: Vec<_> = tally.errors.keys().map(String::as_str).collect();
        assert_eq!((tally.ok, &*kinds), (0, &["tls"][..]));
        assert!(tally.errors["tls"].first.contains("certificate"), "{:?}", tally.errors);
    }
    assert!(Dialer::new(Some(b"no certificate")).unwrap_err().contains("no certificate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_needs_http_2() {
    let server = serve(&[b"http/1.1"]).await;
    let trusting = Dialer::new(Some(server.certificate.as_bytes())).unwrap();
    let tally = run(&format!("grpcs://{}/a.B/C", server.authority), trusting).await;
    assert_eq!(tally.errors.keys().collect::<Vec<_>>(), ["tls"]);
}
