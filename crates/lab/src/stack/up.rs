//! Starts what is not up yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::process::{Child, Command};

use super::programs::{self, DATABASES, PROGRAMS, Program};
use super::{Root, Stack, health};
use crate::print;
use crate::servers::postgres::{self, Durability};
use crate::servers::{Kafka, Launch, Postgres, ports};

/// What `lab up` is told.
#[derive(Args, Debug, Default)]
#[command(after_help = "\
Processes, in the order in which they start:
  postgres-monolith, postgres-services, kafka      the servers
  sandbox                                          stands in for the mail server
  monolith                                         Trellis
  controller-1, controller-2                       command a move, one leading
  gateway, notifications                           in front of it, and what has left it
They run on after `lab up` has ended, on fixed ports of 127.0.0.1; .ficus/stack.json has pids and ports.

Examples:
  lab up
  lab up --only gateway,notifications    # needs the servers to be up
  lab up --kafka 127.0.0.1:9092          # a broker that runs already
  lab up --postgres /usr/lib/postgresql/17/bin")]
pub struct Arguments {
    /// Starts only these; what is up already stays up
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub only: Vec<String>,
    #[command(flatten)]
    pub servers: Servers,
    #[arg(skip)]
    pub told: Vec<Told>,
}

/// What a process finds in its environment beside what it needs; without a name every process does.
#[derive(Debug, Clone)]
pub struct Told {
    pub process: Option<&'static str>,
    pub name: &'static str,
    pub value: String,
}

/// Which servers are taken.
#[derive(Args, Debug, Default, Clone)]
pub struct Servers {
    /// The folder of PostgreSQL's programs [default: found on this machine]
    #[arg(long, value_name = "FOLDER")]
    pub postgres: Option<PathBuf>,
    /// A running broker to use instead of starting Kafka
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka: Option<String>,
}

/// Starts the stack and prints where it answers.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = Root::find()?;
    let stack = start(&root, &arguments).await?;
    for (name, url) in &stack.urls {
        print::line(format!("{name:<14} {url}"))?;
    }
    eprintln!(
        "lab: all of it answers; `.ficus/bin/ficus move list` shows the moves, `make down` stops it"
    );
    Ok(ExitCode::SUCCESS)
}

/// Starts the stack, or what of it was asked for, and waits until all of it answers.
pub async fn start(root: &Root, arguments: &Arguments) -> Result<Stack> {
    root.prepare()?;
    let mut stack = Stack::read(root)?.unwrap_or_default();
    let wanted = wanted(&stack, arguments)?;
    check_ports(&wanted)?;
    start_servers(root, &mut stack, &wanted, &arguments.servers).await?;
    for program in wanted.iter().filter(|program| !program.is_server()) {
        let launch = launch(root, &stack, program, &arguments.told);
        begin(root, &mut stack, program, &launch)?;
    }
    for program in &wanted {
        health::wait(stack.named(program.name)?).await?;
    }
    Ok(stack)
}

/// Starts one again that has died, on what it had stored, without waiting until it answers.
pub async fn again(root: &Root, name: &str, given: &Servers, told: &[Told]) -> Result<()> {
    let program = programs::named(name)?;
    let mut stack = Stack::of(root)?;
    let launch = if program.is_server() {
        let postgres = Postgres::find(given.postgres.as_deref())?;
        let kafka = if program.name == "kafka" { Some(Kafka::find().await?) } else { None };
        create(root, program, &postgres, kafka.as_ref()).await?
    } else {
        launch(root, &stack, program, told)
    };
    begin(root, &mut stack, program, &launch)
}

/// Starts another process of a program that is up, which ends when the handle is dropped.
pub fn beside(root: &Root, name: &str, arguments: &[&str]) -> Result<Child> {
    let program = programs::named(name)?;
    let mut launch = launch(root, &Stack::of(root)?, program, &[]);
    launch.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let log = root.log(&format!("{name}-beside"));
    let child = launch.command(&log)?.process_group(0).kill_on_drop(true).spawn();
    child.with_context(|| format!("failed to start another {name}"))
}

fn wanted(stack: &Stack, arguments: &Arguments) -> Result<Vec<&'static Program>> {
    for name in &arguments.only {
        programs::named(name)?;
    }
    let asked = |program: &&Program| {
        let named = arguments.only.iter().any(|name| name == program.name);
        named || arguments.only.is_empty()
    };
    let given = |program: &&Program| program.name == "kafka" && arguments.servers.kafka.is_some();
    let up = |program: &&Program| stack.named(program.name).is_ok_and(super::Entry::alive);
    Ok(PROGRAMS
        .iter()
        .filter(|program| asked(program) && !given(program) && !up(program))
        .collect())
}

fn check_ports(wanted: &[&Program]) -> Result<()> {
    for program in wanted {
        for (_, port) in program.ports {
            ensure!(
                ports::is_free(*port),
                "port {port} of {} is taken by another process; `lab down` stops a stack of this clone",
                program.name
            );
        }
    }
    Ok(())
}

fn begin(root: &Root, stack: &mut Stack, program: &Program, launch: &Launch) -> Result<()> {
    let log = root.log(program.name);
    let child = launch.start(&log)?;
    let pid =
        child.id().and_then(|pid| i32::try_from(pid).ok()).context("the process has no pid")?;
    stack.add(root, program.name, pid)
}

async fn start_servers(
    root: &Root,
    stack: &mut Stack,
    wanted: &[&'static Program],
    given: &Servers,
) -> Result<()> {
    let servers: Vec<_> = wanted.iter().filter(|program| program.is_server()).collect();
    if servers.is_empty() {
        // An earlier start may have been ended before it had made them all.
        let up = |name| stack.named(name).is_ok_and(super::Entry::alive);
        let unfinished =
            stack.databases.is_empty() && up("postgres-monolith") && up("postgres-services");
        return if unfinished { create_databases(root, stack).await } else { Ok(()) };
    }
    let postgres = Postgres::find(given.postgres.as_deref())?;
    stack.postgres = postgres.version().to_string();
    root.link_psql(&postgres.client())?;
    stack.brokers = given.kafka.clone().unwrap_or_else(|| "127.0.0.1:8271".to_owned());
    let kafka = if given.kafka.is_none() { Some(Kafka::find().await?) } else { None };
    let broker = kafka.as_ref().map_or_else(|| format!("Kafka at {}", stack.brokers), Kafka::taken);
    eprintln!("lab: {}, {broker}", postgres.taken());
    let creating = servers.iter().map(|program| create(root, program, &postgres, kafka.as_ref()));
    for (program, launch) in servers.iter().zip(futures::future::try_join_all(creating).await?) {
        begin(root, stack, program, &launch)?;
    }
    for program in servers {
        health::wait(stack.named(program.name)?).await?;
    }
    create_databases(root, stack).await
}

/// Makes a server's folder unless an earlier start has left it whole.
async fn create(
    root: &Root,
    program: &Program,
    postgres: &Postgres,
    kafka: Option<&Kafka>,
) -> Result<Launch> {
    let folder = root.data().join(program.name);
    let port = program.ports[0].1;
    if let Some(kafka) = kafka.filter(|_| program.name == "kafka") {
        if !Kafka::is_created(&folder) {
            clear(&folder)?;
            kafka.create(&folder, port, program.ports[1].1).await?;
        }
        return Ok(kafka.server(&folder));
    }
    if !folder.exists() {
        let beside = folder.with_extension("unfinished");
        clear(&beside)?;
        postgres.create(&beside, port, Durability::Full).await?;
        fs::rename(&beside, &folder)?;
    }
    Ok(postgres.server(&folder))
}

/// Removes what an interrupted start has left.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("failed to remove {}", folder.display()))?;
    }
    Ok(())
}

async fn create_databases(root: &Root, stack: &mut Stack) -> Result<()> {
    for (name, port) in DATABASES {
        let mut connection = PgConnection::connect(&postgres::url(port, "postgres")).await?;
        let known = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name);
        if known.fetch_optional(&mut connection).await?.is_none() {
            connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        }
        stack.databases.insert(name.to_owned(), postgres::url(port, name));
    }
    let environment = environment(root, stack);
    let migrating =
        ["monolith", "notifications", "controller"].map(|name| migrate(root, name, &environment));
    futures::future::try_join_all(migrating).await?;
    stack.write(root)
}

async fn migrate(root: &Root, service: &str, environment: &[(String, String)]) -> Result<()> {
    let log = root.log(&format!("{service}-migrate"));
    let launch = Launch {
        program: root.bin().join(service),
        arguments: vec!["migrate".to_owned()],
        environment: environment.to_vec(),
        directory: root.path().to_owned(),
        owner: None,
    };
    let mut command: Command = launch.command(&log)?;
    let status =
        command.status().await.with_context(|| format!("failed to run {service} migrate"))?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        bail!("{service} migrate failed; {}:\n{text}", log.display());
    }
    Ok(())
}

fn launch(root: &Root, stack: &Stack, program: &Program, told: &[Told]) -> Launch {
    let (name, arguments) = program.line();
    let mut environment = environment(root, stack);
    let meant = told.iter().filter(|told| told.process.is_none_or(|name| name == program.name));
    environment.extend(meant.map(|told| (told.name.to_owned(), told.value.clone())));
    let metrics = program.metrics().map(|port| format!("--metrics=127.0.0.1:{port}"));
    Launch {
        program: root.bin().join(name),
        arguments: arguments.into_iter().map(str::to_owned).chain(metrics).collect(),
        environment,
        directory: root.path().to_owned(),
        owner: None,
    }
}

fn environment(root: &Root, stack: &Stack) -> Vec<(String, String)> {
    let mut environment = vec![
        ("KAFKA_BROKERS".to_owned(), stack.brokers.clone()),
        ("SMTP_ADDRESS".to_owned(), "127.0.0.1:8251".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:8253".to_owned()),
        // A request that comes with a sampled `traceparent` is traced in any case.
        ("OTEL_TRACES_SAMPLER".to_owned(), "parentbased_traceidratio".to_owned()),
        ("OTEL_TRACES_SAMPLER_ARG".to_owned(), "0.01".to_owned()),
        ("FICUS_CONFIG".to_owned(), root.config().display().to_string()),
        ("SANDBOX_SPANS_FILE".to_owned(), root.spans_file().display().to_string()),
        ("SANDBOX_MAIL_FILE".to_owned(), root.mail_file().display().to_string()),
    ];
    for (name, url) in &stack.databases {
        environment.push((format!("{}_DATABASE_URL", name.to_uppercase()), url.clone()));
    }
    environment
}
