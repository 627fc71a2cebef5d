//! Every plot, one after the other, each on a fresh stack.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::plot::{AtSwitch, How, Meanwhile, PLOTS, Plot, named};
use super::{late, stage};
use crate::head::{Head, server_version};
use crate::judge::mails::Crash;
use crate::judge::settle::{self, Doubt};
use crate::judge::{Verdict, facts};
use crate::scenario::people::FEW;
use crate::screen::Screen;
use crate::servers::Partition;
use crate::stack::programs::Health;
use crate::stack::up::{self, Told};
use crate::stack::{Root, Stack, health, process};
use crate::trial::{GATEWAY, Size, Trial};
use crate::{moves, print, request};

const LEDGER: &str = "faults-ledger.jsonl";
pub(super) const FAILPOINTS: &str = "FICUS_FAILPOINTS";
/// How long the owner changes; longer where each change has to wait for somebody.
const LENGTH: Duration = Duration::from_secs(12);
const LONG: Duration = Duration::from_secs(24);
/// A schedule meets its moment by chance; so often it is played until something is found.
const PLAYS: usize = 3;
/// Between two changes of owner.
const REST: Duration = Duration::from_millis(300);
/// How long mails and events may be under way, on a slow machine too: what is missing after that is lost.
const SETTLING: Duration = Duration::from_mins(1);
/// Longer than a claim of a mail lasts that nobody renews.
const ECHO: Duration = Duration::from_secs(6);
/// For a gateway to leave the control database: one that is killed is waited for by the next switch, for 40 s.
const LEAVING: Duration = Duration::from_secs(10);
const RESTING: Duration = Duration::from_secs(45);
/// Of the control database.
const CONTROL: u16 = 8262;
const SECOND_GATEWAY: u16 = 8210;
const ROWS: i64 = 2_000;
const RATE: f64 = 200.0;
const LATE_ITEMS: i64 = 30;
/// So long after its commit a write is at the other side, unless it was skipped.
const FOLLOWED: Duration = Duration::from_secs(5);

/// What `lab faults` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
Each run starts a fresh stack with one mechanism taken out, puts it under load, has notifications move there and
back, and does what shows the loss: it kills, stops or cuts off a process at the moment that matters. A stack of this
clone that is up is stopped and removed first. Only builds with debug assertions can do without a mechanism.

Exit status: 0 only if the judge found what each of them stands against, as doubled effects without the inbox; with
--sound, if it found nothing.

Examples:
  lab faults                          # all of them
  lab faults fence-off inbox-off
  lab faults fence-off --sound        # the same schedule with nothing taken out")]
pub struct Arguments {
    /// Which mechanisms [default: all]
    #[arg(value_name = "NAME", value_parser = named)]
    names: Vec<&'static Plot>,
    /// Takes nothing out, and expects that nothing is found
    #[arg(long)]
    sound: bool,
    /// The same seed draws requests in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints the report as JSON; what a person reads goes to standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: up::Servers,
}

/// The whole.
#[derive(Debug, Serialize)]
struct FaultsReport<'a> {
    #[serde(flatten)]
    head: Head,
    sound: bool,
    faults: &'a [Played],
}

/// What came of one plot.
#[derive(Debug, Serialize)]
struct Played {
    #[serde(skip)]
    plot: &'static Plot,
    name: &'static str,
    /// How often it was played; the rest is of the last time.
    plays: usize,
    seconds: f64,
    /// Absent if it broke before.
    verdict: Option<Verdict>,
    /// Why it did not come to an end; absent if it did.
    broke: Option<String>,
}

impl Played {
    /// Whether the judge found what the mechanism stands against.
    fn found(&self) -> bool {
        let found =
            |verdict: &Verdict| self.plot.shows.iter().any(|finding| finding.of(verdict) > 0);
        self.verdict.as_ref().is_some_and(found)
    }

    fn as_expected(&self, sound: bool) -> bool {
        // Of writes without a key what is unknown stays so.
        let keyless = self.plot.meanwhile == Meanwhile::NoKeys;
        let clean = |verdict: &Verdict| verdict.clean() || keyless && verdict.found() == 0;
        if sound { self.verdict.as_ref().is_some_and(clean) } else { self.found() }
    }

    fn text(&self) -> String {
        let Some(verdict) = &self.verdict else {
            let why = self.broke.as_deref().unwrap_or_default();
            return format!("it broke: {}", why.lines().next().unwrap_or_default());
        };
        let Verdict { lost, doubled, out_of_order, stale, dead_letters, .. } = *verdict;
        let counted = [
            (lost, "lost"),
            (doubled, "doubled"),
            (out_of_order, "out of order"),
            (stale, "stale"),
            (dead_letters, "dead letters"),
        ];
        let counted = counted.iter().filter(|(count, _)| *count > 0);
        let counted: Vec<_> = counted.map(|(count, what)| format!("{count} {what}")).collect();
        if counted.is_empty() { "nothing was found".to_owned() } else { counted.join(", ") }
    }
}

/// Exit code 1 if a mechanism is missing and nobody noticed.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    ensure!(
        cfg!(debug_assertions),
        "a release build has all its mechanisms; build without --release"
    );
    let root = Root::find()?;
    let screen = Screen::new(arguments.json);
    let mut head = Head::begin(&root, arguments.seed).await;
    let all: Vec<&'static Plot> = PLOTS.iter().collect();
    let plots = if arguments.names.is_empty() { &all } else { &arguments.names };
    let mut all_played = Vec::new();
    for plot in plots {
        screen.say(&if arguments.sound {
            format!("the schedule of {}, with nothing taken out", plot.name)
        } else {
            format!("{}: without {}", plot.name, plot.without)
        });
        let mut one = played(&root, plot, &arguments, 1).await;
        while !arguments.sound && !one.found() && one.plays < PLAYS {
            let why = one.broke.clone().unwrap_or_else(|| one.text());
            screen.say(&format!("  {why}; once more"));
            one = played(&root, plot, &arguments, one.plays + 1).await;
        }
        if let Some(broke) = &one.broke {
            screen.say(&format!("  {broke}"));
        }
        let as_expected = one.as_expected(arguments.sound);
        let most = if as_expected { 3 } else { usize::MAX };
        for finding in one.verdict.iter().flat_map(|verdict| &verdict.findings).take(most) {
            screen.say(&format!("  {finding}"));
        }
        if !as_expected {
            let kept = keep(&root, plot.name)?;
            screen.say(&format!(
                "  the ledger and what the processes said are in {}",
                kept.display()
            ));
        }
        screen.say(&format!("  {}; {:.0} s", one.text(), one.seconds));
        all_played.push(one);
    }
    if let Ok(stack) = Stack::of(&root) {
        head.postgres = server_version(&stack).await.ok();
    }
    crate::stack::down::stop(&root).await?;
    if arguments.json {
        let report = FaultsReport { head, sound: arguments.sound, faults: &all_played };
        print::line(serde_json::to_string(&report)?)?;
    }
    screen.say(&format!("\n{}", table(&all_played)));
    let as_expected = all_played.iter().filter(|one| one.as_expected(arguments.sound)).count();
    let (word, all) = (if arguments.sound { "were clean" } else { "were found" }, all_played.len());
    screen.say(&format!("\n{as_expected} of {all} {word}"));
    Ok(if as_expected == all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Puts aside what the next plot would write over; answers where it is.
fn keep(root: &Root, name: &str) -> Result<PathBuf> {
    let kept = root.folder().join("faults").join(name);
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir_all(&kept)?;
    let ledger = root.folder().join(LEDGER);
    if ledger.exists() {
        fs::copy(ledger, kept.join(LEDGER))?;
    }
    // There are none if nothing was started.
    for entry in fs::read_dir(root.logs()).into_iter().flatten() {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), kept.join(entry.file_name()))?;
        }
    }
    Ok(kept)
}

async fn played(root: &Root, plot: &'static Plot, arguments: &Arguments, plays: usize) -> Played {
    let begun = Instant::now();
    let (verdict, broke) = match play(root, plot, arguments).await {
        Ok(verdict) => (Some(verdict), None),
        Err(error) => (None, Some(format!("{error:#}"))),
    };
    let (name, seconds) = (plot.name, begun.elapsed().as_secs_f64());
    Played { plot, name, plays, seconds, verdict, broke }
}

fn table(played: &[Played]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["without", "found", "plays", "seconds"]);
    for one in played {
        let without = one.plot.without;
        let (plays, seconds) = (one.plays.to_string(), format!("{:.0}", one.seconds));
        table.add_row([without.to_owned(), one.text(), plays, seconds]);
    }
    table
}

async fn play(root: &Root, plot: &'static Plot, arguments: &Arguments) -> Result<Verdict> {
    let Arguments { sound, seed, ref servers, .. } = *arguments;
    let partition = Arc::new(Partition::before(CONTROL).await?);
    let told = told(plot, sound, partition.port);
    let wanted =
        up::Arguments { servers: servers.clone(), told: told.clone(), ..Default::default() };
    let size = Size { rows: ROWS, seed, rate: RATE, crowd: FEW };
    let keyless = plot.meanwhile == Meanwhile::NoKeys;
    let trial = Trial::begin(root, &wanted, size, LEDGER, keyless).await?;
    let few = plot.meanwhile == Meanwhile::FewChoosers;
    trial.world.lock().unwrap_or_else(PoisonError::into_inner).few_choosers = few;
    let crashes = Arc::default();
    let resurrect =
        stage::resurrect(root.clone(), servers.clone(), plot, told, Arc::clone(&crashes));
    tokio::select! {
        verdict = under_load(root, plot, sound, trial, &partition, &crashes) => verdict,
        Err(error) = resurrect => Err(error.context("who died was not started again")),
    }
}

async fn under_load(
    root: &Root,
    plot: &'static Plot,
    sound: bool,
    trial: Trial,
    partition: &Arc<Partition>,
    crashes: &Mutex<Vec<Crash>>,
) -> Result<Verdict> {
    let Trial { stack, before, world, client, load } = trial;
    let over = CancellationToken::new();
    let watch = stage::watch(root.clone(), plot, Arc::clone(partition), over.clone());
    let mut watching = Hand(tokio::spawn(watch));
    if let Err(error) = moves::prepare(root).await {
        let why = format!("{error:#}");
        if !why.contains("differs") {
            return Err(error.context("failed to make notifications ready"));
        }
        // Rows that differ after the copy keep it from moving, and are a finding by themselves.
        let mut verdict = Verdict::default();
        if plot.meanwhile == Meanwhile::LateCommits {
            let read = late::commits(stack.database("monolith")?, LATE_ITEMS).await?;
            tokio::time::sleep(FOLLOWED).await;
            lose_unread(&mut verdict, &stack, &read).await?;
        }
        if verdict.lost == 0 {
            verdict.lose(&why);
        }
        return Ok(verdict);
    }
    plant(plot, sound, &stack).await?;
    let second = if plot.at_switch == AtSwitch::CutBefore {
        let address = format!("127.0.0.1:{SECOND_GATEWAY}");
        let second = up::beside(root, "gateway", &["--listen", &address, "--name", "gateway-2"])?;
        health::until(Health::Http(SECOND_GATEWAY)).await?;
        client.spread([GATEWAY.to_owned(), format!("http://{address}")]);
        Some(second)
    } else {
        None
    };
    let monolith = stack.database("monolith")?;
    let read = match plot.meanwhile {
        Meanwhile::LateCommits => late::commits(monolith, LATE_ITEMS).await?,
        Meanwhile::LateEvents => {
            late::events(monolith).await?;
            Vec::new()
        }
        _ => Vec::new(),
    };
    let stale = || world.lock().unwrap_or_else(PoisonError::into_inner).stale.clone();
    // Nothing takes back an answer that was stale, so no more is waited for.
    there_and_back(root, plot, || !sound && !stale().is_empty()).await?;
    over.cancel();
    (&mut watching.0).await??;
    client.aim(GATEWAY);
    load.stop().await;
    partition.mend();
    if let Some(second) = second {
        process::end(second, LEAVING).await?;
    }
    slow_mail(plot, Duration::ZERO).await?;

    let stale = stale();
    if !sound && !stale.is_empty() {
        let mut verdict = Verdict::default();
        verdict.note_stale(&stale);
        return Ok(verdict);
    }
    let stopped = facts::relays_stopped(&stack).await?;
    if !stopped.is_empty() {
        // Nothing moves any more, and what is missing never comes.
        return Ok(Verdict {
            out_of_order: stopped.len(),
            findings: stopped,
            ..Verdict::default()
        });
    }
    settle::converge(&world, &client).await?;
    let rested = moves::rest_at_service(root, RESTING).await;
    let differing = moves::differing(root, SETTLING).await?;
    let mut verdict = match rested {
        Ok(_) => {
            let crashes = crashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let doubt = Doubt { patience: SETTLING, echo: ECHO, crashes };
            settle::verdict(root, &stack, &world, before, &doubt).await?
        }
        // Rows that differ keep it from moving, and are a finding by themselves.
        Err(_) if differing.is_some() => Verdict::default(),
        Err(error) => return Err(error),
    };
    // They were committed before the first switch, so they have long been followed.
    lose_unread(&mut verdict, &stack, &read).await?;
    if verdict.lost == 0
        && let Some(differing) = differing
    {
        verdict.lose(&differing);
    }
    Ok(verdict)
}

/// What was committed late, and the service has not.
async fn lose_unread(verdict: &mut Verdict, stack: &Stack, read: &[i64]) -> Result<()> {
    for id in late::unread(stack.database("notifications")?, read).await? {
        verdict.lose(&format!("that item {id} was read, which was committed late"));
    }
    Ok(())
}

/// What goes on behind a run ends with it.
struct Hand(JoinHandle<Result<()>>);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// `control` is the port by which a process that is to be cut off reaches the control database.
fn told(plot: &Plot, sound: bool, control: u16) -> Vec<Told> {
    let mut told = Vec::new();
    if plot.how == How::Process && !sound {
        let (process, value) = match plot.name {
            "outbox-apart" => {
                let url = crate::servers::postgres::url(8261, "monolith");
                (Some("monolith"), format!("{}={url}", plot.name))
            }
            name => (None, name.to_owned()),
        };
        told.push(Told { process, name: "FICUS_FAULTS", value });
    }
    if let Some(points) = plot.failpoints {
        let process = points.process;
        told.push(Told { process, name: FAILPOINTS, value: points.what.to_owned() });
    }
    let cut = match plot.at_switch {
        AtSwitch::Cut(process) => Some(process),
        AtSwitch::CutBefore => Some("gateway"),
        AtSwitch::Nothing | AtSwitch::Freeze(_) | AtSwitch::FreezeControllers => None,
    };
    if let Some(process) = cut {
        let value = crate::servers::postgres::url(control, "control");
        told.push(Told { process: Some(process), name: "CONTROL_DATABASE_URL", value });
    }
    told
}

async fn plant(plot: &Plot, sound: bool, stack: &Stack) -> Result<()> {
    if let (How::Sql(script), false) = (plot.how, sound) {
        for side in ["monolith", "notifications"] {
            let mut database = PgConnection::connect(stack.database(side)?).await?;
            database.execute(AssertSqlSafe(script)).await.context("failed to plant a fault")?;
        }
    }
    if let Meanwhile::SlowMail(time) = plot.meanwhile {
        slow_mail(plot, time).await?;
    }
    Ok(())
}

async fn slow_mail(plot: &Plot, time: Duration) -> Result<()> {
    if matches!(plot.meanwhile, Meanwhile::SlowMail(_)) {
        let milliseconds = u64::try_from(time.as_millis()).unwrap_or_default();
        let body = json!({"milliseconds": milliseconds});
        request::post("http://127.0.0.1:8252", "/smtp/delay", &body).await?;
    }
    Ok(())
}

/// Changes the owner as often as there is time for, or until it is `enough`, without comparing in between.
async fn there_and_back(root: &Root, plot: &Plot, enough: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    let length = if plot.at_switch == AtSwitch::Nothing { LENGTH } else { LONG };
    while begun.elapsed() < length && !enough() {
        let owner = moves::owner(root).await?;
        let left = (length * 2).saturating_sub(begun.elapsed());
        // What is refused is tried again; what the judge finds counts.
        let _ = tokio::time::timeout(left, moves::change(root, owner)).await;
        tokio::time::sleep(REST).await;
    }
    Ok(())
}
