//! The writer's end.

use ficus_process::{failpoint, fault, trace};
use sqlx::{Connection as _, PgConnection};
use tracing::Instrument as _;

/// An event to publish, once the transaction that appends it commits.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// Whose relay publishes it.
    pub capability: &'a str,
    pub topic: &'a str,
    /// The aggregate's id.
    pub key: String,
    /// From `UPDATE … SET version = version + 1 RETURNING version` on the aggregate's row, in this
    /// transaction and before this call: that lock is what makes the outbox's order the version's.
    pub version: i64,
    /// Full name of the message in `payload`.
    pub kind: &'static str,
    /// At most 256 KiB.
    pub payload: Vec<u8>,
}

/// Writes the event into the outbox of the transaction that `conn` is in. Its trace goes on from here when it
/// is published.
pub async fn append(conn: &mut PgConnection, event: &NewEvent<'_>) -> sqlx::Result<()> {
    let span = tracing::info_span!(
        "create",
        otel.name = format!("create {}", event.topic),
        otel.kind = "producer",
        messaging.system = "kafka",
        messaging.message.key = event.key
    );
    match fault::value("outbox-apart") {
        None => insert(conn, event).instrument(span).await?,
        Some(url) => {
            let mut apart = PgConnection::connect(url).await?;
            insert(&mut apart, event).instrument(span).await?;
        }
    }
    failpoint::reach("outbox.appended").await;
    Ok(())
}

async fn insert(conn: &mut PgConnection, event: &NewEvent<'_>) -> sqlx::Result<()> {
    sqlx::query!(
        "INSERT INTO ficus.outbox (capability, topic, key, version, type, payload, traceparent)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        event.capability,
        event.topic,
        event.key,
        event.version,
        event.kind,
        event.payload,
        trace::current_traceparent(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
