//! What is kept of held requests.

use std::sync::{Arc, LazyLock};

use opentelemetry::{
    KeyValue, global,
    metrics::{Histogram, UpDownCounter},
};
use tokio::time::Instant;

/// Seconds: from what nobody notices to the longest hold and beyond.
const BOUNDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];

static HELD: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    global::meter("ficus-routing")
        .i64_up_down_counter("ficus.held.requests")
        .with_description("Requests that are held now")
        .build()
});
static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("ficus-routing")
        .f64_histogram("ficus.hold.duration")
        .with_unit("s")
        .with_description("How long requests were held, and whether they were answered then")
        .with_boundaries(BOUNDS.to_vec())
        .build()
});

/// A request that is held; counted when this is dropped.
pub(crate) struct Counted {
    capability: Arc<str>,
    since: Instant,
    outcome: &'static str,
}

impl Counted {
    pub(crate) fn new(capability: Arc<str>) -> Self {
        HELD.add(1, &[KeyValue::new("capability", capability.clone())]);
        Self { capability, since: Instant::now(), outcome: "given_up" }
    }

    pub(crate) fn answered(&mut self) {
        self.outcome = "answered";
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let capability = KeyValue::new("capability", self.capability.clone());
        HELD.add(-1, std::slice::from_ref(&capability));
        let labels = [capability, KeyValue::new("outcome", self.outcome)];
        DURATION.record(self.since.elapsed().as_secs_f64(), &labels);
    }
}
