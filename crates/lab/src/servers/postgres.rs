//! PostgreSQL: found, set up in a folder, started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sqlx::{Connection as _, PgConnection};

use super::launch::{Launch, Owner};

/// The oldest version that has all that the engine uses.
const OLDEST: u32 = 15;

/// The programs of one PostgreSQL, and who may run them.
#[derive(Debug, Clone)]
pub struct Postgres {
    bin: PathBuf,
    version: u32,
    owner: Option<Owner>,
}

/// How much a server promises to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Flushes at every commit, as in production.
    Full,
    /// Never flushes: for tests, where the machine is not expected to lose power.
    Scratch,
    /// Flushes what a commit asks for and nothing else for ten seconds: for tests of what a crash may lose.
    Lazy,
}

impl Postgres {
    /// Takes the folder of programs that is `given`, else the first on PATH or in the distributions' usual
    /// folders (newest first) that is new enough.
    pub fn find(given: Option<&Path>) -> Result<Self> {
        let folders =
            given.map_or_else(usual_folders, |folder| vec![folder.to_owned(), folder.join("bin")]);
        for bin in folders {
            if let Some(version) = version_of(&bin).filter(|version| *version >= OLDEST) {
                return Ok(Self { bin, version, owner: owner()? });
            }
        }
        bail!(
            "no PostgreSQL {OLDEST} or newer was found; install it (Debian, Ubuntu: apt-get install \
             postgresql; macOS: brew install postgresql@17) or name its folder with --postgres"
        )
    }

    /// What was taken, for a person.
    pub fn taken(&self) -> String {
        format!("PostgreSQL {} from {}", self.version, self.bin.display())
    }

    /// The client for a person's statements: beside the server, else whatever is on PATH.
    pub fn client(&self) -> PathBuf {
        self.program("psql")
    }

    /// A program that comes with the server: beside it, else whatever is on PATH.
    pub fn program(&self, name: &str) -> PathBuf {
        let beside = self.bin.join(name);
        if beside.exists() { beside } else { name.into() }
    }

    /// The major version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Makes a server's folder; role `ficus` is its superuser and needs no password on this machine.
    pub async fn create(&self, data: &Path, port: u16, durability: Durability) -> Result<()> {
        fs::create_dir_all(data)?;
        if let Some(owner) = self.owner {
            std::os::unix::fs::chown(data, Some(owner.uid), Some(owner.gid))?;
        }
        let log = data.with_extension("initdb.log");
        let launch = Launch {
            program: self.bin.join("initdb"),
            arguments: [
                "-U",
                "ficus",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain([data.display().to_string()])
            .collect(),
            environment: Vec::new(),
            directory: data.to_owned(),
            owner: self.owner,
        };
        let status = launch.command(&log)?.status().await.context("failed to run initdb")?;
        ensure!(status.success(), "initdb failed; its output is in {}", log.display());
        let file = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&file)?;
        text.push_str(&settings(port, durability));
        fs::write(&file, text).context("failed to write postgresql.conf")
    }

    /// The server itself, in the foreground of its process.
    pub fn server(&self, data: &Path) -> Launch {
        Launch {
            program: self.bin.join("postgres"),
            arguments: vec!["-D".to_owned(), data.display().to_string()],
            environment: Vec::new(),
            directory: data.to_owned(),
            owner: self.owner,
        }
    }
}

/// The URL of a database on this machine.
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://ficus@127.0.0.1:{port}/{database}")
}

/// Waits until the server answers a statement.
pub async fn ready(port: u16, patience: Duration) -> Result<()> {
    let begun = Instant::now();
    let url = url(port, "postgres");
    loop {
        match PgConnection::connect(&url).await {
            Ok(connection) => {
                return connection.close().await.context("failed to close a connection");
            }
            Err(error) if begun.elapsed() > patience => {
                return Err(error).context(format!("PostgreSQL on port {port} did not answer"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

fn settings(port: u16, durability: Durability) -> String {
    let mut text = format!(
        "\n# Set by lab.\nport = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n\
         max_connections = 300\nmax_prepared_transactions = 5\nmax_wal_size = '2GB'\njit = off\n\
         log_line_prefix = '%m [%p] %a '\n"
    );
    text.push_str(match durability {
        Durability::Full => "",
        Durability::Scratch => "fsync = off\nfull_page_writes = off\n",
        Durability::Lazy => {
            "wal_writer_delay = '10s'\nwal_writer_flush_after = '1GB'\nautovacuum = off\n"
        }
    });
    text
}

fn usual_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("PATH").iter().flat_map(env::split_paths).collect();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr"] {
        let mut found: Vec<PathBuf> = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .filter(|bin| bin.join("initdb").exists())
            .collect();
        found.sort();
        folders.extend(found.into_iter().rev());
    }
    folders
}

fn version_of(bin: &Path) -> Option<u32> {
    if !bin.join("initdb").exists() {
        return None;
    }
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    // "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(2)?.split('.').next()?.trim().parse().ok()
}

/// Root may not run PostgreSQL: then the distribution's user does, or nobody.
fn owner() -> Result<Option<Owner>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = nix::unistd::User::from_name(name)? {
            return Ok(Some(Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
        }
    }
    bail!(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody; run lab as another user"
    )
}
