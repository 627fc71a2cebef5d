//! One thread's share of the load.

use std::{
    cell::RefCell,
    io,
    rc::Rc,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{runtime::Runtime, task::LocalSet};
use tokio_util::sync::CancellationToken;

use super::{Plan, Shared, arrivals::Arrivals, line::Lines, tally::Tally, timer::Timer};

/// How often what was counted is shown.
const SHOWN: Duration = Duration::from_millis(250);

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
    lines: Lines,
    tally: RefCell<Tally>,
    shared: Arc<Shared>,
}

/// When a request was due and when it left.
struct Times {
    due: Instant,
    sent: Instant,
    counts: bool,
}

impl Worker {
    pub fn run(self, runtime: &Runtime) {
        let within = Rc::new(Within {
            plan: self.plan.clone(),
            lines: Lines::new(
                self.plan.target.address(),
                self.plan.call.protocol(),
                self.plan.connections,
            ),
            tally: RefCell::default(),
            shared: self.shared.clone(),
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
            within.tally.borrow_mut().failed("timer", || error.to_string());
        }
        within.tally.borrow_mut().processor = processor();
        within.show();
    }

    async fn send(&self, within: &Rc<Within>) -> io::Result<()> {
        let plan = &self.plan;
        let timer = Timer::new()?;
        let mine = plan.in_flight.div_ceil(plan.threads.max(1));
        let mut random = StdRng::seed_from_u64(plan.seed ^ u64::from(self.number + 1));
        let arrivals = Arrivals::new(&plan.shape, plan.length, plan.spacing, plan.seed);
        let others = plan.threads.max(1) as usize;
        for due in arrivals.skip(self.number as usize).step_by(others) {
            let counts = due >= plan.warm_up;
            let due = self.begun + due;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(()),
                slept = timer.until(due) => slept?,
            }
            let sent = Instant::now();
            within.tally.borrow_mut().due(sent.saturating_duration_since(due), counts);
            if within.shared.in_flight.load(Ordering::Relaxed) >= mine {
                within.tally.borrow_mut().shed(counts);
                continue;
            }
            within.shared.in_flight.fetch_add(1, Ordering::Relaxed);
            let trace = random.random_bool(plan.traced).then(|| Trace::new(&mut random));
            tokio::task::spawn_local(within.clone().exchange(Times { due, sent, counts }, trace));
            // Answers that have come are taken before the next one leaves.
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

impl Within {
    async fn exchange(self: Rc<Self>, times: Times, trace: Option<Trace>) {
        let header = trace.as_ref().map(Trace::header);
        let answer = self.lines.send(self.plan.call.message(header), self.plan.timeout).await;
        let ended = Instant::now();
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if !times.counts {
            return;
        }
        let mut tally = self.tally.borrow_mut();
        let missed = match answer {
            Ok(answer) => self.plan.call.wanted.missed_by(&answer),
            Err(broken) => Some((broken.kind.to_owned(), broken.text)),
        };
        let latency = ended.saturating_duration_since(times.due);
        if let Some(trace) = trace {
            tally.traced(latency, trace.id);
        }
        match missed {
            None => tally.ok(latency, ended.saturating_duration_since(times.sent)),
            Some((kind, text)) => tally.failed(&kind, || text),
        }
    }

    fn show(&self) {
        let mut shown = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clone_from(&self.tally.borrow());
    }
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
