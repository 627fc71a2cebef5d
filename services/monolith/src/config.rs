//! Flags and environment.

use std::net::SocketAddr;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};

use crate::modules::notifications::MailMode;

/// Trellis in one process.
#[derive(Clone, Debug, Parser)]
#[command(name = "monolith", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where the public API is served.
    #[arg(long, global = true, default_value = "127.0.0.1:8201")]
    pub listen: SocketAddr,

    /// Where gRPC is served, for inside calls only.
    #[arg(long, global = true, default_value = "127.0.0.1:8202")]
    pub internal_listen: SocketAddr,

    /// Trellis's database.
    #[arg(long, global = true, env = "MONOLITH_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// The control database, which says who owns what. Without it everything is the monolith's for ever.
    #[arg(long, global = true, env = "CONTROL_DATABASE_URL", hide_env_values = true)]
    pub control_database_url: Option<String>,

    /// Kafka's addresses, separated by commas. Without it mail leaves inline.
    #[arg(long, global = true, env = "KAFKA_BROKERS")]
    pub kafka_brokers: Option<String>,

    /// The mail server.
    #[arg(long, global = true, env = "SMTP_ADDRESS", default_value = "127.0.0.1:8251")]
    pub smtp_address: String,

    /// Set at start how mail leaves; without it the setting in the database stands. It may be changed
    /// there while the process runs: `UPDATE settings SET mail_mode = 'queued'`.
    #[arg(long, global = true)]
    pub mail_mode: Option<Mode>,

    /// Names this process among those that pick an owner and publish.
    #[arg(long, global = true, default_value = "monolith")]
    pub instance: String,
}

/// What the program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Serve requests, apply events and send mails (the default).
    Serve,
    /// Bring the database to this version and end.
    Migrate,
}

/// How mail leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The request that causes a mail sends it before it answers.
    Inline,
    /// The request publishes what happened; the mail is sent later.
    Queued,
}

impl From<Mode> for MailMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Inline => Self::Inline,
            Mode::Queued => Self::Queued,
        }
    }
}

impl Config {
    /// Trellis's database.
    pub fn database(&self) -> anyhow::Result<&str> {
        self.database_url.as_deref().context("set MONOLITH_DATABASE_URL or --database-url")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::{CommandFactory, Parser};

    use super::{Command, Config, Mode};

    #[test]
    fn flags_stand_before_or_after_the_command() {
        Config::command().debug_assert();
        for line in ["m --mail-mode queued serve", "m serve --mail-mode queued"] {
            let config = Config::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(
                (config.command, config.mail_mode),
                (Some(Command::Serve), Some(Mode::Queued))
            );
        }
    }
}
