//! What the sandbox is told at its start.

use std::{net::SocketAddr, path::PathBuf};

/// Stand-ins for the outside world: an SMTP server that keeps every mail in a file, and a trace store that
/// keeps every span.
#[derive(Debug, clap::Parser)]
#[command(name = "sandbox", version)]
pub struct Config {
    /// Where mail is taken
    #[arg(long, env = "SANDBOX_SMTP_LISTEN", default_value = "127.0.0.1:8251")]
    pub smtp_listen: SocketAddr,
    /// Where `POST /smtp/delay`, `GET /smtp/count`, `GET /api/traces/{id}`, `GET /api/search` and
    /// `GET /healthz` are answered
    #[arg(long, env = "SANDBOX_HTTP_LISTEN", default_value = "127.0.0.1:8252")]
    pub http_listen: SocketAddr,
    /// One JSON line is appended for each mail: `message_id`, `to`, `subject`, `received_at`, `bytes`
    #[arg(long, env = "SANDBOX_MAIL_FILE")]
    pub mail_file: PathBuf,
    /// Where spans are taken by OTLP over gRPC, if there is a file for them
    #[arg(long, env = "SANDBOX_OTLP_LISTEN", default_value = "127.0.0.1:8253")]
    pub otlp_listen: SocketAddr,
    /// One JSON line is appended for each span: `trace_id`, `span_id`, `parent_span_id`, `links`, `service`,
    /// `name`, `kind`, `start_unix_nano`, `end_unix_nano`, `attributes`, `status`. The last 1,000,000 are
    /// found again by their trace
    #[arg(long, env = "SANDBOX_SPANS_FILE")]
    pub spans_file: Option<PathBuf>,
}
