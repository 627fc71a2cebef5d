//! What goes no further: hop-by-hop and identity headers, requests that can be read in two ways.

use bytes::Bytes;
use ficus_process::trace::is_traceparent;
use http::Method;

use crate::stand::{MOVING, Stand};

#[tokio::test]
async fn headers_of_one_hop_and_claims_of_identity_are_stripped_and_rebuilt() {
    ficus_process::trace_only();
    let stand = Stand::start(MOVING).await;
    let headers = [
        ("connection", "keep-alive, x-named"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("upgrade", "websocket"),
        ("proxy-authorization", "Basic x"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-user", "admin"),
        ("x-real-ip", "1.2.3.4"),
        ("ficus-fenced", "notifications 1"),
        ("ficus-user", "1"),
        ("x_forwarded_for", "1.2.3.4"),
        ("x-forwarded_proto", "https"),
        ("ficus_user", "1"),
        ("x-kept", "yes"),
    ];
    let answer = stand.send(Method::GET, "/any", &headers, Bytes::new()).await;
    let asked = stand.monolith.asked().remove(0).headers;
    let mut names: Vec<_> = asked.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let passed = [
        "host",
        "traceparent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-kept",
    ];
    assert_eq!(names, passed);
    assert_eq!(asked["x-forwarded-for"], "127.0.0.1");
    assert_eq!(asked["x-forwarded-host"], stand.address.to_string());

    assert_eq!(answer.headers["x-kept"], "yes");
    for name in ["x-one-hop", "keep-alive", "connection", "ficus-epoch", "x-forwarded-host"] {
        assert!(answer.headers.get(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_malformed_trace_is_dropped_and_a_new_one_begun() {
    ficus_process::trace_only();
    let stand = Stand::start(MOVING).await;
    let sound = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (given, state, continues, keeps) in [
        (sound, "a=b", true, true),
        ("00-0-0-0", "a=b", false, false),
        (&sound[1..], "a=b", false, false),
        (sound, "a=b, A=c", true, false),
        (sound, "no value", true, false),
    ] {
        let headers = [("traceparent", given), ("tracestate", state)];
        stand.send(Method::GET, "/any", &headers, Bytes::new()).await;
        let asked = stand.monolith.asked().pop().unwrap().headers;
        let trace = asked["traceparent"].to_str().unwrap();
        assert!(is_traceparent(trace));
        let continued = trace[..36] == sound[..36];
        let kept = asked.get("tracestate").is_some();
        assert_eq!((continued, kept), (continues, keeps), "{given} {state}");
    }
}

#[tokio::test]
async fn a_header_given_twice_is_stripped_in_every_line_and_by_every_name() {
    let stand = Stand::start(MOVING).await;
    let answer = stand
        .raw(
            "GET /any HTTP/1.1\r\nHost: a\r\nConnection: close, X-One\r\nConnection: x-two,X-Forwarded-For\r\n\
             X-One: 1\r\nX-Two: 2\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nTE: trailers\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b8-01\r\ntracestate: a=b\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let asked = stand.monolith.asked().remove(0).headers;
    for name in ["x-one", "x-two", "te", "connection", "tracestate"] {
        assert!(asked.get(name).is_none(), "{name}");
    }
    let peers: Vec<_> = asked.get_all("x-forwarded-for").iter().collect();
    assert_eq!(peers, ["127.0.0.1"]);
    assert!(
        asked.get("traceparent").is_none_or(|trace| !trace.to_str().unwrap().contains("4bf92f"))
    );
}

#[tokio::test]
async fn requests_that_can_be_read_in_two_ways_are_refused_and_the_connection_closed() {
    let stand = Stand::start(MOVING).await;
    for head in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n Content-Length: 5\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n",
    ] {
        let answer = stand.raw(head).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head:?} was answered {answer:?}");
        assert_eq!(stand.monolith.lines(), [""; 0], "{head:?} was passed on");
    }
    for head in [
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ] {
        assert!(stand.raw(head).await.starts_with("HTTP/1.1 400 "), "{head:?}");
    }
    assert_eq!(stand.monolith.lines(), [""; 0]);
}

#[tokio::test]
async fn pipelined_requests_are_each_one_request() {
    let stand = Stand::start(MOVING).await;
    let answer = stand
        .raw(
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
             POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET http://other/c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 3, "{answer}");
    assert_eq!(stand.monolith.lines(), ["POST /a", "POST /b", "GET /c"]);
    assert_eq!(stand.monolith.asked()[2].headers["x-forwarded-host"], "other");
}
