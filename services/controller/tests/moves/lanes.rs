//! Repetitions of a test side by side. Each lane has a thread and a runtime of its own, for some of what a repetition
//! does blocks its thread.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tokio::runtime::Builder;

/// Does `work` with each number, in so many lanes; fails with `replay` said of the first number whose work failed.
pub fn in_lanes<T: Send>(
    lanes: usize,
    numbers: Range<u64>,
    replay: impl Fn(u64) -> String,
    work: impl AsyncFn(u64) -> T + Sync,
) -> Vec<T> {
    let next = AtomicU64::new(numbers.start);
    let lane = || {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::AcqRel);
            if number >= numbers.end {
                return done;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(work(number))));
            done.push((number, outcome));
        }
    };
    let done: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        running.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    let failed = |number| panic!("failed: {}", replay(number));
    done.into_iter().map(|(number, outcome)| outcome.unwrap_or_else(|_| failed(number))).collect()
}
