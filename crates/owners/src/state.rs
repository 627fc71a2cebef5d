//! What this process acts on for one capability, and the rules of time that follow from when it was heard.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use uuid::Uuid;

use crate::{Guard, Side, View, guard::Generation};

/// While a switch is pending, a read is sent only under a renewal asked for less than this ago.
const READ_LEASE: Duration = Duration::from_millis(150);
/// So long a capability with an unfinished move is read, and worked on, without a word from the control
/// database. Under the 40 s after which the controller no longer waits for a silent picker.
const SILENCE: Duration = Duration::from_secs(30);

/// A row of `move`, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub owner: Side,
    pub epoch: i64,
    pub pending: Option<Uuid>,
    /// How much of *pending*'s time was left, by the control database's clock.
    pub pending_left: Duration,
    pub unfinished: bool,
    pub retired: bool,
}

impl Heard {
    pub(crate) const NO_MOVE: Self = Self {
        owner: Side::Monolith,
        epoch: 0,
        pending: None,
        pending_left: Duration::ZERO,
        unfinished: false,
        retired: false,
    };
}

/// What a round trip says of one capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub epoch: i64,
    pub pending: Option<Uuid>,
    pub quiet: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    heard: Heard,
    /// When the round trip that brought `heard` was begun, which is before the row was read.
    asked_at: Option<Instant>,
    /// When *pending* is over by time; never before it is over in the control database.
    pending_until: Option<Instant>,
    generation: Arc<Generation>,
    earlier: Vec<Arc<Generation>>,
    drained: Arc<Notify>,
}

impl State {
    pub(crate) fn new(drained: Arc<Notify>) -> Self {
        Self {
            heard: Heard::NO_MOVE,
            asked_at: None,
            pending_until: None,
            generation: Generation::new(Arc::clone(&drained)),
            earlier: Vec::new(),
            drained,
        }
    }

    pub(crate) fn view(&self, now: Instant) -> View {
        View {
            owner: self.heard.owner,
            epoch: self.heard.epoch,
            pending: self.heard.pending.filter(|_| self.pending_until.is_some_and(|end| now < end)),
            unfinished: self.heard.unfinished,
            retired: self.heard.retired,
        }
    }

    /// Whether `move` was last read with a *pending*, its time over or not: leases hold until it is gone.
    pub(crate) const fn leased(&self) -> bool {
        self.heard.pending.is_some()
    }

    pub(crate) fn may_read(&self, now: Instant) -> bool {
        let Some(asked_at) = self.asked_at else { return false };
        let silent = now.saturating_duration_since(asked_at);
        if self.leased() { silent < READ_LEASE } else { !self.heard.unfinished || silent < SILENCE }
    }

    /// Whether a side effect may begin as `side`. A worker that is cut off would repeat what the new owner
    /// does: the fence stops its writes, not its mails.
    pub(crate) fn may_work(&self, now: Instant, side: Side) -> bool {
        let view = self.view(now);
        let cut_off = self.heard.unfinished
            && self.asked_at.is_none_or(|at| now.saturating_duration_since(at) >= SILENCE);
        view.owner == side && view.pending.is_none() && !cut_off
    }

    pub(crate) fn begin(&self, now: Instant) -> Guard {
        self.generation.guard(self.view(now))
    }

    /// What may be acknowledged now: what is acted on already.
    pub(crate) fn said(&mut self) -> Said {
        self.earlier.retain(|generation| !generation.is_over());
        match self.asked_at {
            None => Said::default(),
            Some(_) => Said {
                epoch: self.heard.epoch,
                pending: self.heard.pending,
                quiet: self.earlier.is_empty(),
            },
        }
    }

    /// From here on the process acts on a new owner of a move that it knows; false if it knew that too. It is no
    /// word on anything else, and renews nothing.
    pub(crate) fn told(&mut self, epoch: i64, owner: Side) -> bool {
        let new = self.heard.unfinished && epoch > self.heard.epoch;
        if new {
            self.heard = Heard { owner, epoch, ..self.heard };
        }
        new
    }

    /// From here on the process acts on `heard`, but for an owner of the past: an epoch never goes back. What says so was
    /// read before a newer owner was told, or in a control database that has lost it, as after a failover or from a
    /// backup; and then the owner goes on serving those who know it.
    pub(crate) fn take(&mut self, heard: Heard, asked_at: Instant, received_at: Instant) {
        let heard = if heard.epoch < self.heard.epoch {
            Heard { pending: heard.pending, pending_left: heard.pending_left, ..self.heard }
        } else {
            heard
        };
        if heard.pending != self.heard.pending {
            let next = Generation::new(Arc::clone(&self.drained));
            self.generation.close();
            self.earlier.push(std::mem::replace(&mut self.generation, next));
        }
        // Counted from the receipt, so never shorter than in the control database.
        self.pending_until = heard.pending.map(|_| received_at + heard.pending_left);
        self.heard = heard;
        self.asked_at = Some(asked_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(left: Duration) -> Heard {
        Heard {
            epoch: 4,
            pending: Some(Uuid::from_u128(7)),
            pending_left: left,
            unfinished: true,
            ..Heard::NO_MOVE
        }
    }

    fn state(heard: Heard, at: Instant) -> State {
        let mut state = State::new(Arc::new(Notify::new()));
        state.take(heard, at, at);
        state
    }

    #[test]
    fn before_anything_was_heard_nothing_is_read_and_nothing_acknowledged() {
        let mut state = State::new(Arc::new(Notify::new()));
        assert!(!state.may_read(Instant::now()));
        assert_eq!(state.said(), Said::default());
    }

    #[test]
    fn under_pending_a_read_needs_a_renewal_younger_than_150_ms() {
        let start = Instant::now();
        let state = state(pending(Duration::from_secs(3)), start);
        assert!(state.may_read(start + Duration::from_millis(149)));
        assert!(!state.may_read(start + Duration::from_millis(150)));
    }

    #[test]
    fn the_end_of_pending_by_time_ends_buffering_but_not_the_lease() {
        let start = Instant::now();
        let state = state(pending(Duration::from_secs(3)), start);
        let later = start + Duration::from_secs(4);
        assert_eq!(state.view(later).pending, None);
        assert!(!state.may_read(later));
    }

    #[test]
    fn thirty_silent_seconds_end_reads_of_an_unfinished_move_only() {
        let start = Instant::now();
        let unfinished = Heard { unfinished: true, ..Heard::NO_MOVE };
        let later = start + SILENCE;
        let before = start + SILENCE.saturating_sub(Duration::from_millis(1));
        assert!(!state(unfinished, start).may_read(later));
        assert!(state(unfinished, start).may_read(before));
        assert!(state(Heard::NO_MOVE, start).may_read(later));
    }

    #[test]
    fn thirty_silent_seconds_end_work_on_an_unfinished_move() {
        let start = Instant::now();
        let later = start + SILENCE;
        let unfinished = state(Heard { unfinished: true, ..Heard::NO_MOVE }, start);
        assert!(unfinished.may_work(start, Side::Monolith));
        assert!(!unfinished.may_work(start, Side::Service));
        assert!(!unfinished.may_work(later, Side::Monolith));
        assert!(state(Heard::NO_MOVE, start).may_work(later, Side::Monolith));
    }

    #[test]
    fn a_new_owner_that_was_told_is_acknowledged_and_no_older_epoch_takes_it_back() {
        let start = Instant::now();
        let later = start + Duration::from_millis(40);
        let mut state = state(pending(Duration::from_secs(3)), start);
        assert!(state.told(5, Side::Service));
        assert!(!state.told(5, Side::Service) && !state.told(4, Side::Monolith));
        assert_eq!((state.said().epoch, state.view(start).owner), (5, Side::Service));
        assert!(!state.may_read(start + READ_LEASE), "it renews no lease");
        for asked_at in [start, later] {
            state.take(pending(Duration::from_secs(3)), asked_at, later);
            assert_eq!((state.said().epoch, state.view(later).owner), (5, Side::Service));
        }
        state.take(Heard::NO_MOVE, later, later);
        let View { owner, epoch, pending, unfinished, .. } = state.view(later);
        assert_eq!((owner, epoch, pending, unfinished), (Side::Service, 5, None, true));
    }

    #[test]
    fn of_a_move_that_is_not_known_nothing_is_taken_by_hearsay() {
        let start = Instant::now();
        let mut state = state(Heard::NO_MOVE, start);
        assert!(!state.told(1, Side::Monolith));
        assert_eq!(state.said().epoch, 0, "that it is unfinished would not be known");
    }

    #[test]
    fn quiet_waits_for_guards_taken_before_pending_and_for_no_others() {
        let start = Instant::now();
        let mut state = state(Heard::NO_MOVE, start);
        let before = state.begin(start);
        state.take(pending(Duration::from_secs(3)), start, start);
        let after = state.begin(start);
        assert_eq!(before.view().pending, None);
        assert_eq!(after.view().pending, Some(Uuid::from_u128(7)));
        assert!(!state.said().quiet);
        drop(before);
        assert!(state.said().quiet);
        drop(after);
    }
}
