//! `ficus trace` against the sandbox.

use std::process::Command;

use opentelemetry_proto::tonic::trace::v1::{
    Span,
    span::{Link, SpanKind},
};
use trellis_testkit::binary;

use crate::sandbox::{Sandbox, span};

/// Exit status and what it wrote.
async fn ficus(sandbox: &Sandbox, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary("ficus"));
    command.arg("trace").args(arguments).arg(format!("--from=http://{}", sandbox.http));
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.code().unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_trace_of_several_services_is_drawn() {
    let sandbox = Sandbox::start().await;
    let kind = |kind: SpanKind, span| Span { kind: kind.into(), ..span };
    let below = |id: u8, span| Span { parent_span_id: vec![id; 8], ..span };
    let request = kind(SpanKind::Server, span(1, 1, "POST /v1/x", 0, 40));
    let publish = below(1, kind(SpanKind::Producer, span(1, 2, "publish", 20, 40)));
    let link = Link { trace_id: vec![1; 16], span_id: vec![2; 8], ..Link::default() };
    let process = kind(SpanKind::Consumer, span(1, 3, "process", 60, 100));
    let process = Span { links: vec![link], ..process };
    sandbox.export("notifications", vec![process]).await;
    sandbox.export("gateway", vec![request, publish]).await;

    let (status, text) = ficus(&sandbox, &[&"01".repeat(16)]).await;
    let wanted = "\
trace 01010101010101010101010101010101
3 spans of 2 services, 100.0 ms, 0 errors; began 2023-11-14T22:13:20Z
                                     kind          start       took
gateway POST /v1/x                   server         0 µs    40.0 ms  ━━━━━
└─ gateway publish                   producer    20.0 ms    20.0 ms    ━━━
   └─ linked
      └─ notifications process       consumer    60.0 ms    40.0 ms        ━━━━━
";
    assert!(text == wanted, "drawn:\n{text}\nwanted:\n{wanted}");
    assert_eq!(status, 0);

    let (status, text) = ficus(&sandbox, &[]).await;
    let wanted = "01010101010101010101010101010101      3       0     100 ms  gateway POST /v1/x\n";
    assert!(text.ends_with(wanted), "{text}");
    assert_eq!(status, 0);
}

#[tokio::test]
async fn a_trace_that_the_sandbox_does_not_know_is_an_error() {
    let sandbox = Sandbox::start().await;
    let (status, text) = ficus(&sandbox, &[&"01".repeat(16)]).await;
    assert!(text.contains("knows no trace 01010101010101010101010101010101; "), "{text}");
    assert_eq!(status, 1);
}
