//! The sandbox as a trace store, and what its exporters send.

use std::{net::SocketAddr, path::PathBuf};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_client::TraceServiceClient,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Wire},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::transport::Channel;
use trellis_testkit::{Program, free_address, unique};

pub struct Sandbox {
    program: Program,
    pub http: SocketAddr,
    pub otlp: SocketAddr,
    pub file: PathBuf,
    mails: PathBuf,
}

impl Sandbox {
    pub async fn start() -> Self {
        let name = std::env::temp_dir().join(unique("sandbox"));
        Self::start_with(name.with_extension("spans")).await
    }

    /// Goes on with a file of spans.
    pub async fn start_with(file: PathBuf) -> Self {
        let (http, otlp) = (free_address(), free_address());
        let mails = file.with_extension("mails");
        let arguments = [
            format!("--smtp-listen={}", free_address()),
            format!("--http-listen={http}"),
            format!("--mail-file={}", mails.display()),
            format!("--otlp-listen={otlp}"),
            format!("--spans-file={}", file.display()),
        ];
        let none: [(&str, &str); 0] = [];
        let mut program = Program::start(env!("CARGO_BIN_EXE_sandbox"), arguments, none);
        program.healthy(http).await;
        program.listening(otlp).await;
        Self { program, http, otlp, file, mails }
    }

    /// Kills it and starts it again with the same file.
    pub async fn restart(mut self) -> Self {
        self.program.kill();
        let again = Self::start_with(std::mem::take(&mut self.file)).await;
        self.mails = PathBuf::new();
        again
    }

    pub async fn channel(&self) -> Channel {
        let url = format!("http://{}", self.otlp);
        Channel::from_shared(url).unwrap().connect().await.unwrap()
    }

    pub async fn export(&self, service: &str, spans: Vec<Span>) -> ExportTraceServiceResponse {
        let mut client = TraceServiceClient::new(self.channel().await);
        client.export(request(service, spans)).await.unwrap().into_inner()
    }

    /// The lines of the file.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Status and body of an answer.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let request = format!("GET {path} HTTP/1.0\r\nHost: sandbox\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
        let _ = std::fs::remove_file(&self.mails);
    }
}

pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let name = text("service.name", service);
    let resource = Resource { attributes: vec![name], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let all = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![all] }
}

pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Wire::StringValue(value.to_owned()))
}

pub fn attribute(key: &str, value: Wire) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// A span of trace `trace` (sixteen such bytes) that takes from millisecond to millisecond.
pub fn span(trace: u8, id: u8, name: &str, from: u64, to: u64) -> Span {
    const BEGAN: u64 = 1_700_000_000_000_000_000;
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: name.to_owned(),
        start_time_unix_nano: BEGAN + from * 1_000_000,
        end_time_unix_nano: BEGAN + to * 1_000_000,
        ..Span::default()
    }
}
