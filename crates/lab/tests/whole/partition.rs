//! A database that falls silent: its connections stay open and nothing passes. Or one that crashes. Requests fail or wait
//! meanwhile; when it answers again all is well within seconds, and nothing is held for ever.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use tokio::task::JoinHandle;
use trellis_lab::servers::Partition;
use trellis_testkit::{Killable, Server, setting};

use crate::http;
use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

const SILENCE: Duration = Duration::from_secs(5);
/// From the end of the silence on, errors may last so long.
const RECOVERY: Duration = Duration::from_secs(3);
const WELL: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(50);
/// Whose databases fall silent in turns.
const PROGRAMS: [&str; 2] = ["monolith", "notifications"];
/// `FICUS_CUTS=200` for a run by hand.
const CUTS: u64 = 4;

/// When each request was sent, and what it was answered if that was wrong.
type Answers = Arc<Mutex<Vec<(Instant, Option<String>)>>>;

/// Reads and writes of both owners, whether or not earlier ones were answered.
async fn ask(gateway: String, person: Person, task: i64, ended: Arc<AtomicBool>, answers: Answers) {
    let mut asking: Vec<JoinHandle<()>> = Vec::new();
    for number in 0.. {
        if ended.load(Ordering::Relaxed) {
            break;
        }
        let (gateway, answers) = (gateway.clone(), Arc::clone(&answers));
        let headers =
            format!("Authorization: Bearer {}\r\nIdempotency-Key: {number}\r\n", person.token());
        let (line, body) = match number % 4 {
            0 => ("GET /v1/inbox".to_owned(), String::new()),
            1 => (format!("GET /v1/tasks/{task}"), String::new()),
            2 => (format!("POST /v1/tasks/{task}/comments"), r#"{"body": "here"}"#.to_owned()),
            _ => ("POST /v1/inbox/read-all".to_owned(), "{}".to_owned()),
        };
        asking.push(tokio::spawn(async move {
            let sent = Instant::now();
            let (status, said) = http::send(&gateway, &line, &headers, &body).await;
            let wrong = (status != 200).then(|| format!("{line} answered {status} {said}"));
            answers.lock().unwrap().push((sent, wrong));
        }));
        tokio::time::sleep(EVERY).await;
    }
    for one in asking {
        one.await.unwrap();
    }
}

/// The program's pools of which connections are in use, each with how many.
async fn in_use(stack: &Stack, program: &str) -> Vec<String> {
    let served = http::send(&stack.metrics(program), "GET /metrics", "", "").await.1;
    let lines = served.lines().filter(|line| line.starts_with("db_client_connection_count{"));
    let mut used: Vec<String> =
        lines.filter(|line| line.contains("\"used\"")).map(str::to_owned).collect();
    assert!(!used.is_empty(), "{program} does not tell its connections: {served}");
    used.retain(|line| !line.ends_with(" 0"));
    used
}

/// A stack with a line that can be cut before each of [`PROGRAMS`]' databases.
async fn partitioned() -> (Stack, Vec<Partition>) {
    let mut partitions = Vec::new();
    let stack = Stack::start_with(async |environment| {
        for name in ["MONOLITH_DATABASE_URL", "NOTIFICATIONS_DATABASE_URL"] {
            let (_, url) = environment.iter_mut().find(|(known, _)| *known == name).unwrap();
            let port = url.parse::<PgConnectOptions>().unwrap().get_port();
            let partition = Partition::before(port).await.unwrap();
            *url = url.replace(&format!(":{port}/"), &format!(":{}/", partition.port));
            partitions.push(partition);
        }
    })
    .await;
    (stack, partitions)
}

/// When every request that is sent is to be answered right, and after what.
type Well = (Range<Instant>, String);

/// Waits, and wants every request that is sent later than `recovery` from now answered right.
async fn well_after(recovery: Duration, answers: &Answers, what: String) -> Well {
    let well_from = Instant::now() + recovery;
    tokio::time::sleep(recovery + WELL).await;
    let well = (well_from..Instant::now(), what);
    // What was sent last has mostly been answered by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_well(&well, answers);
    well
}

fn assert_well((time, what): &Well, answers: &Answers) {
    let answers = answers.lock().unwrap();
    let due: Vec<_> = answers.iter().filter(|(sent, _)| time.contains(sent)).collect();
    let wrong: Vec<_> = due.iter().filter_map(|(_, wrong)| wrong.as_ref()).collect();
    assert!(wrong.is_empty(), "after {what}: {wrong:#?}");
    let expected = WELL.as_millis() / EVERY.as_millis() / 2;
    assert!(due.len() as u128 > expected, "after {what} only {} answers", due.len());
}

/// Ends the asking; now also those have been answered that waited for long.
async fn all_were_well(
    asking: JoinHandle<()>,
    ended: &AtomicBool,
    answers: &Answers,
    well: &[Well],
) {
    ended.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    for well in well {
        assert_well(well, answers);
    }
}

async fn assert_none_held(stack: &Stack) {
    for program in PROGRAMS {
        let (begun, mut held) = (Instant::now(), in_use(stack, program).await);
        while !held.is_empty() {
            assert!(begun.elapsed() < PATIENCE / 4, "{program} holds {held:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            held = in_use(stack, program).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_silent_is_used_again_at_once() {
    let (stack, partitions) = partitioned().await;
    let person = People::of(&stack).new_person().await;
    let task = person.task().await;
    stack.copied().await;
    stack.switch(true).await;

    let (ended, answers) = (Arc::new(AtomicBool::new(false)), Answers::default());
    let asking =
        tokio::spawn(ask(stack.gateway(), person, task, Arc::clone(&ended), Arc::clone(&answers)));
    let mut well = Vec::new();
    for cut in 0..setting("FICUS_CUTS", CUTS) {
        let side = usize::from(cut % 2 == 1);
        let partition = &partitions[side];
        partition.cut();
        tokio::time::sleep(SILENCE).await;
        assert!(!in_use(&stack, PROGRAMS[side]).await.is_empty(), "in silence {cut} nothing waits");
        partition.mend();
        well.push(well_after(RECOVERY, &answers, format!("silence {cut}")).await);
    }
    all_were_well(asking, &ended, &answers, &well).await;
    assert_none_held(&stack).await;
}

/// `FICUS_CRASHES=200` for a run by hand.
const CRASHES: u64 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn databases_that_crash_are_used_again_at_once() {
    let killable = Killable::take().await;
    let stack = Stack::start_on([Server::Killable; 3], async |_| ()).await;
    let person = People::of(&stack).new_person().await;
    let task = person.task().await;
    stack.copied().await;
    stack.switch(true).await;

    let (ended, answers) = (Arc::new(AtomicBool::new(false)), Answers::default());
    let asking = tokio::spawn(ask(
        stack.gateway(),
        person.clone(),
        task,
        Arc::clone(&ended),
        Arc::clone(&answers),
    ));
    let mut well = Vec::new();
    for crash in 0..setting("FICUS_CRASHES", CRASHES) {
        killable.crash().await;
        well.push(well_after(RECOVERY, &answers, format!("crash {crash}")).await);
    }
    all_were_well(asking, &ended, &answers, &well).await;
    assert_none_held(&stack).await;
    stack.has_sent("core").await;
    stack.has_sent("notifications").await;

    // Nobody asks until long after.
    killable.crash().await;
    tokio::time::sleep(RECOVERY).await;
    for line in ["GET /v1/workspaces", "GET /v1/inbox"] {
        let statuses = crowd(&stack.gateway(), &person, line).await;
        assert!(statuses.iter().all(|status| *status == 200), "{line}: {statuses:?}");
    }
}

/// A request is given up after 10 s, and its connection is back in its pool or closed after 5 s more.
const FREE: Duration = Duration::from_secs(15);
/// Enough at once for a pool to open all that it may.
const CROWD: u64 = 100;

/// Reads of one owner, all at once, so that its pool has connections to lose; what each was answered.
async fn crowd(gateway: &str, person: &Person, line: &'static str) -> Vec<u16> {
    let reading = (0..CROWD).map(|_| {
        let (gateway, token) = (gateway.to_owned(), person.token().to_owned());
        tokio::spawn(async move {
            http::send(&gateway, line, &format!("Authorization: Bearer {token}\r\n"), "").await.0
        })
    });
    let mut statuses = Vec::new();
    for one in reading.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_host_is_gone_takes_no_connection_with_it() {
    let (stack, partitions) = partitioned().await;
    let person = People::of(&stack).new_person().await;
    let task = person.task().await;
    stack.copied().await;
    stack.switch(true).await;
    // The hand-over too, in which the mover would hold the relay until it gives its round up, after 3 min.
    stack.has_sent("notifications").await;

    let (gateway, ended, answers) =
        (stack.gateway(), Arc::new(AtomicBool::new(false)), Answers::default());
    let asking =
        ask(gateway.clone(), person.clone(), task, Arc::clone(&ended), Arc::clone(&answers));
    let asking = tokio::spawn(asking);
    let mut well = Vec::new();
    for (partition, line) in partitions.iter().zip(["GET /v1/workspaces", "GET /v1/inbox"]) {
        crowd(&gateway, &person, line).await;
        partition.abandon();
        well.push(well_after(FREE, &answers, line.to_owned()).await);
    }
    all_were_well(asking, &ended, &answers, &well).await;
    assert_none_held(&stack).await;
    // The relays have found their way too.
    stack.has_sent("core").await;
    stack.has_sent("notifications").await;
}
