//! A broker of a test's own, which it may kill.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use trellis_testkit::{Program, binary, free_address, unique};

pub struct Broker {
    address: SocketAddr,
    controller: SocketAddr,
    folder: PathBuf,
    program: Program,
}

impl Broker {
    pub async fn start() -> Self {
        let folder = std::env::temp_dir().join(unique("kafka"));
        let (address, controller) = (free_address(), free_address());
        let program = run(&folder, address, controller);
        let mut broker = Self { address, controller, folder, program };
        broker.program.listening(address).await;
        broker
    }

    /// As `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Kills it and starts it again with what it had.
    pub async fn restart(&mut self) {
        self.program.kill();
        self.program = run(&self.folder, self.address, self.controller);
        self.program.listening(self.address).await;
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.program.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("kafka.log"));
            eprintln!("--- the broker said:\n{}", log.unwrap_or_default());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn run(folder: &Path, address: SocketAddr, controller: SocketAddr) -> Program {
    let ports = [address, controller].map(|address| address.port().to_string());
    let folder = folder.to_string_lossy();
    let arguments =
        ["broker", "--folder", &folder, "--port", &ports[0], "--controller-port", &ports[1]];
    Program::start(binary("lab"), arguments, [("", ""); 0])
}
