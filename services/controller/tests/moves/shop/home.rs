//! Where the shop's monolith and service would be, and the `ficus.toml` that says so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::{net::TcpListener, task::JoinHandle};
use trellis_testkit::unique;

/// Somebody who takes connections and says nothing, in place of both sides' processes.
pub struct Home {
    config: PathBuf,
    taking: JoinHandle<()>,
}

impl Home {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/moves/shop/move");
        let text = include_str!("ficus.toml")
            .replace("HOME", &listener.local_addr().unwrap().to_string())
            .replace("MOVE", &folder.display().to_string());
        let config = std::env::temp_dir().join(unique("shop"));
        fs::write(&config, text).unwrap();
        let taking = tokio::spawn(async move {
            loop {
                let _ = listener.accept().await;
            }
        });
        Self { config, taking }
    }

    pub fn config(&self) -> &Path {
        &self.config
    }

    /// From here on nobody takes connections.
    pub async fn leave(&mut self) {
        self.taking.abort();
        let _ = (&mut self.taking).await;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.taking.abort();
        let _ = fs::remove_file(&self.config);
    }
}
