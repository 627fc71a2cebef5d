//! What `ficus load` is told.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{Args, Subcommand};
use ficus_load::{Shape, Share, Slo, Target};
use http::{Method, StatusCode};

use super::duration;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Requests leave when they are due, whether or not earlier ones were answered, and latency is counted from then: a
target that stalls is not flattered. Percentiles are of what was answered as wanted; all else is an error of its kind.

Exit status 2: an SLO was not met, nothing was answered as wanted, or the run is void, since the tester itself was
late or busy; of compare, that something is worse by more than noise; of compare and merge, that a report says nothing.

Examples:
  ficus load list
  ficus load gateway --rate 200 --for 30s --report gateway.html
  ficus load notifications --users 100 --set service=grpc://127.0.0.1:8231
  ficus load gateway --find-capacity --slo 'p99<200ms,errors<1%' --for 10s
  ficus load http://127.0.0.1:8200/v1/inbox --rate 100..1000 --header 'Authorization: Bearer …'
  ficus load grpc://127.0.0.1:8231/grpc.health.v1.Health/Check --rate 500 --slo 'p99<50ms,errors<0.1%'
  ficus load http://127.0.0.1:8200/ --expect 404 --rate '200^2000' --spacing poisson --out spike.json
  ficus load http://127.0.0.1:8200 --operation Tasks_ListTasks --param project_id=7 --check schema
  ficus load https://shop.example.test/items --ca staging.pem --check '/items/0/id'
  ficus load gateway --replay arrivals.log
  ficus load compare before.json after.json"
)]
pub struct LoadCommand {
    #[command(subcommand)]
    pub verb: Option<LoadVerb>,
    /// A scenario (SERVICE, SERVICE/NAME or a .toml file), or a URL: http://host:port/path, or
    /// grpc://host:port/package.Service/Method of a target that has server reflection; https and grpcs with TLS
    #[arg(required = true)]
    pub target: Option<Aim>,
    /// Requests a second: 500, or 100..1000 (a ramp), 100,200,400 (steps), 200^2000 (a spike in the middle fifth);
    /// 100 unless the scenario says otherwise
    #[arg(long)]
    pub rate: Option<Shape>,
    /// How long, as 60s, 5m or 500ms, the warm-up included; 30s, or as long as what is replayed, unless told otherwise
    #[arg(long = "for", value_parser = duration)]
    pub length: Option<Duration>,
    /// How much of it is sent but not counted
    #[arg(long, default_value = "2s", value_parser = duration)]
    pub warm_up: Duration,
    /// Whether requests are evenly spaced, or come as many people's do; even unless the scenario says otherwise
    #[arg(long, value_enum)]
    pub spacing: Option<Spacing>,
    /// Send when requests once came instead: a line for each, seconds or a time as 2026-11-28T10:00:00.123Z first
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "spacing", "find_capacity"])]
    pub replay: Option<PathBuf>,
    /// How many users a scenario sets up and draws from
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub users: Option<u32>,
    /// Another value for a name of the scenario, as 'gateway=http://127.0.0.1:8200'; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// JSON, or @FILE; for gRPC the request in the JSON form of protocol buffers, or a list of them for a method that
    /// takes a stream. ${number} in a text is another one in each request
    #[arg(long)]
    pub body: Option<String>,
    /// GET, or POST with a body, unless told otherwise
    #[arg(long)]
    pub method: Option<Method>,
    /// An operation of the target's /openapi.json, by its operationId; the target is http://host:port then
    #[arg(long, conflicts_with = "method")]
    pub operation: Option<String>,
    /// A parameter of the operation, as `task_id=7`; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "operation")]
    pub param: Vec<(String, String)>,
    /// A header, or gRPC metadata, as 'Name: value'; may be given again
    #[arg(long)]
    pub header: Vec<String>,
    /// Statuses that are right, as 200,404; without it any 2xx
    #[arg(long, value_delimiter = ',', value_parser = status)]
    pub expect: Vec<StatusCode>,
    /// What an answer must be besides: schema (as gRPC reflection or the operation describes it), /place or /place=value
    /// in its JSON (RFC 6901), or a text that is in it; may be given again
    #[arg(long, value_name = "WHAT")]
    pub check: Vec<String>,
    /// Certificates in PEM; who has one that they vouch for is believed, instead of whom the system believes
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// What must be reached, as 'p99<50ms,errors<0.1%' (p50, p90, p99, p99.9, max, errors)
    #[arg(long)]
    pub slo: Option<Slo>,
    /// Try one rate after the other, each --for so long, until the SLO is not met; begins at --rate, a
    /// constant one
    #[arg(long)]
    pub find_capacity: bool,
    /// Write the report there, as JSON
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write the report there, as a page with charts for a browser
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where a program serves metrics for Prometheus, for the page, as 'gateway=http://127.0.0.1:8204/metrics'; may
    /// be given again
    #[arg(long, value_name = "NAME=URL", value_parser = pair)]
    pub metrics: Vec<(String, String)>,
    /// Requests in flight at most; what is due beyond that is shed, and counts as an error
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub in_flight: u32,
    /// How long an answer is waited for
    #[arg(long, default_value = "10s", value_parser = some_time)]
    pub timeout: Duration,
    /// As many as there are processors unless told otherwise
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: Option<u32>,
    /// HTTP/2 connections of each thread
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// The percentage of requests whose trace is asked for
    #[arg(long, default_value_t = 1.0, value_parser = percent)]
    pub traced: f64,
    /// The same seed gives the same schedule
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// One of several testers with one schedule, which begin together: 0/4, 1/4, 2/4 or 3/4 of its requests. `ficus
    /// load merge` adds up their reports
    #[arg(
        long,
        value_name = "PART/OF",
        default_value = "0/1",
        hide_default_value = true,
        conflicts_with = "find_capacity"
    )]
    pub share: Share,
}

#[derive(Debug, Subcommand)]
pub enum LoadVerb {
    /// Every scenario there is
    List,
    /// Say what is different in B, and whether it is more than noise
    #[command(after_help = "\
A percentile's interval holds it with 99 %. What differs is more than noise if the intervals have nothing in common and
the figures are further apart than --noise, for runs on a shared machine differ by more than one run can tell. Where
requests were too few to know where an interval ends, nothing is told of what differs.

Exit status 2: something is worse by more than noise, or one of them is void or had no answer as wanted.

Examples:
  ficus load compare before.json after.json
  ficus load compare before.json after.json --noise 10 --json")]
    Compare {
        /// What --out wrote
        a: PathBuf,
        b: PathBuf,
        /// The difference in percent up to which two figures are the same
        #[arg(long, default_value_t = 5.0, value_parser = percent)]
        noise: f64,
    },
    /// Add up the reports of testers that ran side by side
    #[command(after_help = "\
Rates add up of testers that sent at the same time; those of --share 0/2 and 1/2 sent one schedule together.

Exit status 2: one of them is void or had no answer as wanted, or they are not of one load; then the sum is void.

Examples:
  ficus load merge one.json two.json
  ficus load merge one.json two.json --out all.json --json")]
    Merge {
        /// What --out wrote, of the same target
        #[arg(required = true, num_args = 1..)]
        reports: Vec<PathBuf>,
        /// Write the sum there
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// What load is put on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aim {
    Url(Target),
    /// `service` or `service/name`
    Scenario(String),
    /// A scenario's file
    File(PathBuf),
}

impl FromStr for Aim {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return text.parse().map(Self::Url);
        }
        if Path::new(text).extension().is_some_and(|extension| extension == "toml") {
            return Ok(Self::File(text.into()));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        if text.is_empty() || !text.chars().all(plain) || text.matches('/').count() > 1 {
            return Err(format!(
                "\"{text}\" is neither a scenario (as gateway or gateway/mix) nor a file.toml nor a URL (as \
                 http://host:port/path)"
            ));
        }
        Ok(Self::Scenario(text.to_owned()))
    }
}

/// `NAME=VALUE`
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("\"{text}\" is not NAME=VALUE"))?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() {
        Err("no answer comes in no time; say 500ms or 10s".to_owned())
    } else {
        Ok(time)
    }
}

fn status(text: &str) -> Result<StatusCode, String> {
    text.trim().parse().map_err(|_| format!("\"{text}\" is no status; say 200, or 200,404"))
}

#[derive(Debug, Clone, Copy, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    Even,
    Poisson,
}

impl From<Spacing> for ficus_load::Spacing {
    fn from(spacing: Spacing) -> Self {
        match spacing {
            Spacing::Even => Self::Even,
            Spacing::Poisson => Self::Poisson,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| format!("\"{text}\" is no percentage; say a number from 0 to 100"))
}

#[cfg(test)]
mod tests {
    use super::Aim;

    #[test]
    fn load_is_put_on_a_scenario_a_file_or_a_url() {
        let aim = |text: &str| text.parse::<Aim>();
        assert_eq!(aim("gateway"), Ok(Aim::Scenario("gateway".to_owned())));
        assert_eq!(aim("gateway/cold"), Ok(Aim::Scenario("gateway/cold".to_owned())));
        assert_eq!(aim("./my.toml"), Ok(Aim::File("./my.toml".into())));
        assert!(matches!(aim("http://127.0.0.1:1/"), Ok(Aim::Url(_))));
        assert!(matches!(aim("grpcs://a/b.C/D"), Ok(Aim::Url(_))));
        for wrong in ["", "127.0.0.1:8200", "a/b/c"] {
            assert!(aim(wrong).expect_err(wrong).contains("nor a URL"), "{wrong}");
        }
    }
}
