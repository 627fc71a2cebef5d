//! Random walks over all verbs. Controllers die at random places and moments, and the mover's connections are ended;
//! at the end of each walk the journal explains the state, the doctor finds nothing, and no write is lost or doubled.

use std::{collections::BTreeMap, net::SocketAddr, process::Command, time::Duration};

use ficus_control_api::control::v1::{
    CompleteRequest, CreateRequest, Move, Outcome, StatusRequest, SwitchRequest,
    moves_client::MovesClient,
};
use ficus_pg::Pool;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sqlx::Executor;
use tokio::net::TcpStream;
use tonic::{Response, Status, transport::Channel};
use trellis_testkit::{noticed, setting, wait_until};

use crate::{
    lanes::in_lanes,
    shop::{CAPABILITY, Shop, Writers, done, verb},
};

/// `FICUS_WALKS=1000` is more thorough. `FICUS_SEED` is the first walk's seed, the next one's is higher by one: the same
/// verbs, places and delays, though not the same timing.
const WALKS: u64 = 100;
/// Walks side by side: much of their time is the leases of the dead.
const LANES: usize = 6;
const AT_REST: Duration = Duration::from_secs(40);
/// No verb on 500 orders takes as long, whatever dies.
const ANSWERED: Duration = Duration::from_mins(1);

const PLACES: [&str; 24] = [
    "installed",
    "cancelling",
    "cancelling.emptied",
    "cancelling.uninstalled",
    "before.C0",
    "C0",
    "before.C1",
    "C1",
    "before.C2",
    "C2",
    "before.C3",
    "C3",
    "before.C4",
    "C4",
    "before.C5",
    "C5",
    "before.C6",
    "C6",
    "before.C7",
    "C7",
    "before.C8",
    "C8",
    "before.C9",
    "C9",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Create,
    Prepare,
    Start,
    Stop,
    Vdiff,
    Switch,
    Reverse,
    Cancel,
    Complete,
}

const STEPS: [Step; 9] = [
    Step::Create,
    Step::Prepare,
    Step::Start,
    Step::Stop,
    Step::Vdiff,
    Step::Switch,
    Step::Reverse,
    Step::Cancel,
    Step::Complete,
];

/// What happens while a verb is at work.
#[derive(Debug, Clone, Copy)]
enum Blow {
    None,
    /// The leader is killed.
    Kill(Duration),
    /// The mover's sessions in both databases are ended.
    Disconnect(Duration),
}

/// The step that leads on from a phase most of the time, any at all now and then.
fn step(rng: &mut StdRng, phase: &str, compared: bool) -> Step {
    let any = *STEPS.choose(rng).unwrap();
    if rng.random_bool(0.2) {
        return any;
    }
    match phase {
        "" | "cancelled" => Step::Create,
        "planned" => Step::Prepare,
        "prepared" | "stopped" | "error" | "irreversible" => Step::Start,
        "verified" => Step::Switch,
        "switched" if compared && rng.random_bool(0.1) => Step::Complete,
        "switched" if compared => Step::Reverse,
        "copying" | "following" | "switched" => Step::Vdiff,
        "needs re-base" => Step::Cancel,
        _ => any,
    }
}

fn blow(rng: &mut StdRng) -> Blow {
    let after = Duration::from_millis(rng.random_range(0..100));
    match rng.random_range(0..10) {
        0 => Blow::Kill(after),
        1 | 2 => Blow::Disconnect(after),
        _ => Blow::None,
    }
}

/// Where the next controller dies; some do not.
fn failpoint(rng: &mut StdRng) -> String {
    let place = PLACES.choose(rng).unwrap();
    if rng.random_bool(0.7) { format!("controller.{place}=kill") } else { String::new() }
}

type Leader = MovesClient<Channel>;

/// Who leads, and the move as that one tells it: `None` before it was created. Those that die meanwhile, as at a
/// takeover, are replaced.
async fn led(shop: &mut Shop, rng: &mut StdRng, died: &mut usize) -> (Leader, Option<Move>) {
    let mut led = None;
    wait_until("a leader is to tell the state", AT_REST, async || {
        *died += replace(shop, rng).await;
        led = told(shop).await;
        led.is_some()
    })
    .await;
    led.unwrap()
}

async fn told(shop: &Shop) -> Option<(Leader, Option<Move>)> {
    let mut moves = shop.find_leader().await?;
    let request = StatusRequest { capability: String::new(), journal: 1 };
    let mut answer = moves.status(request).await.ok()?.into_inner();
    Some((moves, answer.moves.pop()))
}

async fn ask(moves: &mut Leader, step: Step) -> Result<Outcome, Status> {
    let capability = CAPABILITY.to_owned();
    let switch = SwitchRequest { capability: capability.clone(), dry_run: false, tries: 1 };
    let answer = match step {
        Step::Create => moves.create(CreateRequest { capability, dry_run: false }).await,
        Step::Prepare => moves.prepare(verb()).await,
        Step::Start => moves.start(verb()).await,
        Step::Stop => moves.stop(verb()).await,
        Step::Vdiff => moves.vdiff(verb()).await,
        Step::Switch => moves.switch_traffic(switch).await,
        Step::Reverse => moves.reverse_traffic(switch).await,
        Step::Cancel => moves.cancel(verb()).await,
        Step::Complete => {
            let soak_seconds = Some(0);
            moves.complete(CompleteRequest { capability, dry_run: false, soak_seconds }).await
        }
    };
    answer.map(Response::into_inner)
}

/// The process id of the controller that leads, and its address.
fn leading(shop: &Shop, state: &Move) -> (u32, SocketAddr) {
    let leader = &state.leader;
    let of = |port: u16| leader.ends_with(&format!(":{port}"));
    let leads = shop.controllers.iter().find(|one| of(one.address.port()));
    let leads = leads.unwrap_or(&shop.controllers[0]);
    (leads.program.id(), leads.address)
}

/// One that dies is a process for a while after it has closed its port.
async fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_ok()
}

async fn strike(blow: Blow, (pid, address): (u32, SocketAddr), databases: [Pool; 2]) {
    match blow {
        Blow::None => {}
        Blow::Kill(after) => {
            tokio::time::sleep(after).await;
            // It may be dead already.
            let _ = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).status();
            while listens(address).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        Blow::Disconnect(after) => {
            tokio::time::sleep(after).await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name LIKE 'ficus%:orders%'";
            for database in databases {
                database.execute(end).await.unwrap();
            }
        }
    }
}

/// One more for each controller that is dead; how many those were.
async fn replace(shop: &mut Shop, rng: &mut StdRng) -> usize {
    let (mut alive, before) = (Vec::new(), shop.controllers.len());
    for controller in std::mem::take(&mut shop.controllers) {
        if listens(controller.address).await {
            alive.push(controller);
        }
    }
    shop.controllers = alive;
    let died = before - shop.controllers.len();
    while shop.controllers.len() < 2 {
        shop.controller(&failpoint(rng)).await;
    }
    died
}

/// Waits until nothing is under way and the doctor finds nothing; what it finds else is the test's failure.
async fn healthy(shop: &mut Shop) -> Move {
    let start = std::time::Instant::now();
    loop {
        let told = told(shop).await;
        let found = shop.doctor().await;
        if let (Some((_, Some(state))), Ok(found)) = (&told, &found) {
            let under_way = ["switching", "cancelling", "completing"];
            if found.findings.is_empty() && !under_way.contains(&state.phase.as_str()) {
                return state.clone();
            }
        }
        assert!(start.elapsed() < AT_REST, "not at rest: {found:?}, {told:#?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Compares what was acknowledged with the owner's rows, and both sides while changes flow.
async fn judge(shop: &mut Shop, writers: Writers) -> Move {
    let before = writers.count();
    wait_until("writes are to go on", AT_REST, async || writers.count() > before + 4).await;
    let state = healthy(shop).await;
    if !state.direction.is_empty() && state.stream == "following" {
        let mut moves = shop.leader().await;
        done(&moves.vdiff(verb()).await.unwrap().into_inner());
    }
    let acknowledged = writers.stop().await;
    if state.stream == "following" {
        shop.until_equal(AT_REST).await;
    }
    let customers = shop.customers(state.owner == "service").await;
    for customer in &acknowledged {
        assert_eq!(customers.get(customer), Some(&1), "{customer} in {}", state.phase);
    }
    assert_eq!(customers.len(), acknowledged.len() + 500, "{}", state.phase);
    healthy(shop).await
}

/// What walks came to.
#[derive(Debug, Default)]
struct Walked {
    steps: usize,
    refused: usize,
    cut_off: usize,
    /// Controllers that died.
    died: usize,
    /// How often each verb was carried out.
    done: BTreeMap<Step, usize>,
    end: String,
}

impl Walked {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.refused += other.refused;
        self.cut_off += other.cut_off;
        self.died += other.died;
        for (step, times) in &other.done {
            *self.done.entry(*step).or_default() += times;
        }
        self.end = format!("{} {}", self.end, other.end);
    }
}

async fn walk(seed: u64) -> Walked {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut shop = Shop::new().await;
    let writers = Writers::gentle(&shop).await;
    let mut walked = Walked { steps: rng.random_range(6..=14), ..Walked::default() };
    let mut path = Vec::new();
    for number in 0..walked.steps {
        let (mut moves, state) = led(&mut shop, &mut rng, &mut walked.died).await;
        let state = state.unwrap_or_default();
        // The first one is created, so that there is a state to end in.
        let step = if number == 0 {
            Step::Create
        } else {
            let clean = state.diff.is_some_and(|diff| diff.clean);
            step(&mut rng, &state.phase, clean)
        };
        let blow = if number == 0 { Blow::None } else { blow(&mut rng) };
        path.push(format!("{} {step:?} {blow:?}", state.phase));
        let leader = leading(&shop, &state);
        let databases = [shop.monolith.clone(), shop.service.clone()];
        let striking = tokio::spawn(strike(blow, leader, databases));
        let asking = tokio::time::timeout(ANSWERED, ask(&mut moves, step)).await;
        match asking.unwrap_or_else(|_| panic!("walk {seed}: no answer: {path:#?}")) {
            Ok(outcome) if outcome.done => *walked.done.entry(step).or_default() += 1,
            Ok(_) => walked.refused += 1,
            Err(_) => walked.cut_off += 1,
        }
        striking.await.unwrap();
    }
    println!("walk {seed}: {path:?}");
    // One that dies nowhere, beside those that may.
    shop.controller("").await;
    walked.end = judge(&mut shop, writers).await.phase;
    walked
}

#[test]
fn random_walks_end_where_the_journal_says_and_the_doctor_finds_nothing() {
    let first = setting("FICUS_SEED", u64::from(std::process::id()) * 10_000);
    let walks = setting("FICUS_WALKS", WALKS);
    println!("FICUS_SEED={first} FICUS_WALKS={walks}");
    let replay = |seed| format!("FICUS_SEED={seed} FICUS_WALKS=1 walks it again");
    let mut sum = Walked::default();
    for walked in in_lanes(LANES, first..first + walks, replay, walk) {
        sum.add(&walked);
    }
    println!("{sum:?}");
    assert!(sum.refused < sum.steps / 2, "most of it was refused: {sum:?}");
    // Fewer walks may miss a verb by chance.
    if walks >= WALKS {
        let missed: Vec<_> = STEPS.iter().filter(|step| !sum.done.contains_key(*step)).collect();
        assert!(missed.is_empty() && sum.died > 0, "{missed:?} were never carried out: {sum:?}");
    }
}

/// The shortest walk that needs a takeover to open the owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_walk_that_ends_behind_the_fence_is_healed() {
    let mut shop = Shop::new().await;
    shop.controller("controller.C1=kill").await;
    let writers = Writers::gentle(&shop).await;
    shop.verified().await;
    assert!(shop.switch_once(true).await.is_err(), "it was to die");
    shop.controllers.clear();
    shop.controller("").await;
    healthy(&mut shop).await;
    judge(&mut shop, writers).await;
}

#[test]
fn an_owner_that_is_not_opened_again_is_noticed() {
    let walk = "walks::a_walk_that_ends_behind_the_fence_is_healed";
    noticed("heal-off", walk, &["the monolith's fence is Shut, not Open"]);
}
