//! What the programs under load say of themselves meanwhile: their metrics, once a second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use ficus_load::Dialer;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::{fetch::Fetcher, out};

const EACH: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(900);
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// What is shown of a program: a metric as Prometheus names it, and how it becomes a figure.
const KNOWN: [Known; 8] = [
    Known {
        metric: "process_cpu_seconds_total",
        of: Of::Rate,
        title: "processors",
        unit: "processors",
    },
    Known {
        metric: "process_resident_memory_bytes",
        of: Of::Mebibytes,
        title: "memory",
        unit: "MiB",
    },
    Known {
        metric: "db_client_connection_count",
        of: Of::Used,
        title: "database connections in use",
        unit: "connections",
    },
    Known { metric: "server_active_calls", of: Of::Now, title: "calls under way", unit: "calls" },
    Known {
        metric: "ficus_outbox_lag_events",
        of: Of::Now,
        title: "events not published yet",
        unit: "events",
    },
    Known {
        metric: "ficus_consumer_lag_messages",
        of: Of::Now,
        title: "messages not applied yet",
        unit: "messages",
    },
    Known { metric: "ficus_held_requests", of: Of::Now, title: "held requests", unit: "requests" },
    Known {
        metric: "ficus_relay_events_total",
        of: Of::Rate,
        title: "events published",
        unit: "events/s",
    },
];

struct Known {
    metric: &'static str,
    of: Of,
    title: &'static str,
    unit: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Now,
    Mebibytes,
    /// Of a counter, a second.
    Rate,
    /// Of what has a state, that which is used.
    Used,
}

/// One chart: a figure of several programs over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Chart {
    pub title: &'static str,
    pub unit: &'static str,
    pub lines: Vec<Line>,
}

/// A program's points: seconds since the run began, and the figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Line {
    pub program: String,
    pub points: Vec<(f64, f64)>,
}

/// Reads until it is dropped.
pub(super) struct Watching {
    read: Arc<Mutex<Vec<Read>>>,
    /// Ends with it.
    _tasks: JoinSet<()>,
}

/// All that one program served at one time.
struct Read {
    program: String,
    at: f64,
    /// Sums over labels, by the place in [`KNOWN`].
    sums: BTreeMap<usize, f64>,
}

impl Watching {
    /// Begins to read; says so once where nothing is served.
    pub fn start(urls: &BTreeMap<String, String>, dialer: &Dialer, begun: Instant) -> Self {
        let read = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for (program, url) in urls {
            let client = Fetcher::new(PATIENCE, MAX_ANSWER, dialer);
            tasks.spawn(follow(program.clone(), url.clone(), client, begun, read.clone()));
        }
        Self { read, _tasks: tasks }
    }

    pub fn charts(&self) -> Vec<Chart> {
        charts(&self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn follow(
    program: String,
    url: String,
    client: Fetcher,
    begun: Instant,
    read: Arc<Mutex<Vec<Read>>>,
) {
    let mut ticks = tokio::time::interval(EACH);
    let mut told = false;
    loop {
        ticks.tick().await;
        let at = begun.elapsed().as_secs_f64();
        match get(&client, &url).await {
            Some(text) => {
                let sums = sums(&text);
                let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
                read.push(Read { program: program.clone(), at, sums });
            }
            _ if !told => {
                told = true;
                out::warn(format_args!("no metrics of {program} at {url}; the page goes without"));
            }
            _ => {}
        }
    }
}

async fn get(client: &Fetcher, url: &str) -> Option<String> {
    let (status, body) = client.get(url, "text/plain").await.ok()?;
    status.is_success().then(|| String::from_utf8(body.to_vec()).ok()).flatten()
}

/// Of Prometheus's text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>): the known metrics.
fn sums(text: &str) -> BTreeMap<usize, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap_or(line.len());
        let (metric, rest) = line.split_at(end);
        let Some(place) = KNOWN.iter().position(|known| known.metric == metric) else { continue };
        let labels = rest.rfind('}').map_or("", |end| &rest[..end]);
        if KNOWN[place].of == Of::Used && !labels.contains("=\"used\"") {
            continue;
        }
        let after = &rest[labels.len()..];
        let value = after.trim_start_matches('}').split_whitespace().next();
        if let Some(value) = value.and_then(|value| value.parse::<f64>().ok()) {
            *sums.entry(place).or_insert(0.0) += value;
        }
    }
    sums
}

fn charts(read: &[Read]) -> Vec<Chart> {
    let mut programs: Vec<&str> = read.iter().map(|read| &*read.program).collect();
    programs.sort_unstable();
    programs.dedup();
    let chart = |(place, known): (usize, &Known)| {
        let line = |program: &&str| {
            let of = read.iter().filter(|read| read.program == *program);
            let raw: Vec<_> =
                of.filter_map(|read| Some((read.at, *read.sums.get(&place)?))).collect();
            Line { program: (*program).to_owned(), points: figures(known.of, &raw) }
        };
        let lines: Vec<_> =
            programs.iter().map(line).filter(|line| !line.points.is_empty()).collect();
        Chart { title: known.title, unit: known.unit, lines }
    };
    let charts = KNOWN.iter().enumerate().map(chart);
    charts
        .filter(|chart| chart.lines.iter().any(|line| line.points.iter().any(|p| p.1 > 0.0)))
        .collect()
}

fn figures(of: Of, raw: &[(f64, f64)]) -> Vec<(f64, f64)> {
    match of {
        Of::Now | Of::Used => raw.to_vec(),
        Of::Mebibytes => raw.iter().map(|(at, bytes)| (*at, bytes / f64::from(1 << 20))).collect(),
        // A counter that falls has begun anew.
        Of::Rate => raw
            .windows(2)
            .filter(|pair| pair[1].0 > pair[0].0 && pair[1].1 >= pair[0].1)
            .map(|pair| (pair[1].0, (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
process_resident_memory_bytes 2097152
db_client_connection_count{db_client_connection_pool_name=\"a\",db_client_connection_state=\"used\"} 3
db_client_connection_count{db_client_connection_pool_name=\"b\",db_client_connection_state=\"used\"} 1
db_client_connection_count{db_client_connection_pool_name=\"a\",db_client_connection_state=\"idle\"} 9
process_cpu_seconds_total_of_others 7
ficus_held_requests{capability=\"}\"} 0
";

    fn read(at: f64, processor: f64) -> Read {
        let mut sums = sums(TEXT);
        sums.insert(0, processor);
        Read { program: "shop".to_owned(), at, sums }
    }

    #[test]
    fn figures_are_made_of_what_is_served() {
        let charts = charts(&[read(0.0, 1.5), read(1.0, 1.75), read(3.0, 0.0), read(4.0, 1.0)]);
        let titles: Vec<_> = charts.iter().map(|chart| chart.title).collect();
        assert_eq!(titles, ["processors", "memory", "database connections in use"]);
        assert_eq!(charts[0].lines[0].points, [(1.0, 0.25), (4.0, 1.0)]);
        assert_eq!(charts[1].lines[0].points[0], (0.0, 2.0));
        assert_eq!(charts[2].lines[0].points[0], (0.0, 4.0));
    }
}
