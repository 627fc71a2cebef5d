//! What is kept, refused and found again.

use std::io::Write as _;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceResponse,
    common::v1::{KeyValue, any_value::Value as Wire},
    trace::v1::{
        Span, Status,
        span::{Link, SpanKind},
        status::StatusCode,
    },
};
use serde_json::json;
use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_prost::ProstCodec;

use crate::sandbox::{Sandbox, attribute, span, text};

fn consumer() -> Span {
    let link = Link { trace_id: vec![2; 16], span_id: vec![9; 8], ..Link::default() };
    let status = Status { message: "no such mail".to_owned(), code: StatusCode::Error.into() };
    Span {
        parent_span_id: vec![3; 8],
        kind: SpanKind::Consumer.into(),
        links: vec![link],
        attributes: vec![
            text("messaging.system", "kafka"),
            attribute("messaging.batch.message_count", Wire::IntValue(12)),
            attribute("share", Wire::DoubleValue(0.5)),
            attribute("again", Wire::BoolValue(true)),
        ],
        status: Some(status),
        ..span(1, 4, "process", 5, 7)
    }
}

#[tokio::test]
async fn a_span_lies_in_the_file_when_its_export_is_answered() {
    let sandbox = Sandbox::start().await;
    let answer = sandbox.export("notifications", vec![consumer()]).await;
    assert_eq!(answer, ExportTraceServiceResponse::default());
    let wanted = json!({
        "trace_id": "01".repeat(16),
        "span_id": "04".repeat(8),
        "parent_span_id": "03".repeat(8),
        "links": [{ "trace_id": "02".repeat(16), "span_id": "09".repeat(8) }],
        "service": "notifications",
        "name": "process",
        "kind": "consumer",
        "start_unix_nano": 1_700_000_000_005_000_000_u64,
        "end_unix_nano": 1_700_000_000_007_000_000_u64,
        "attributes": {
            "messaging.system": "kafka",
            "messaging.batch.message_count": 12,
            "share": 0.5,
            "again": true,
        },
        "status": "error",
        "status_message": "no such mail",
    });
    assert_eq!(sandbox.lines(), [wanted]);
}

#[tokio::test]
async fn a_trace_is_answered_as_otlp_says() {
    let sandbox = Sandbox::start().await;
    sandbox
        .export("gateway", vec![span(1, 3, "POST /v1/x", 0, 9), span(5, 1, "other", 0, 1)])
        .await;
    sandbox.export("notifications", vec![consumer()]).await;
    let trace = sandbox.json(&format!("/api/traces/{}", "01".repeat(16))).await;
    let batches = trace["batches"].as_array().unwrap();
    assert_eq!(batches.len(), 2, "{trace}");
    let wanted = json!({
        "resource": {
            "attributes": [{ "key": "service.name", "value": { "stringValue": "notifications" } }],
        },
        "scopeSpans": [{ "spans": [{
            "traceId": "01".repeat(16),
            "spanId": "04".repeat(8),
            "parentSpanId": "03".repeat(8),
            "links": [{ "traceId": "02".repeat(16), "spanId": "09".repeat(8) }],
            "name": "process",
            "kind": 5,
            "startTimeUnixNano": "1700000000005000000",
            "endTimeUnixNano": "1700000000007000000",
            "attributes": [
                { "key": "again", "value": { "boolValue": true } },
                { "key": "messaging.batch.message_count", "value": { "intValue": "12" } },
                { "key": "messaging.system", "value": { "stringValue": "kafka" } },
                { "key": "share", "value": { "doubleValue": 0.5 } },
            ],
            "status": { "code": 2, "message": "no such mail" },
        }] }],
    });
    assert_eq!(batches[1], wanted);
}

#[tokio::test]
async fn the_latest_traces_are_listed() {
    let sandbox = Sandbox::start().await;
    let child = Span { parent_span_id: vec![1; 8], ..span(1, 2, "insert", 10, 30) };
    sandbox.export("gateway", vec![span(1, 1, "POST /v1/x", 0, 40), child]).await;
    let orphan = Span { parent_span_id: vec![1; 8], ..span(2, 2, "late", 50, 60) };
    sandbox.export("relay", vec![orphan]).await;
    let found = sandbox.json("/api/search?limit=2").await;
    let wanted = json!({ "traces": [
        {
            "traceID": "02".repeat(16),
            "rootServiceName": "",
            "rootTraceName": "<root span not yet received>",
            "startTimeUnixNano": "1700000000050000000",
            "durationMs": 10,
            "serviceStats": { "relay": { "spanCount": 1, "errorCount": 0 } },
        },
        {
            "traceID": "01".repeat(16),
            "rootServiceName": "gateway",
            "rootTraceName": "POST /v1/x",
            "startTimeUnixNano": "1700000000000000000",
            "durationMs": 40,
            "serviceStats": { "gateway": { "spanCount": 2, "errorCount": 0 } },
        },
    ] });
    assert_eq!(found, wanted);
    assert_eq!(sandbox.json("/api/search?limit=1").await["traces"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn malformed_spans_are_refused_and_the_others_kept() {
    let sandbox = Sandbox::start().await;
    let good = span(1, 1, "good", 0, 1);
    let malformed = [
        Span { trace_id: vec![1; 15], ..good.clone() },
        Span { trace_id: vec![0; 16], ..good.clone() },
        Span { span_id: Vec::new(), ..good.clone() },
        Span { parent_span_id: vec![1; 7], ..good.clone() },
        Span { links: vec![Link::default()], ..good.clone() },
        span(1, 2, "ends before it starts", 1, 0),
    ];
    let count = malformed.len();
    let mut spans = malformed.to_vec();
    spans.push(good);
    let partial = sandbox.export("gateway", spans).await.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, i64::try_from(count).unwrap());
    assert_eq!(partial.error_message, "a trace_id is no 16 bytes");
    let names: Vec<_> = sandbox.lines().into_iter().map(|line| line["name"].clone()).collect();
    assert_eq!(names, ["good"]);
}

#[tokio::test]
async fn nonsense_is_refused_and_the_next_export_kept() {
    let sandbox = Sandbox::start().await;
    let mut client = Grpc::new(sandbox.channel().await);
    client.ready().await.unwrap();
    let nonsense = KeyValue { key: "zzz".to_owned(), ..KeyValue::default() };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let codec = ProstCodec::<KeyValue, ExportTraceServiceResponse>::default();
    let answer = client.unary(Request::new(nonsense), PathAndQuery::from_static(path), codec).await;
    assert_eq!(answer.unwrap_err().code(), Code::Internal);

    let path = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let codec = ProstCodec::<KeyValue, ExportTraceServiceResponse>::default();
    client.ready().await.unwrap();
    let metrics = client
        .unary(Request::new(KeyValue::default()), PathAndQuery::from_static(path), codec)
        .await;
    assert_eq!(metrics.unwrap_err().code(), Code::Unimplemented);

    sandbox.export("gateway", vec![span(1, 1, "good", 0, 1)]).await;
    assert_eq!(sandbox.lines().len(), 1);
}

#[tokio::test]
async fn a_span_that_is_exported_again_is_found_once() {
    let sandbox = Sandbox::start().await;
    for _ in 0..2 {
        sandbox.export("gateway", vec![span(1, 1, "once", 0, 1)]).await;
    }
    let trace = sandbox.json(&format!("/api/traces/{}", "01".repeat(16))).await;
    let spans = trace["batches"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 1, "{trace}");
}

#[tokio::test]
async fn spans_are_found_after_a_restart_and_a_line_that_was_cut_off_is_removed() {
    let sandbox = Sandbox::start().await;
    sandbox.export("gateway", vec![span(1, 1, "before", 0, 1)]).await;
    let mut file = std::fs::File::options().append(true).open(&sandbox.file).unwrap();
    file.write_all(br#"{"trace_id":"0101"#).unwrap();
    let sandbox = sandbox.restart().await;
    let child = Span { parent_span_id: vec![1; 8], ..span(1, 2, "after", 1, 2) };
    sandbox.export("gateway", vec![child]).await;
    assert_eq!(sandbox.lines().len(), 2);
    let trace = sandbox.json(&format!("/api/traces/{}", "01".repeat(16))).await;
    let spans = &trace["batches"][0]["scopeSpans"][0]["spans"];
    assert_eq!([&spans[0]["name"], &spans[1]["name"]], ["before", "after"]);
}

#[tokio::test]
async fn what_is_not_known_or_no_id_is_said() {
    let sandbox = Sandbox::start().await;
    assert_eq!(sandbox.get(&format!("/api/traces/{}", "01".repeat(16))).await.0, 404);
    assert_eq!(sandbox.get("/api/traces/zzz").await.0, 400);
    assert_eq!(sandbox.get("/api/search").await, (200, r#"{"traces":[]}"#.to_owned()));
}
