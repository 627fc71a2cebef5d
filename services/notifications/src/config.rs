//! Flags and environment.

use std::net::SocketAddr;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Trellis's notifications as a service.
#[derive(Clone, Debug, Parser)]
#[command(name = "notifications", version)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Where gRPC is served.
    #[arg(long, global = true, default_value = "127.0.0.1:8231")]
    pub listen: SocketAddr,

    /// The service's database.
    #[arg(long, global = true, env = "NOTIFICATIONS_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// The control database, which says who owns notifications.
    #[arg(long, global = true, env = "CONTROL_DATABASE_URL", hide_env_values = true)]
    pub control_database_url: Option<String>,

    /// Kafka's addresses, separated by commas.
    #[arg(long, global = true, env = "KAFKA_BROKERS", default_value = "127.0.0.1:8271")]
    pub kafka_brokers: String,

    /// The mail server.
    #[arg(long, global = true, env = "SMTP_ADDRESS", default_value = "127.0.0.1:8251")]
    pub smtp_address: String,

    /// The directory of persons (gRPC).
    #[arg(long, global = true, default_value = "http://127.0.0.1:8202")]
    pub directory: String,

    /// The keys that callers' identities are signed with: a URL for each gateway, comma between them.
    #[arg(
        long,
        global = true,
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8200/.well-known/jwks.json",
        value_name = "URL"
    )]
    pub gateway_keys: Vec<String>,

    /// Names this process among its kind: the consumer's static membership, the picker, the relay.
    #[arg(long, global = true, default_value = "notifications-0")]
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

impl Config {
    /// The service's database.
    pub fn database(&self) -> anyhow::Result<&str> {
        self.database_url.as_deref().context("set NOTIFICATIONS_DATABASE_URL or --database-url")
    }

    /// The control database.
    pub fn control_database(&self) -> anyhow::Result<&str> {
        self.control_database_url
            .as_deref()
            .context("set CONTROL_DATABASE_URL or --control-database-url")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use clap::{CommandFactory, Parser};

    use super::{Command, Config};

    #[test]
    fn flags_stand_before_or_after_the_command() {
        Config::command().debug_assert();
        for line in ["n --listen 127.0.0.1:1 serve", "n serve --listen 127.0.0.1:1"] {
            let config = Config::try_parse_from(line.split(' ')).unwrap();
            assert_eq!((config.command, config.listen.port()), (Some(Command::Serve), 1));
        }
    }
}
