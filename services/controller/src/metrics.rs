//! What is kept of moves: where each stands, and how long each switch refused writes.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use ficus_process::Shutdown;
use opentelemetry::{
    KeyValue, global,
    metrics::{Gauge, Histogram, Meter},
};

use crate::{
    domain::{Facts, Phase},
    leader::Leader,
};

const INTERVAL: Duration = Duration::from_secs(2);
/// Seconds: the goal is 30 ms at the median, the budget 1 s.
const PAUSES: [f64; 12] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0];

static PAUSE: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    meter()
        .f64_histogram("ficus.switch.pause")
        .with_unit("s")
        .with_description("From asking for the fence's first lock to the target's opening")
        .with_boundaries(PAUSES.to_vec())
        .build()
});

fn meter() -> Meter {
    global::meter("ficus-controller")
}

/// Counts a switch that has happened.
pub fn switched(capability: &str, to: &str, pause: Duration) {
    let labels =
        [KeyValue::new("capability", capability.to_owned()), KeyValue::new("to", to.to_owned())];
    PAUSE.record(pause.as_secs_f64(), &labels);
}

/// Shows the moves while this controller leads.
pub async fn watch(leader: Arc<Leader>, shutdown: Shutdown) {
    let gauges = Gauges::new();
    let mut shown = BTreeSet::<String>::new();
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let leads = leader.leads().is_ok();
        gauges.leads.record(i64::from(leads), &[]);
        if !leads {
            for capability in std::mem::take(&mut shown) {
                gauges.clear(&capability);
            }
            continue;
        }
        match leader.store.moves().await {
            Ok(moves) => {
                for facts in &moves {
                    gauges.show(&leader, facts);
                }
                shown = moves.into_iter().map(|facts| facts.capability).collect();
            }
            Err(error) => tracing::debug!(%error, "failed to read the moves"),
        }
    }
}

struct Gauges {
    leads: Gauge<i64>,
    phase: Gauge<i64>,
    epoch: Gauge<i64>,
    lag: Gauge<f64>,
    copied: Gauge<i64>,
}

impl Gauges {
    fn new() -> Self {
        let whole = |name, what| meter().i64_gauge(name).with_description(what).build();
        let lag = "How far the follower is behind the owner";
        Self {
            leads: whole("ficus.controller.leads", "1 at the controller that leads"),
            phase: whole("ficus.move.phase", "1 for the phase that the move is in, 0 for others"),
            epoch: whole("ficus.move.epoch", "How often the owner has changed"),
            lag: meter().f64_gauge("ficus.move.lag").with_unit("s").with_description(lag).build(),
            copied: whole("ficus.move.rows_copied", "Rows that the present stream has copied"),
        }
    }

    /// Another leads: what it shows counts.
    fn clear(&self, capability: &str) {
        let capability = KeyValue::new("capability", capability.to_owned());
        for phase in Phase::ALL {
            let labels = [capability.clone(), KeyValue::new("phase", phase.as_str())];
            self.phase.record(0, &labels);
        }
        let labels = [capability];
        self.epoch.record(0, &labels);
        self.lag.record(0.0, &labels);
        self.copied.record(0, &labels);
    }

    fn show(&self, leader: &Leader, facts: &Facts) {
        let capability = KeyValue::new("capability", facts.capability.clone());
        let now = Phase::of(facts);
        for phase in Phase::ALL {
            let labels = [capability.clone(), KeyValue::new("phase", phase.as_str())];
            self.phase.record(i64::from(now == Some(phase)), &labels);
        }
        let labels = [capability];
        self.epoch.record(facts.epoch, &labels);
        if let Some(progress) = leader.progress(&facts.capability) {
            self.lag.record(progress.lag.as_secs_f64(), &labels);
            self.copied.record(i64::try_from(progress.rows_copied).unwrap_or(i64::MAX), &labels);
        }
    }
}
