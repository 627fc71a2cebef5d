//! Apache Kafka, one node: fetched by its Maven coordinates, set up in a folder, started.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use super::launch::Launch;

const VERSION: &str = "4.4.0";
/// Any 16 bytes in base64url; a cluster of one that meets no other.
const CLUSTER: &str = "Fcs0Trellis0Lab0Kafka0";

/// The programs of one Kafka.
#[derive(Debug, Clone)]
pub struct Kafka {
    libraries: PathBuf,
}

impl Kafka {
    /// Takes Kafka from the user's cache folder, where Maven puts it the first time.
    pub async fn find() -> Result<Self> {
        let libraries = cache_folder()?.join(format!("kafka-{VERSION}"));
        if !libraries.exists() {
            eprintln!("lab: fetching Kafka {VERSION} by Maven into {}", libraries.display());
            fetch(&libraries).await?;
        }
        Ok(Self { libraries })
    }

    /// What was taken, for a person.
    pub fn taken(&self) -> String {
        format!("Kafka {VERSION} from {}", self.libraries.display())
    }

    /// Makes a node's folder.
    pub async fn create(&self, folder: &Path, port: u16, controller_port: u16) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("server.properties"), settings(folder, port, controller_port))?;
        let log = folder.join("format.log");
        let launch = self.java(
            folder,
            &["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", "server.properties"],
        );
        let status = launch.command(&log)?.status().await.context(
            "failed to run java; Kafka needs Java 17 or newer (Debian, Ubuntu: apt-get install \
                      default-jre-headless), or name a running broker with --kafka HOST:PORT",
        )?;
        ensure!(
            status.success(),
            "failed to format Kafka's folder; the output is in {}",
            log.display()
        );
        Ok(())
    }

    /// Whether that was done to its end.
    pub fn is_created(folder: &Path) -> bool {
        folder.join(DATA).join("meta.properties").exists()
    }

    /// The node itself, in the foreground of its process.
    pub fn server(&self, folder: &Path) -> Launch {
        self.java(folder, &["kafka.Kafka", "server.properties"])
    }

    fn java(&self, folder: &Path, tail: &[&str]) -> Launch {
        let classes = self.libraries.join("*").display().to_string();
        let lean = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", &classes];
        Launch {
            program: "java".into(),
            arguments: lean.iter().chain(tail).map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            directory: folder.to_owned(),
            owner: None,
        }
    }
}

/// Where its logs are, in its folder.
const DATA: &str = "data";

/// A broker that was killed is let in again once its session has run out, 9 s if nothing is said.
///
/// One that was killed reads its last segments again before it listens, and what was committed after that, so segments
/// are small. The cleaner that throws old commits away has 128 MiB if nothing is said, half of the heap.
fn settings(folder: &Path, port: u16, controller_port: u16) -> String {
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         log.dirs={}\n\
         offsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
         offsets.topic.segment.bytes=1048576\nlog.segment.bytes=16777216\n\
         log.cleaner.dedupe.buffer.size=16777216\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         num.partitions=4\ngroup.initial.rebalance.delay.ms=0\n\
         broker.session.timeout.ms=3000\nbroker.heartbeat.interval.ms=500\n",
        folder.join(DATA).display()
    )
}

fn cache_folder() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache")
        }
    };
    Ok(base.join("ficus"))
}

/// So long fetching may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Fetches into a folder beside `target` and renames it, so that `target` is whole or absent.
async fn fetch(target: &Path) -> Result<()> {
    let parent = target.parent().context("the cache folder has no parent")?;
    let folder = parent.join(format!("kafka-{VERSION}.{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let pom = folder.join("pom.xml");
    fs::write(&pom, project())?;
    let mut fetching = Command::new("mvn");
    fetching
        .args(["-q", "-B", "-Dstyle.color=never", "dependency:copy-dependencies"])
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .arg("-f")
        .arg(&pom)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let status = tokio::time::timeout(PATIENCE, fetching.status())
        .await
        .context("mvn did not fetch Kafka within ten minutes")?
        .context("failed to run mvn; Kafka is fetched by Maven (Debian, Ubuntu: apt-get install maven), or \
                  name a running broker with --kafka HOST:PORT")?;
    ensure!(status.success(), "mvn failed to fetch Kafka {VERSION}");
    if let Err(error) = fs::rename(&folder, target) {
        fs::remove_dir_all(&folder)?;
        ensure!(target.exists(), "failed to put Kafka in place: {error}");
    }
    Ok(())
}

fn project() -> String {
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>ficus</groupId><artifactId>kafka</artifactId><version>1</version>\n<dependencies>\
         <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>\
         <version>{VERSION}</version></dependency></dependencies>\n</project>\n"
    )
}
