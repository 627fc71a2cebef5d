//! One thread's share of the load.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    rc::Rc,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Runtime, sync::Notify, task::LocalSet};
use tokio_util::sync::CancellationToken;

use super::{
    Plan, Shared,
    line::Lines,
    mix::{Mix, Offer},
    series::Series,
    tally::Tally,
    target::Protocol,
    timer::Timer,
};

/// How often what was counted is shown.
const SHOWN: Duration = Duration::from_millis(250);
/// Requests that are due already leave so many at a time.
const AT_ONCE: u32 = 16;

pub(super) struct Worker {
    pub number: u32,
    pub begun: Instant,
    pub plan: Arc<Plan>,
    pub stop: CancellationToken,
    pub shared: Arc<Shared>,
}

/// What the requests of a worker share.
struct Within {
    plan: Arc<Plan>,
    /// As the plan's offers, which may share them.
    lines: Vec<Rc<Lines>>,
    tally: RefCell<Tally>,
    /// What has not been shown yet.
    recent: RefCell<Series>,
    shared: Arc<Shared>,
    /// A request has ended.
    ended: Notify,
}

/// A request: which call, when it was due and when it left.
struct Sent {
    offer: usize,
    call: usize,
    number: u64,
    /// Since the run began.
    at: Duration,
    due: Instant,
    left: Instant,
    counts: bool,
}

impl Worker {
    pub fn run(self, runtime: &Runtime) {
        let within = Rc::new(Within {
            plan: self.plan.clone(),
            lines: lines(&self.plan),
            tally: RefCell::default(),
            recent: RefCell::default(),
            shared: self.shared.clone(),
            ended: Notify::new(),
        });
        let local = LocalSet::new();
        let sent = local.block_on(runtime, async {
            let showing = tokio::task::spawn_local(show_on(within.clone()));
            let sent = self.send(&within).await;
            while within.shared.in_flight.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            showing.abort();
            sent
        });
        if let Err(error) = sent {
            within.tally.borrow_mut().failed(0, "timer", || error.to_string());
        }
        within.tally.borrow_mut().processor = processor();
        within.show();
    }

    async fn send(&self, within: &Rc<Within>) -> io::Result<()> {
        let plan = &self.plan;
        let timer = Timer::new()?;
        let threads = plan.threads.max(1);
        let mine = plan.in_flight.div_ceil(threads);
        // Among the threads of all testers that share the load, however many threads the others have.
        let place = self.number * plan.share.of + plan.share.part;
        let mut random = StdRng::seed_from_u64(plan.seed ^ u64::from(place + 1));
        let mut traces = StdRng::seed_from_u64(plan.traces ^ u64::from(place + 1));
        let arrivals = plan.schedule.arrivals(plan.length, plan.seed);
        let mix = Mix::new(plan);
        let all = (plan.share.of * threads) as usize;
        // While no more may be in flight, what is due is shed: from when until when that was so, once it is known.
        let mut full = None;
        let mut without_rest = 0;
        for (number, at) in (0..).zip(arrivals).skip(place as usize).step_by(all) {
            let counts = at >= plan.warm_up;
            let due = self.begun + at;
            let was_full = full.filter(|(_, until)| due <= *until);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                () = std::future::ready(()), if was_full.is_some() => {}
                slept = timer.until(due) => slept?,
            }
            // What is shed now would have been shed when the bound was met.
            let left = was_full.map_or_else(Instant::now, |(from, _)| due.max(from));
            let (offer, call) = mix.draw(&mut random);
            let number = plan.first_number + number;
            let sent = Sent { offer, call, number, at, due, left, counts };
            within.due(&sent);
            if was_full.is_some() {
                within.shed(&sent);
                continue;
            }
            if within.shared.in_flight.load(Ordering::Relaxed) >= mine {
                within.shed(&sent);
                full = Some((left, within.room(mine).await));
                continue;
            }
            within.shared.in_flight.fetch_add(1, Ordering::Relaxed);
            let trace = random.random_bool(plan.traced).then(|| Trace::new(&mut traces));
            tokio::task::spawn_local(within.clone().exchange(sent, trace));
            without_rest += 1;
            if without_rest == AT_ONCE {
                without_rest = 0;
                // Answers that have come are taken before more leaves.
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }
}

/// Counted as long as it lives.
struct InFlight<'w>(&'w Within);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.notify_one();
    }
}

impl Within {
    /// Waits until fewer are in flight, or for a moment; until when that was not so.
    async fn room(&self, most: u32) -> Instant {
        let fewer = async {
            while self.shared.in_flight.load(Ordering::Relaxed) >= most {
                self.ended.notified().await;
            }
        };
        let _ = tokio::time::timeout(SHOWN, fewer).await;
        Instant::now()
    }

    fn due(&self, sent: &Sent) {
        self.recent.borrow_mut().at(sent.at).due += 1;
        if sent.counts {
            let lag = sent.left.saturating_duration_since(sent.due);
            self.tally.borrow_mut().due(sent.offer, lag);
        }
    }

    fn shed(&self, sent: &Sent) {
        self.recent.borrow_mut().at(sent.at).shed += 1;
        if sent.counts {
            self.tally.borrow_mut().shed(sent.offer);
        }
    }

    async fn exchange(self: Rc<Self>, sent: Sent, trace: Option<Trace>) {
        let in_flight = InFlight(&self);
        let header = trace.as_ref().map(Trace::header);
        let call = &self.plan.offers[sent.offer].calls[sent.call];
        let line = &self.lines[sent.offer];
        let answer = line.send(call, sent.number, header, self.plan.timeout).await;
        let ended = Instant::now();
        drop(in_flight);
        let missed = match answer {
            Ok(answer) => call.missed_by(&answer),
            Err(broken) => Some((broken.kind.to_owned(), broken.text)),
        };
        let latency = ended.saturating_duration_since(sent.due);
        let mut recent = self.recent.borrow_mut();
        match missed {
            None => recent.at(sent.at).answered(latency),
            Some(_) => recent.at(sent.at).failed += 1,
        }
        if !sent.counts {
            return;
        }
        let mut tally = self.tally.borrow_mut();
        tally.ended = tally.ended.max(sent.at + latency);
        if let Some(trace) = trace {
            tally.traced(latency, trace.id);
        }
        match missed {
            None => tally.ok(sent.offer, latency, ended.saturating_duration_since(sent.left)),
            Some((kind, text)) => tally.failed(sent.offer, &kind, || text),
        }
    }

    fn show(&self) {
        let mut shown = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone_from(&self.tally.borrow());
        drop(shown);
        let mut series = self.shared.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.take(&mut self.recent.borrow_mut());
    }
}

/// Connections for each offer; those to one server by one protocol are the same.
fn lines(plan: &Plan) -> Vec<Rc<Lines>> {
    let mut known = BTreeMap::new();
    let of = |offer: &Offer| {
        let protocol = offer.calls.first().map_or(Protocol::Http, |call| call.kind.protocol());
        let open = || {
            let (dialer, server) = (plan.dialer.clone(), offer.server.clone());
            Rc::new(Lines::new(dialer, server, protocol, plan.connections))
        };
        known.entry((offer.server.clone(), protocol)).or_insert_with(open).clone()
    };
    plan.offers.iter().map(of).collect()
}

async fn show_on(within: Rc<Within>) {
    loop {
        tokio::time::sleep(SHOWN).await;
        within.tally.borrow_mut().processor = processor();
        within.show();
    }
}

/// What this thread has taken of the processor.
fn processor() -> Duration {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        let of = |time: nix::sys::time::TimeVal| {
            let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(u64::try_from(micros).unwrap_or_default())
        };
        getrusage(UsageWho::RUSAGE_THREAD)
            .map(|usage| of(usage.user_time()) + of(usage.system_time()))
            .unwrap_or_default()
    }
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}

/// Of <https://www.w3.org/TR/trace-context/>.
struct Trace {
    id: u128,
    span: u64,
}

impl Trace {
    fn new(random: &mut StdRng) -> Self {
        // Neither may be 0.
        Self { id: random.random_range(1..=u128::MAX), span: random.random_range(1..=u64::MAX) }
    }

    fn header(&self) -> (HeaderName, HeaderValue) {
        let value = format!("00-{:032x}-{:016x}-01", self.id, self.span);
        let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
        (HeaderName::from_static("traceparent"), value)
    }
}
