//! How long a sender may take: for a head, and for a body by its size; and how long nothing may move of an answer. Somebody
//! who sends a byte now and then, or takes none, would otherwise hold a connection, and what is kept for it, for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep};

/// A sender of a body earns a second by so many bytes, but never more time than it began with.
const BYTES_A_SECOND: u32 = 1024;

/// What is being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// Nothing yet: between two requests a connection may rest.
    Nothing,
    Head,
    Body,
}

/// Counts the time in which the sender was waited for; not the time in which nobody wanted to read.
#[derive(Debug)]
pub struct Pace {
    limit: Duration,
    sending: Sending,
    left: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    /// A head, and then the first bytes of a body, may take this long.
    pub fn new(limit: Duration) -> Self {
        Self { limit, sending: Sending::Nothing, left: limit, waiting: None }
    }

    /// Notes that so many bytes have come, and what is being sent after them.
    pub fn came(&mut self, bytes: usize, sending: Sending) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if sending != self.sending {
            self.sending = sending;
            self.left = self.limit;
        } else if sending == Sending::Body {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.left += Duration::from_secs(1) * bytes / BYTES_A_SECOND;
            self.left = self.left.min(self.limit);
        }
    }

    /// Waits for more; an error once that has taken too long.
    pub fn wait(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        if self.sending == Sending::Nothing {
            return Poll::Pending;
        }
        let left = self.left;
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        end.as_mut().poll(context).map(|()| io::ErrorKind::TimedOut.into())
    }
}

/// Counts how long nothing has moved.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    end: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub fn new(limit: Duration) -> Self {
        Self { limit, end: None }
    }

    /// What was polled; an error once it has been pending for the limit, each time it was.
    pub fn over<T>(&mut self, polled: Poll<T>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(value) = polled {
            self.end = None;
            return Poll::Ready(Ok(value));
        }
        let limit = self.limit;
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(limit)));
        end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(100);

    async fn waited(pace: &mut Pace) -> bool {
        let end = std::future::poll_fn(|context| pace.wait(context).map(drop));
        tokio::time::timeout(LIMIT * 3, end).await.is_ok()
    }

    #[tokio::test]
    async fn a_connection_may_rest_and_a_head_may_not() {
        let mut pace = Pace::new(LIMIT);
        assert!(!waited(&mut pace).await);
        pace.came(1, Sending::Head);
        assert!(waited(&mut pace).await);
    }

    #[tokio::test]
    async fn a_head_earns_no_time_and_a_body_does() {
        for (sending, lasts) in [(Sending::Head, false), (Sending::Body, true)] {
            let mut pace = Pace::new(LIMIT);
            pace.came(1, sending);
            for _ in 0..6 {
                let end = std::future::poll_fn(|context| pace.wait(context).map(drop));
                let _ = tokio::time::timeout(LIMIT / 4, end).await;
                pace.came(1_000, sending);
            }
            assert_eq!(pace.left > Duration::ZERO, lasts, "{sending:?}");
        }
    }

    #[tokio::test]
    async fn what_nobody_reads_costs_the_sender_nothing() {
        let mut pace = Pace::new(LIMIT);
        pace.came(1, Sending::Body);
        tokio::time::sleep(LIMIT * 2).await;
        pace.came(0, Sending::Body);
        assert_eq!(pace.left, LIMIT);
    }
}
