//! How far a member of a group is behind.

use std::{convert::Infallible, sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use rdkafka::{Offset, consumer::Consumer as _};

use super::client::{Client, Received};

const INTERVAL: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

static MESSAGES: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    global::meter("ficus-events")
        .i64_gauge("ficus.consumer.lag.messages")
        .with_description("Messages of the member's partitions whose effects it has not committed")
        .build()
});
static APPLIED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("ficus-events")
        .u64_counter("ficus.consumer.messages")
        .with_description("Messages received and applied, repeats and dead letters among them")
        .build()
});

/// Counts a batch that is over and done with.
pub fn applied(batch: &[Received], group: &str) {
    APPLIED.add(batch.len() as u64, &[KeyValue::new("group", group.to_owned())]);
}

/// Who has left is behind with nothing.
struct Shown([KeyValue; 1]);

impl Drop for Shown {
    fn drop(&mut self) {
        MESSAGES.record(0, &self.0);
    }
}

/// Measures every five seconds, for ever.
pub async fn measure(client: &Client, group: &str) -> Infallible {
    let shown = Shown([KeyValue::new("group", group.to_owned())]);
    loop {
        if let Some(behind) = behind(client).await {
            MESSAGES.record(behind, &shown.0);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// `None` where the broker does not say.
async fn behind(client: &Client) -> Option<i64> {
    let consumer = client.consumer().clone();
    let sum = tokio::task::spawn_blocking(move || {
        let mut sum = 0;
        for place in consumer.committed(PATIENCE).ok()?.elements() {
            let (first, end) =
                consumer.fetch_watermarks(place.topic(), place.partition(), PATIENCE).ok()?;
            let next = if let Offset::Offset(next) = place.offset() { next } else { first };
            sum += (end - next).max(0);
        }
        Some(sum)
    });
    sum.await.ok()?
}
