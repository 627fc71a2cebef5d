//! What is kept of a pool and of its transactions. Names follow OpenTelemetry's semantic conventions for
//! databases (<https://opentelemetry.io/docs/specs/semconv/database/>) where there is one.

use std::{sync::LazyLock, time::Instant};

use opentelemetry::{KeyValue, global, metrics::Histogram};
use tracing::Span;

use crate::Pool;

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("ficus-pg")
        .f64_histogram("ficus.pg.transaction.duration")
        .with_unit("s")
        .with_description("From asking for a connection to the end of the transaction")
        .with_boundaries(ficus_process::metrics::SECONDS.to_vec())
        .build()
});

/// Shows the pool's connections for as long as the process lives, which keeps the pool as long: once a process,
/// for the pool that it has all along.
pub fn watch(pool: &Pool, name: &str) {
    let name = KeyValue::new("db.client.connection.pool.name", name.to_owned());
    let max = i64::from(pool.options().get_max_connections());
    let pool = pool.clone();
    let observed = name.clone();
    global::meter("ficus-pg")
        .i64_observable_gauge("db.client.connection.count")
        .with_description("Connections of the pool, by state")
        .with_callback(move |observer| {
            let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
            let used = (i64::from(pool.size()) - idle).max(0);
            for (state, count) in [("idle", idle), ("used", used)] {
                let state = KeyValue::new("db.client.connection.state", state);
                observer.observe(count, &[observed.clone(), state]);
            }
        })
        .build();
    global::meter("ficus-pg")
        .i64_observable_gauge("db.client.connection.max")
        .with_description("Connections that the pool may have")
        .with_callback(move |observer| observer.observe(max, std::slice::from_ref(&name)))
        .build();
}

/// A transaction under way: its span and, once it is over, its duration.
pub struct Timed {
    name: &'static str,
    span: Span,
    begun: Instant,
    outcome: &'static str,
}

impl Timed {
    pub fn begin(name: &'static str) -> Self {
        let span = tracing::info_span!(
            "transaction",
            otel.name = name,
            otel.kind = "client",
            db.system.name = "postgresql",
            outcome = tracing::field::Empty
        );
        Self { name, span, begun: Instant::now(), outcome: "rolled_back" }
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn committed(&mut self) {
        self.outcome = "committed";
    }
}

impl Drop for Timed {
    fn drop(&mut self) {
        self.span.record("outcome", self.outcome);
        let labels =
            [KeyValue::new("transaction", self.name), KeyValue::new("outcome", self.outcome)];
        DURATION.record(self.begun.elapsed().as_secs_f64(), &labels);
    }
}
