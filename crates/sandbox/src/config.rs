//! What the sandbox is told at its start.

use std::{net::SocketAddr, path::PathBuf};

/// Stand-ins for the outside world: an SMTP server that keeps every mail in a file.
#[derive(Debug, clap::Parser)]
#[command(name = "sandbox", version)]
pub struct Config {
    /// Where mail is taken
    #[arg(long, env = "SANDBOX_SMTP_LISTEN", default_value = "127.0.0.1:8251")]
    pub smtp_listen: SocketAddr,
    /// Where `POST /smtp/delay`, `GET /smtp/count` and `GET /healthz` are answered
    #[arg(long, env = "SANDBOX_HTTP_LISTEN", default_value = "127.0.0.1:8252")]
    pub http_listen: SocketAddr,
    /// One JSON line is appended for each mail: `message_id`, `to`, `subject`, `received_at`, `bytes`
    #[arg(long, env = "SANDBOX_MAIL_FILE")]
    pub mail_file: PathBuf,
}
