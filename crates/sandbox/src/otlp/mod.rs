//! A trace store for one machine: takes spans over OTLP/gRPC and answers questions in the form of Grafana
//! Tempo's HTTP API.
//!
//! An export comes in by `receive`, is appended by `store` to a file of one JSON line a [`Span`] and only
//! then acknowledged. What is asked by `query` is found through `index` and read from the file. Span events,
//! and the attributes of links, are not kept; metrics and logs are refused.

mod answer;
mod id;
mod index;
mod query;
mod receive;
mod span;
mod store;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceServiceServer;
use tokio::net::TcpListener;
use tonic::{
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

pub use query::routes;
pub use store::Spans;

/// What batch exporters send at once stays far below.
const MAX_EXPORT: usize = 16 * 1024 * 1024;

/// Takes exports for ever, and tells of its health and of what it takes.
pub async fn serve(
    listener: TcpListener,
    spans: Arc<Spans>,
) -> Result<(), tonic::transport::Error> {
    let service = TraceServiceServer::new(receive::Receiver::new(spans))
        .accept_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_EXPORT);
    // Answers are small and one connection carries one process: they leave at once.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<TraceServiceServer<receive::Receiver>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors of health are whole");
    Server::builder()
        .add_service(service)
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming(incoming)
        .await
}
