//! Programs as child processes.

use std::{
    ffi::OsStr,
    fs::File,
    hash::{BuildHasher as _, RandomState},
    iter::Cycle,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{unique, wait_until};

/// How long a program may take until it answers: a broker is two starts of Java, beside whatever else runs.
const READY: Duration = Duration::from_mins(1);

/// A running program, killed with this value. What it said is printed if the test fails.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts the program at `path`; `environment` is added to the test's own.
    pub fn start(
        path: impl AsRef<Path>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        environment: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> Self {
        let path = path.as_ref();
        let log = std::env::temp_dir().join(unique("program"));
        let output = File::create(&log).expect("failed to create the program's log");
        let child = Command::new(path)
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("failed to share the program's log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {}: {error}", path.display()));
        Self { child, log }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("failed to look after a program")
    }

    /// Everything it has written to standard output and standard error.
    pub fn log(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// Kills it at once, as a crash would, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until `GET /healthz` at `address` answers 200.
    pub async fn healthy(&mut self, address: SocketAddr) {
        self.wait_for(address, "be healthy", is_healthy).await;
    }

    /// Waits until `address` accepts connections.
    pub async fn listening(&mut self, address: SocketAddr) {
        self.wait_for(address, "listen", async |at| TcpStream::connect(at).await.is_ok()).await;
    }

    async fn wait_for(
        &mut self,
        address: SocketAddr,
        what: &str,
        mut condition: impl AsyncFnMut(SocketAddr) -> bool,
    ) {
        let what = format!("the program is to {what} at {address}");
        wait_until(&what, READY, async || {
            assert!(self.is_running(), "the program ended before it was ready:\n{}", self.log());
            condition(address).await
        })
        .await;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the program said:\n{}", self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

async fn is_healthy(address: SocketAddr) -> bool {
    let answer = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\nHost: test\r\n\r\n").await?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).await?;
        Ok::<_, std::io::Error>(head.ends_with(b" 200"))
    };
    answer.await.unwrap_or(false)
}

/// A program of this workspace by its name, from the folder that the test was built into.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a process knows its own path");
    let folder = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `make test`", path.display());
    path
}

/// Below those that Linux gives to whoever connects (32768 to 60999), one of which would take an address before the
/// program that was told it listens there.
const PORTS: RangeInclusive<u16> = 20_000..=32_000;

/// An address on this machine that is free, and given to nobody else by this process, for a program that is told where
/// to listen.
pub fn free_address() -> SocketAddr {
    static NEXT: LazyLock<Mutex<Cycle<RangeInclusive<u16>>>> = LazyLock::new(|| {
        let mut ports = PORTS.cycle();
        // Processes begin at different ones.
        let begin = RandomState::new().hash_one(0_u8) % u64::from(PORTS.end() - PORTS.start());
        ports.nth(usize::try_from(begin).unwrap_or_default());
        Mutex::new(ports)
    });
    let mut ports = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    ports
        .by_ref()
        .take(PORTS.len())
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?.local_addr().ok())
        .expect("no port is free")
}
