//! Ports on this machine.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

/// Below those that Linux gives to whoever connects (32768 to 60999), one of which would take a port while the server
/// that has it is started, or started again; and below those that tests give to their programs.
const PORTS: Range<u16> = 10_000..20_000;
const TRIES: usize = 1_000;

/// As many ports as asked for that nobody listens on, all different.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut held = Vec::with_capacity(N);
    for _ in 0..TRIES {
        if held.len() == N {
            break;
        }
        let port = rand::random_range(PORTS);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    }
    ensure!(held.len() == N, "failed to find {N} free ports");
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

/// Whether a server could listen on `port` now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until something accepts connections on `port`.
pub async fn opened(port: u16, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        if begun.elapsed() > patience {
            bail!("port {port} is not open after {} s", patience.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
