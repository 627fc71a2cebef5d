//! Flags and help.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::{ArgGroup, Args, Parser, Subcommand};
use ficus_load::{Shape, Slo, Target};
use http::{Method, StatusCode};

/// Moves capabilities out of a running monolith, and back.
#[derive(Debug, Parser)]
#[command(
    name = "ficus",
    version,
    after_help = "\
Exit status:
  0  done
  1  error; standard error says what, and what to do
  2  refused or aborted, and nothing is worse than before; or doctor or status --watch found trouble; or a load's
     SLO was not met

Examples:
  ficus move list
  ficus move notifications status --watch
  ficus dlq list
  ficus trace 4bf92f3577b34da6a3ce929d0e0e4736
  ficus load gateway --rate 200 --for 30s"
)]
pub struct Cli {
    /// What the engine is told about its subject
    #[arg(long, global = true, env = "FICUS_CONFIG", default_value = "ficus.toml")]
    pub config: PathBuf,
    /// Print one line of JSON for machines on standard output
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Step a move forward or back, or look at it
    Move(MoveCommand),
    /// Read what consumers could not apply, and have it applied again
    Dlq(DlqCommand),
    /// Show what happened to one request, or list the latest
    Trace(TraceCommand),
    /// Send requests at a rate that waits for no answer, and tell how long each took
    Load(Box<LoadCommand>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A whole move:
  ficus move notifications create
  ficus move notifications prepare --dry-run
  ficus move notifications prepare
  ficus move notifications start
  ficus move notifications status --watch
  ficus move notifications vdiff
  ficus move notifications switch-traffic
  ficus move notifications vdiff               # before each of the following too
  ficus move notifications complete --soak 24h

Back, at any time before complete:
  ficus move notifications vdiff
  ficus move notifications reverse-traffic

Every move there is:
  ficus move list

Each verb has examples of its own: ficus move notifications switch-traffic --help")]
pub struct MoveCommand {
    /// A capability of ficus.toml, or `list`
    pub capability: String,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct DryRun {
    /// Say what would be done and what stands against it, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Switch {
    #[command(flatten)]
    pub dry: DryRun,
    /// How often an aborted switch is tried in all
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub tries: u32,
}

#[derive(Debug, Clone, Subcommand)]
pub enum Verb {
    /// Write the move down from its folder
    #[command(after_help = "\
Examples:
  ficus move notifications create --dry-run
  ficus move notifications create")]
    Create(DryRun),
    /// Check everything that can be refused, install capture and fences; nothing flows yet
    #[command(after_help = "\
Examples:
  ficus move notifications prepare --dry-run   # names all that stands against it
  ficus move notifications prepare")]
    Prepare(DryRun),
    /// Copy, then follow
    #[command(after_help = "\
Examples:
  ficus move notifications start
  ficus move notifications status --watch      # until it is copied and compared")]
    Start(DryRun),
    /// Stop following; start goes on from there
    #[command(after_help = "\
Examples:
  ficus move notifications stop
  ficus move notifications start               # goes on from there")]
    Stop(DryRun),
    /// Compare every row of both sides, under live writes, and wait for the result
    #[command(after_help = "\
Examples:
  ficus move notifications vdiff
  ficus move notifications vdiff --json")]
    Vdiff(DryRun),
    /// Make the service the owner
    #[command(after_help = "\
Examples:
  ficus move notifications switch-traffic --dry-run
  ficus move notifications switch-traffic --tries 5")]
    SwitchTraffic(Switch),
    /// Make the monolith the owner again
    #[command(after_help = "\
Examples:
  ficus move notifications reverse-traffic --dry-run
  ficus move notifications reverse-traffic")]
    ReverseTraffic(Switch),
    /// Give up the way back: rename the monolith's tables away
    #[command(after_help = "\
Examples:
  ficus move notifications complete --dry-run
  ficus move notifications complete --soak 24h
  ficus move notifications complete --soak 5s    # where nothing depends on the way back")]
    Complete {
        #[command(flatten)]
        dry: DryRun,
        /// How long the service must have owned, as 24h, 30m or 5s
        #[arg(long, default_value = "24h", value_parser = duration)]
        soak: Duration,
    },
    /// Give up the move while the monolith owns: take everything away, empty the service's tables
    #[command(after_help = "\
Examples:
  ficus move notifications cancel --dry-run
  ficus move notifications cancel")]
    Cancel(DryRun),
    /// Show where the move stands and its journal
    #[command(after_help = "\
Examples:
  ficus move notifications status
  ficus move notifications status --journal 100
  ficus move notifications status --watch
  ficus move notifications status --json")]
    Status {
        /// Show progress and time left until there is nothing to wait for
        #[arg(long)]
        watch: bool,
        /// How many lines of the journal
        #[arg(long, default_value_t = 20)]
        journal: u32,
    },
    /// Look for what should not be; change nothing
    #[command(after_help = "\
Examples:
  ficus move notifications doctor
  ficus move notifications doctor --json")]
    Doctor,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ficus dlq list
  ficus dlq list --topic trellis.core.v1.dlq --json
  ficus dlq show trellis.core.v1.dlq/0/17
  ficus dlq redrive --key task-7 --dry-run
  ficus dlq redrive --key task-7
  ficus dlq discard trellis.core.v1.dlq/0/17")]
pub struct DlqCommand {
    /// The broker, host:port
    #[arg(long, global = true, env = "KAFKA_BROKERS", default_value = "127.0.0.1:8271")]
    pub brokers: String,
    #[command(subcommand)]
    pub verb: DlqVerb,
}

#[derive(Debug, Subcommand)]
pub enum DlqVerb {
    /// Every dead letter
    List {
        /// Of this topic only
        #[arg(long)]
        topic: Option<String>,
    },
    /// One dead letter with its headers and payload
    Show {
        /// topic/partition/offset, as `list` prints it
        place: String,
    },
    /// Apply dead letters again, in the order of their keys, once what kept them from it is mended
    Redrive(Redrive),
    /// Give a dead letter up, so that it is never applied and its key can go on
    #[command(after_help = "\
Examples:
  ficus dlq discard trellis.core.v1.dlq/0/17 --dry-run
  ficus dlq discard trellis.core.v1.dlq/0/17
  ficus dlq redrive --key task-7                  # what waited behind it")]
    Discard {
        /// topic/partition/offset, as `list` prints it
        place: String,
        #[command(flatten)]
        dry: DryRun,
        #[command(flatten)]
        patience: Patience,
    },
}

#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true).multiple(true)
        .args(["place", "topic", "consumer", "key", "all"])),
    after_help = "\
The consumer of the capability's owner does it, in the transaction that it applies events in. A letter that was
applied before has no effect; one that fails again stays, with its new reason, and so do those behind it. Exit
status 2 says that some stay. To ask again does no harm.

Examples:
  ficus dlq redrive trellis.core.v1.dlq/0/17      # must be the first of its key
  ficus dlq redrive --key task-7
  ficus dlq redrive --consumer trellis.notifications --topic trellis.core.v1.dlq --dry-run
  ficus dlq redrive --all --json"
)]
pub struct Redrive {
    /// One letter: topic/partition/offset, as `list` prints it
    #[arg(conflicts_with_all = ["topic", "consumer", "key", "all"])]
    pub place: Option<String>,
    /// Those of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Those of this consumer group
    #[arg(long)]
    pub consumer: Option<String>,
    /// Those of this key
    #[arg(long)]
    pub key: Option<String>,
    /// All of them
    #[arg(long, conflicts_with_all = ["topic", "consumer", "key"])]
    pub all: bool,
    #[command(flatten)]
    pub dry: DryRun,
    #[command(flatten)]
    pub patience: Patience,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct Patience {
    /// How long to wait for the consumer's next word, as 30s or 5m
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub timeout: Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ficus trace                                    # the latest
  ficus trace 4bf92f3577b34da6a3ce929d0e0e4736
  ficus trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 --json
  ficus trace --from http://tempo:3200 4bf92f3577b34da6a3ce929d0e0e4736

A line is a span: its service and name, when it started, counted from the start of the trace, how long it
took, and where in the whole that lies. `!` says what went wrong, `?` that a parent is missing. What is
linked to a span rather than its child, as the handling of a message may be, stands below it under a line
that says so.")]
pub struct TraceCommand {
    /// The trace id or a whole traceparent; without it the latest traces are listed
    pub trace: Option<String>,
    /// A trace store that answers as Grafana Tempo does, http://host:port
    #[arg(long, env = "FICUS_TRACES", default_value = "http://127.0.0.1:8252")]
    pub from: String,
    /// How many traces are listed
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Requests leave when they are due, whether or not earlier ones were answered, and latency is counted from then: a
target that stalls is not flattered. Percentiles are of what was answered as wanted; all else is an error of its kind.

Exit status 2: an SLO was not met, nothing was answered as wanted, or the run is void, since the tester itself was
late or busy; of compare, that something is worse by more than noise.

Examples:
  ficus load list
  ficus load gateway --rate 200 --for 30s --report gateway.html
  ficus load notifications --users 100 --set service=grpc://127.0.0.1:8231
  ficus load gateway --find-capacity --slo 'p99<200ms,errors<1%' --for 10s
  ficus load http://127.0.0.1:8200/v1/teams --rate 100..1000 --header 'Authorization: Bearer …'
  ficus load grpc://127.0.0.1:8231/grpc.health.v1.Health/Check --rate 500 --slo 'p99<50ms,errors<0.1%'
  ficus load http://127.0.0.1:8200/ --expect 404 --rate '200^2000' --spacing poisson --out spike.json
  ficus load http://127.0.0.1:8200 --operation Tasks_ListTasks --param project_id=7 --header 'Authorization: Bearer …'
  ficus load gateway --replay arrivals.log
  ficus load compare before.json after.json"
)]
pub struct LoadCommand {
    #[command(subcommand)]
    pub verb: Option<LoadVerb>,
    /// A scenario (SERVICE, SERVICE/NAME or a .toml file), or a URL: http://host:port/path, or
    /// grpc://host:port/package.Service/Method of a target that has server reflection
    #[arg(required = true)]
    pub target: Option<Aim>,
    /// Requests a second: 500, or 100..1000 (a ramp), 100,200,400 (steps), 200^2000 (a spike in the middle fifth);
    /// 100 unless the scenario says otherwise
    #[arg(long)]
    pub rate: Option<Shape>,
    /// How long, as 60s or 5m, the warm-up included; 30s, or as long as what is replayed, unless told otherwise
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
    /// JSON, or @FILE; for gRPC the request in the JSON form of protocol buffers. ${number} is another one in each
    /// HTTP request
    #[arg(long)]
    pub body: Option<String>,
    /// GET, or POST with a body, unless told otherwise
    #[arg(long)]
    pub method: Option<Method>,
    /// An operation of the target's /openapi.json, by its operationId; the target is http://host:port then
    #[arg(long, conflicts_with = "method")]
    pub operation: Option<String>,
    /// A parameter of the operation, as 'taskId=7'; may be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, requires = "operation")]
    pub param: Vec<(String, String)>,
    /// A header, or gRPC metadata, as 'Name: value'; may be given again
    #[arg(long)]
    pub header: Vec<String>,
    /// Statuses that are right, as 200,404; without it any 2xx
    #[arg(long, value_delimiter = ',')]
    pub expect: Vec<StatusCode>,
    /// What must be reached, as 'p99<50ms,errors<0.1%' (p50, p90, p99, p99.9, max, errors)
    #[arg(long)]
    pub slo: Option<Slo>,
    /// Try one rate after the other, each --for so long, until the SLO is not met; begins at --rate
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
    #[arg(long, default_value = "10s", value_parser = duration)]
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
}

#[derive(Debug, Subcommand)]
pub enum LoadVerb {
    /// Every scenario there is
    List,
    /// Say what is different in B, and whether it is more than noise
    #[command(after_help = "\
A percentile's interval holds it with 99 %. What differs is more than noise if the intervals have nothing in common and
the figures are further apart than --noise, for runs on a shared machine differ by more than one run can tell.

Exit status 2: something is worse by more than noise.

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

/// `24h`, `30m`, `5s` or `5`, which means seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().map_err(|_| format!("\"{text}\" is no time; say 24h or 5s"))?;
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        unit => return Err(format!("\"{unit}\" is no unit of time; say s, m, h or d")),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn load_is_put_on_a_scenario_a_file_or_a_url() {
        let aim = |text: &str| text.parse::<Aim>();
        assert_eq!(aim("gateway"), Ok(Aim::Scenario("gateway".to_owned())));
        assert_eq!(aim("gateway/cold"), Ok(Aim::Scenario("gateway/cold".to_owned())));
        assert_eq!(aim("./my.toml"), Ok(Aim::File("./my.toml".into())));
        assert!(matches!(aim("http://127.0.0.1:1/"), Ok(Aim::Url(_))));
        assert!(aim("https://a/").expect_err("TLS").contains("TLS"));
        for wrong in ["", "127.0.0.1:8200", "a/b/c"] {
            assert!(aim(wrong).expect_err(wrong).contains("nor a URL"), "{wrong}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        assert!(duration("soon").is_err());
        assert!(duration("5y").is_err());
    }
}
