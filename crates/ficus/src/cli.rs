//! Flags and help.

mod load;

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Parser, Subcommand};

pub use load::{Aim, LoadCommand, LoadVerb, Spacing};

/// Moves capabilities out of a running monolith, and back.
#[derive(Debug, Parser)]
#[command(
    name = "ficus",
    version,
    after_help = "\
Exit status:
  0  done
  1  error; standard error says what, and what to do
  2  refused or aborted, and nothing is worse than before; or doctor or status --watch found trouble; or dead letters
     stay; or a load is void, worse than another, or did not meet its SLO

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
    /// Give up the move while the monolith owns: take away what it has installed, empty the service's tables
    ///
    /// A service that has owned goes on refusing writes, which may still be on their way there.
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

/// `24h`, `30m` or `5s`. A number alone may mean another unit than we would take it for.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 =
        digits.parse().map_err(|_| format!("\"{text}\" is no time; say 24h, 5s or 500ms"))?;
    let seconds = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "" => return Err(format!("\"{text}\" has no unit of time; say {text}s or {text}h")),
        unit => return Err(format!("\"{unit}\" is no unit of time; say ms, s, m, h or d")),
    };
    Duration::try_from_secs_f64(number * seconds)
        .map_err(|_| format!("\"{text}\" is no time that can be waited for"))
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
    fn times_are_read_with_their_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_hours(24)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert!(duration("-1s").is_err() && duration("1e300d").is_err());
        assert!(duration("soon").is_err());
        assert!(duration("5y").is_err());
        assert_eq!(duration("24"), Err("\"24\" has no unit of time; say 24s or 24h".to_owned()));
    }
}
