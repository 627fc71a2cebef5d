//! Rows of the outbox as messages, in CloudEvents' binary mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>).

use ficus_process::trace;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::FutureRecord,
};
use tracing::Span;

use super::page::Row;
use crate::{
    Kafka,
    kafka::{Error, Producer, delivered},
    message::{PROTOBUF, header},
};

pub struct Publisher {
    producer: Producer,
    source: String,
}

impl Publisher {
    /// `capability` becomes the events' source.
    pub fn connect(kafka: &Kafka, capability: &str) -> Result<Self, Error> {
        Ok(Self { producer: Producer::connect(kafka)?, source: capability.to_owned() })
    }

    /// Returns when the broker has all of them. After an error some may have arrived.
    pub async fn send(&mut self, rows: &[Row]) -> Result<(), Error> {
        let mut reports = Vec::with_capacity(rows.len());
        for row in rows {
            let span = span(row);
            self.producer.ensure_topic(&row.topic).await?;
            let record = FutureRecord::to(&row.topic)
                .key(row.key.as_bytes())
                .payload(row.payload.as_slice())
                .headers(self.headers(row, &span));
            reports.push((self.producer.queue(record)?, span));
        }
        for (report, _until_delivered) in reports {
            delivered(report).await?;
        }
        Ok(())
    }

    fn headers(&self, row: &Row, span: &Span) -> OwnedHeaders {
        let (id, version) = (row.event_id.to_string(), row.version.to_string());
        let headers = [
            (header::SPEC_VERSION, "1.0"),
            (header::ID, &id),
            (header::SOURCE, &self.source),
            (header::TYPE, &row.kind),
            (header::SEQUENCE, &version),
            (header::CONTENT_TYPE, PROTOBUF),
        ];
        let traceparent = trace::traceparent(span);
        let traceparent = traceparent.as_deref().map(|text| (header::TRACEPARENT, text));
        headers.into_iter().chain(traceparent).fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: Some(value) })
        })
    }
}

/// From reading the row to the broker's acknowledgement; none where nobody traces the event.
fn span(row: &Row) -> Span {
    let Some(traceparent) = &row.traceparent else { return Span::none() };
    let span = tracing::info_span!(
        parent: None,
        "send",
        otel.name = format!("send {}", row.topic),
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.message.key = row.key
    );
    trace::continues(&span, Some(traceparent));
    span
}
