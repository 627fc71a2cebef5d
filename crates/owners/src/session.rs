//! The picker's connections to the control database: one that listens, one that asks and acknowledges.
//!
//! A round trip is one statement: it writes down what this process already acts on and reads `move`. What
//! it read is published, and if that may be acknowledged, the next round trip follows at once. A notification
//! names owner and epoch: a change of owner is acted on before it is read, so the first round trip after it
//! acknowledges it already. Everything else is read.

use std::{
    convert::Infallible,
    future::pending,
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    Side,
    owners::Shared,
    round::{self, Round},
    state::Said,
};

const POLL: Duration = Duration::from_secs(1);
/// Under a third of the lease that it renews.
const RENEW: Duration = Duration::from_millis(50);
/// Bounds every connection attempt and every statement, so that a connection whose other end is gone is
/// given up.
const PATIENCE: Duration = Duration::from_secs(1);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// A picker that was silent for longer registers anew: the controller may no longer wait for it.
const SURELY_REGISTERED: Duration = Duration::from_secs(10);

/// What the controllers know this process by.
struct KnownAs {
    given: String,
    name: String,
    /// Of those that were given this name, in the order in which they gave way; 1 goes by the name itself.
    number: u32,
    instance: Uuid,
    /// Whether this process has had a name.
    registered: bool,
}

impl KnownAs {
    #[expect(clippy::disallowed_methods, reason = "who takes this crate home takes no other")]
    fn new(given: &str) -> Self {
        let (given, name, instance) = (given.to_owned(), given.to_owned(), Uuid::new_v4());
        Self { given, name, number: 1, instance, registered: false }
    }

    /// Another process was given the same name. Under one name the one would acknowledge for the other, which a switch
    /// would then not wait for. Names of the dead are used again, so that there are never more than were alive at once.
    fn give_way(&mut self) {
        self.number += 1;
        self.name = format!("{}~{}", self.given, self.number);
        tracing::warn!(
            picker = self.given,
            now = self.name,
            "another process has this name too; give each one of its own"
        );
    }
}

/// Runs on a thread of its own until the picker has left or the caller's runtime has ended: a switch waits for every
/// picker's acknowledgement, and reads wait for its lease, so neither may stand in line behind requests.
pub(crate) fn spawn(
    options: PgConnectOptions,
    shared: Arc<Shared>,
    first: watch::Sender<bool>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (alive, ended) = oneshot::channel::<Infallible>();
    tokio::spawn(async move {
        let _alive = alive;
        pending::<()>().await;
    });
    let thread = std::thread::Builder::new().name("owners".to_owned());
    thread.spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                () = run(options, shared, first) => {}
                _ = ended => {}
            }
        });
    })?;
    Ok(())
}

/// Marks `first` once the owners have been read.
async fn run(options: PgConnectOptions, shared: Arc<Shared>, first: watch::Sender<bool>) {
    let options = options
        .application_name(&format!("ficus-owners {}", shared.picker))
        .options([("statement_timeout", "2s"), ("synchronous_commit", "off")])
        .disable_statement_logging();
    let mut backoff = BACKOFF.0;
    let mut known_as = KnownAs::new(&shared.picker);
    while !shared.leaving.load(Ordering::Acquire) {
        if let Ok(Ok(connection)) = timeout(PATIENCE, options.connect()).await {
            // A listener whose host is gone would not notice; who asks does.
            let listening = tokio::spawn(listen(options.clone(), Arc::clone(&shared)));
            let error = converse(connection, &shared, &mut known_as, &first, &mut backoff).await;
            listening.abort();
            if let Err(error) = error {
                tracing::warn!(%error, picker = %shared.picker, "lost the control database; going on from the last view");
            }
        }
        tokio::select! {
            () = sleep(backoff) => {}
            () = shared.wake.notified() => {}
        }
        backoff = (backoff * 2).min(BACKOFF.1);
    }
    shared.left.notify_waiters();
}

/// Round trips on one connection, until it fails or the picker leaves.
async fn converse(
    mut connection: PgConnection,
    shared: &Shared,
    known_as: &mut KnownAs,
    first: &watch::Sender<bool>,
    backoff: &mut Duration,
) -> Result<(), sqlx::Error> {
    let mut registered_at: Option<Instant> = None;
    loop {
        if shared.leaving.load(Ordering::Acquire) {
            let leaving = round::leave(&mut connection, &known_as.name, known_as.instance);
            return bounded(leaving).await;
        }
        let said = say(shared);
        let asked_at = Instant::now();
        let KnownAs { ref name, instance, registered, .. } = *known_as;
        let round = Round { picker: name, instance, role: shared.role, said: &said };
        let rows = match registered_at {
            Some(at) if at.elapsed() < SURELY_REGISTERED => {
                bounded(round::renew(&mut connection, &round)).await?
            }
            _ => bounded(round::register(&mut connection, &round, !registered)).await?,
        };
        if round::taken_over(&rows) {
            known_as.give_way();
            registered_at = None;
            continue;
        }
        let received_at = Instant::now();
        known_as.registered = true;
        registered_at = Some(asked_at);
        for name in shared.names() {
            shared.take(name, round::find(&rows, name), asked_at, received_at);
        }
        first.send_replace(true);
        *backoff = BACKOFF.0;
        rest(shared, &said, asked_at).await;
    }
}

/// Until there is something new to say or to ask.
async fn rest(shared: &Shared, said: &[(String, Said)], asked_at: Instant) {
    if say(shared) != said {
        return;
    }
    let interval = if leased(shared) { RENEW } else { POLL };
    tokio::select! {
        () = sleep(interval.saturating_sub(asked_at.elapsed())) => {}
        () = shared.wake.notified() => {}
    }
}

fn say(shared: &Shared) -> Vec<(String, Said)> {
    let saying = |name: &String| Some((name.clone(), shared.state(name)?.said()));
    shared.names().filter_map(saying).collect()
}

fn leased(shared: &Shared) -> bool {
    shared.names().any(|name| shared.state(name).is_some_and(|state| state.leased()))
}

async fn bounded<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Wakes the conversation for every notification, and whenever some may have been missed.
async fn listen(options: PgConnectOptions, shared: Arc<Shared>) {
    let mut backoff = BACKOFF.0;
    loop {
        if let Ok(mut listener) = bounded(listener(&options)).await {
            backoff = BACKOFF.0;
            shared.wake.notify_one();
            while let Ok(Some(notification)) = listener.try_recv().await {
                if let Some((capability, epoch, owner)) = told(notification.payload()) {
                    shared.told(capability, epoch, owner);
                }
                shared.wake.notify_one();
            }
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

/// Capability, epoch and owner, as the control database tells them with every change.
fn told(payload: &str) -> Option<(&str, i64, Side)> {
    let mut words = payload.split(' ');
    let told = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(told)
}

async fn listener(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen("ficus_move").await?;
    Ok(listener)
}
