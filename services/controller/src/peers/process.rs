//! Whether a side's process is there at all.

use std::{
    io::{Error, ErrorKind, Result},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tonic::transport::Uri;

const PATIENCE: Duration = Duration::from_secs(1);

/// Connects to where `url`, as `http://host:port`, points to, and says nothing there: what a side speaks is its own affair.
pub async fn takes_connections(url: &str) -> Result<()> {
    let uri: Uri = url.parse().map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let connecting = TcpStream::connect((host, uri.port_u16().unwrap_or(usual)));
    timeout(PATIENCE, connecting).await.map_err(|_| ErrorKind::TimedOut)?.map(drop)
}
