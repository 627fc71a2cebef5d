//! The programs, each started as a person starts it, on ports that were free.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use trellis_lab::servers::ports;
use trellis_testkit::{Database, Pool, Program, Server, binary, database, unique, wait_until};

use crate::broker::Broker;

/// For whatever is waited for.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One stack is load enough for a machine, and a switch has to be quick.
static ALONE: Mutex<()> = Mutex::const_new(());

pub const PROGRAMS: [&str; 5] = ["sandbox", "monolith", "gateway", "controller", "notifications"];

/// All of Trellis, ended with this value.
pub struct Stack {
    programs: BTreeMap<&'static str, Program>,
    places: Places,
    pub monolith: Pool,
    pub service: Pool,
    environment: Vec<(&'static str, String)>,
    folder: PathBuf,
    pub broker: Broker,
    _databases: [Database; 3],
    _alone: MutexGuard<'static, ()>,
}

/// Where the programs listen.
#[derive(Clone, Copy)]
struct Places {
    smtp: SocketAddr,
    otlp: SocketAddr,
    sandbox: SocketAddr,
    monolith: SocketAddr,
    internal: SocketAddr,
    gateway: SocketAddr,
    controller: SocketAddr,
    notifications: SocketAddr,
    /// A load tester's, who asks a service without a gateway.
    keys: SocketAddr,
    metrics: [SocketAddr; PROGRAMS.len()],
}

impl Stack {
    /// Everything runs, mail is queued, the foreign keys across the edge are cut; there is no move yet.
    pub async fn start() -> Self {
        Self::start_with(async |_| ()).await
    }

    /// The same, with the programs' environment changed.
    pub async fn start_with(change: impl AsyncFnOnce(&mut Vec<(&'static str, String)>)) -> Self {
        Self::start_on([Server::First, Server::Second, Server::Second], change).await
    }

    /// The same, with the databases of the monolith, the service and the control plane on these servers.
    pub async fn start_on(
        servers: [Server; 3],
        change: impl AsyncFnOnce(&mut Vec<(&'static str, String)>),
    ) -> Self {
        let alone = ALONE.lock().await;
        let folder = std::env::temp_dir().join(unique("whole"));
        fs::create_dir(&folder).unwrap();
        let broker = Broker::start(&folder).await;
        let [monolith, service, control] = servers;
        let databases = [
            database(monolith, &[]).await,
            database(service, &[]).await,
            database(control, &[]).await,
        ];
        let places = Places::free();
        fs::write(folder.join("ficus.toml"), places.subject()).unwrap();
        let mut stack = Self {
            programs: BTreeMap::new(),
            places,
            monolith: databases[0].pool().await,
            service: databases[1].pool().await,
            environment: environment(&databases, &broker, &places, &folder),
            folder,
            broker,
            _databases: databases,
            _alone: alone,
        };
        stack.migrate().await;
        change(&mut stack.environment).await;
        for name in PROGRAMS {
            stack.run(name, "").await;
        }
        stack
    }

    async fn migrate(&self) {
        for name in ["monolith", "notifications", "controller"] {
            let mut job = Program::start(binary(name), ["migrate"], self.environment.clone());
            wait_until(&format!("{name} has migrated"), PATIENCE, async || !job.is_running()).await;
        }
        let page = include_str!("../../../../docs/tour/04-notifications.md");
        let mut connection = self.monolith.acquire().await.unwrap();
        for statement in page.lines().filter(|line| line.starts_with("CALL ficus.bounded(")) {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut *connection).await.unwrap();
        }
    }

    /// Starts a program and waits until it listens; `failpoints` as in `FICUS_FAILPOINTS`.
    pub async fn run(&mut self, name: &'static str, failpoints: &str) {
        let mut environment = self.environment.clone();
        environment.push(("FICUS_FAILPOINTS", failpoints.to_owned()));
        let mut arguments = self.places.arguments(name);
        arguments.push(format!("--metrics={}", self.places.metrics_of(name)));
        let mut program = Program::start(binary(name), arguments, environment);
        program.listening(self.places.of(name)).await;
        self.programs.insert(name, program);
    }

    /// Kills a program at once.
    pub fn kill(&mut self, name: &str) {
        drop(self.programs.remove(name));
    }

    /// Waits until a program has died by itself.
    pub async fn dies(&mut self, name: &str) {
        let program = self.programs.get_mut(name).unwrap();
        wait_until(&format!("{name} dies"), PATIENCE, async || !program.is_running()).await;
        self.kill(name);
    }

    /// Sends a program a signal, as `STOP`.
    pub fn signal(&self, name: &str, signal: &str) {
        let id = self.programs[name].id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    /// Whether a program was stopped by a signal.
    pub fn is_stopped(&self, name: &str) -> bool {
        let stat = format!("/proc/{}/stat", self.programs[name].id());
        let stat = fs::read_to_string(stat).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with('T'))
    }

    pub fn gateway(&self) -> String {
        format!("http://{}", self.places.gateway)
    }

    pub fn controller(&self) -> String {
        format!("http://{}", self.places.controller)
    }

    /// Where a program serves its metrics.
    pub fn metrics(&self, name: &str) -> String {
        format!("http://{}", self.places.metrics_of(name))
    }

    /// A text with the addresses of the local stack, with this one's instead.
    pub fn in_place(&self, text: &str) -> String {
        let places = &self.places;
        let local = [
            (8200, places.gateway),
            (8201, places.monolith),
            (8202, places.internal),
            (8203, places.metrics_of("monolith")),
            (8204, places.metrics_of("gateway")),
            (8209, places.keys),
            (8231, places.notifications),
            (8232, places.metrics_of("notifications")),
        ];
        local.iter().fold(text.to_owned(), |text, (port, place)| {
            text.replace(&format!("127.0.0.1:{port}"), &place.to_string())
        })
    }

    pub fn sandbox(&self) -> String {
        format!("http://{}", self.places.sandbox)
    }

    /// Where the mail server listens.
    pub fn smtp(&self) -> SocketAddr {
        self.places.smtp
    }

    /// What the programs leave: spans, mails, the broker's data.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything that a program has said.
    pub fn log(&self, name: &str) -> String {
        self.programs[name].log()
    }

    /// The mail server's file.
    pub fn mail_file(&self) -> PathBuf {
        mail_file(&self.folder)
    }

    /// Waits until both sides' relays have sent everything of a capability and nobody is held.
    pub async fn has_sent(&self, capability: &str) {
        wait_until(&format!("everything of {capability} is sent"), PATIENCE, async || {
            let mut behind = false;
            for pool in [&self.monolith, &self.service] {
                let lag = ficus_events::lag(pool, capability).await.unwrap();
                assert_eq!(lag.stopped, None);
                behind |= lag.events > 0 || lag.held;
            }
            !behind
        })
        .await;
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for program in self.programs.keys().filter(|name| self.is_stopped(name)) {
            self.signal(program, "CONT");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Places {
    fn free() -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let ports = ports::free::<14>().unwrap().map(at);
        let [
            smtp,
            otlp,
            sandbox,
            monolith,
            internal,
            gateway,
            controller,
            notifications,
            keys,
            metrics @ ..,
        ] = ports;
        Self {
            smtp,
            otlp,
            sandbox,
            monolith,
            internal,
            gateway,
            controller,
            notifications,
            keys,
            metrics,
        }
    }

    /// Where it is known that the program runs.
    fn of(&self, name: &str) -> SocketAddr {
        match name {
            "sandbox" => self.sandbox,
            "monolith" => self.monolith,
            "gateway" => self.gateway,
            "controller" => self.controller,
            _ => self.notifications,
        }
    }

    fn metrics_of(&self, name: &str) -> SocketAddr {
        let index = PROGRAMS.iter().position(|program| *program == name).unwrap();
        self.metrics[index]
    }

    fn arguments(&self, name: &str) -> Vec<String> {
        let listen = format!("--listen={}", self.of(name));
        match name {
            "sandbox" => vec![
                format!("--smtp-listen={}", self.smtp),
                format!("--http-listen={}", self.sandbox),
                format!("--otlp-listen={}", self.otlp),
            ],
            "monolith" => vec![
                listen,
                format!("--internal-listen={}", self.internal),
                "--mail-mode=queued".to_owned(),
            ],
            "notifications" => vec![
                listen,
                format!("--directory=http://{}", self.internal),
                format!(
                    "--gateway-keys=http://{}/.well-known/jwks.json,http://{}/keys",
                    self.gateway, self.keys
                ),
            ],
            _ => vec![listen],
        }
    }

    fn subject(&self) -> String {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let descriptors = binary("gateway").with_file_name("../trellis.binpb");
        let Self { monolith, internal, controller, notifications, .. } = self;
        format!(
            r#"
descriptors = "{}"
[control]
database = {{ env = "CONTROL_DATABASE_URL" }}
controllers = ["http://{controller}"]
[monolith]
url = "http://{monolith}"
internal = "http://{internal}"
database = {{ env = "MONOLITH_DATABASE_URL" }}
[identity]
mode = "introspect"
endpoint = "trellis.auth.v1.Sessions/Introspect"
[capability.notifications]
service = "http://{notifications}"
database = {{ env = "NOTIFICATIONS_DATABASE_URL" }}
packages = ["trellis.notifications.v1"]
move = "{}"
"#,
            descriptors.display(),
            workspace.join("services/notifications/move").display(),
        )
    }
}

fn environment(
    [monolith, service, control]: &[Database; 3],
    broker: &Broker,
    places: &Places,
    folder: &Path,
) -> Vec<(&'static str, String)> {
    vec![
        ("MONOLITH_DATABASE_URL", monolith.url().to_owned()),
        ("NOTIFICATIONS_DATABASE_URL", service.url().to_owned()),
        ("CONTROL_DATABASE_URL", control.url().to_owned()),
        ("KAFKA_BROKERS", broker.address.clone()),
        ("SMTP_ADDRESS", places.smtp.to_string()),
        ("SANDBOX_MAIL_FILE", mail_file(folder).display().to_string()),
        ("SANDBOX_SPANS_FILE", folder.join("spans.jsonl").display().to_string()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", places.otlp)),
        ("OTEL_BSP_SCHEDULE_DELAY", "200".to_owned()),
        // Only requests that ask for it are traced.
        ("OTEL_TRACES_SAMPLER", "parentbased_always_off".to_owned()),
        ("FICUS_CONFIG", folder.join("ficus.toml").display().to_string()),
        ("RUST_LOG", "info,sqlx=warn".to_owned()),
    ]
}

fn mail_file(folder: &Path) -> PathBuf {
    folder.join("mails.jsonl")
}
