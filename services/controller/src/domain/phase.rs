//! The one word that a person is shown, derived from the facts.

use ficus_mover::{Direction, Side};

use super::{Facts, Stream};

/// Where a move stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Written down; nothing is installed.
    Planned,
    /// Capture and fences are there; nothing flows.
    Prepared,
    Copying,
    Following,
    /// Following, and both sides compared equal.
    Verified,
    Switching,
    /// The service owns; changes flow back.
    Switched,
    Stopped,
    NeedsRebase,
    Error,
    /// The monolith cannot hold what the service has.
    Irreversible,
    /// The monolith's tables are being retired.
    Completing,
    /// Capture, fences and what was copied are being taken away.
    Cancelling,
    Completed,
    Cancelled,
}

impl Phase {
    /// Every phase there is.
    pub const ALL: [Self; 15] = [
        Self::Planned,
        Self::Prepared,
        Self::Copying,
        Self::Following,
        Self::Verified,
        Self::Switching,
        Self::Switched,
        Self::Stopped,
        Self::NeedsRebase,
        Self::Error,
        Self::Irreversible,
        Self::Completing,
        Self::Cancelling,
        Self::Completed,
        Self::Cancelled,
    ];

    /// The phase of these facts; `None` for a combination that must not be.
    pub fn of(facts: &Facts) -> Option<Self> {
        if (facts.stream == Stream::None) != facts.direction.is_none() {
            return None;
        }
        match (facts.unfinished, facts.retired) {
            (true, false) => open(facts),
            (unfinished, true) => retired(facts, unfinished),
            (false, false) => cancelled(facts),
        }
    }

    /// As status spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Prepared => "prepared",
            Self::Copying => "copying",
            Self::Following => "following",
            Self::Verified => "verified",
            Self::Switching => "switching",
            Self::Switched => "switched",
            Self::Stopped => "stopped",
            Self::NeedsRebase => "needs re-base",
            Self::Error => "error",
            Self::Irreversible => "irreversible",
            Self::Completing => "completing",
            Self::Cancelling => "cancelling",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

fn retired(facts: &Facts, unfinished: bool) -> Option<Phase> {
    let legal = facts.owner == Side::Service
        && facts.prepared
        && facts.stream == Stream::None
        && facts.switch.is_none();
    legal.then_some(if unfinished { Phase::Completing } else { Phase::Completed })
}

fn cancelled(facts: &Facts) -> Option<Phase> {
    let legal = facts.owner == Side::Monolith
        && !facts.prepared
        && facts.stream == Stream::None
        && facts.switch.is_none();
    legal.then_some(Phase::Cancelled)
}

fn open(facts: &Facts) -> Option<Phase> {
    if !facts.prepared {
        return unprepared(facts);
    }
    match facts.switch {
        Some((step, to)) => {
            let agrees = step.after_the_point_of_no_return() == (to == facts.owner);
            // Until C9 the stream is still the one towards the new owner.
            let legal = facts.direction.is_some_and(|way| way.target() == to)
                && facts.stream == Stream::Following;
            (legal && agrees).then_some(Phase::Switching)
        }
        None => standing(facts),
    }
}

/// A stream that has stopped for good is that of a move which is being cancelled.
fn unprepared(facts: &Facts) -> Option<Phase> {
    match (facts.owner, facts.switch, facts.stream, facts.direction) {
        (Side::Monolith, None, Stream::None, None) => Some(Phase::Planned),
        (Side::Monolith, None, Stream::Stopped, Some(Direction::Forward)) => {
            Some(Phase::Cancelling)
        }
        _ => None,
    }
}

fn standing(facts: &Facts) -> Option<Phase> {
    if facts.direction.is_some_and(|way| way.source() != facts.owner) {
        return None;
    }
    match (facts.stream, facts.owner) {
        (Stream::None, Side::Monolith) => Some(Phase::Prepared),
        (Stream::Copying, Side::Monolith) => Some(Phase::Copying),
        (Stream::Following, Side::Monolith) if facts.diff.is_some_and(|diff| diff.clean) => {
            Some(Phase::Verified)
        }
        (Stream::Following, Side::Monolith) => Some(Phase::Following),
        (Stream::Following, Side::Service) => Some(Phase::Switched),
        (Stream::Stopped, _) => Some(Phase::Stopped),
        (Stream::NeedsRebase, _) => Some(Phase::NeedsRebase),
        (Stream::Error, _) => Some(Phase::Error),
        (Stream::Irreversible, _) if facts.direction == Some(Direction::Reverse) => {
            Some(Phase::Irreversible)
        }
        (Stream::None | Stream::Copying | Stream::Irreversible, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Step;

    /// Owner, prepared, streams, direction, steps ("" for none), retired, unfinished; written out by hand.
    const LEGAL: &str = "
        monolith false none                              -       -           false true
        monolith false stopped                           forward -           false true
        monolith true  none                              -       -           false true
        monolith true  copying                           forward -           false true
        monolith true  following,stopped                 forward -           false true
        monolith true  needs_rebase,error                forward -           false true
        monolith true  following                         forward C0,C1       false true
        service  true  following                         forward C6,C7,C8    false true
        service  true  following,stopped,irreversible    reverse -           false true
        service  true  needs_rebase,error                reverse -           false true
        service  true  following                         reverse C0,C1       false true
        monolith true  following                         reverse C6,C7,C8    false true
        service  true  none                              -       -           true  true
        service  true  none                              -       -           true  false
        monolith false none                              -       -           false false";

    fn words(facts: &Facts) -> [String; 7] {
        [
            facts.owner.to_string(),
            facts.prepared.to_string(),
            facts.stream.as_str().to_owned(),
            facts.direction.map_or("-".to_owned(), |way| way.to_string()),
            facts.switch.map_or("-".to_owned(), |(step, _)| step.as_str().to_owned()),
            facts.retired.to_string(),
            facts.unfinished.to_string(),
        ]
    }

    fn listed(facts: &Facts) -> bool {
        LEGAL.lines().filter(|line| !line.trim().is_empty()).any(|line| {
            let columns = line.split_whitespace();
            let fits = |(column, word): (&str, String)| column.split(',').any(|c| c == word);
            columns.zip(words(facts)).all(fits)
        })
    }

    fn combinations() -> Vec<Facts> {
        let sides = [Side::Monolith, Side::Service];
        let ways = [None, Some(Direction::Forward), Some(Direction::Reverse)];
        let mut switches = vec![None];
        switches.extend(Step::ALL.into_iter().flat_map(|step| sides.map(|to| Some((step, to)))));
        let mut all = Vec::new();
        for owner in sides {
            for stream in Stream::ALL {
                for direction in ways {
                    for switch in &switches {
                        for bits in 0..8_u8 {
                            all.push(facts(owner, stream, direction, *switch, bits));
                        }
                    }
                }
            }
        }
        all
    }

    fn facts(
        owner: Side,
        stream: Stream,
        direction: Option<Direction>,
        switch: Option<(Step, Side)>,
        bits: u8,
    ) -> Facts {
        Facts {
            capability: "ledger".to_owned(),
            owner,
            epoch: 1,
            attempt: 1,
            switch,
            prepared: bits & 1 != 0,
            stream,
            direction,
            stream_error: String::new(),
            diff: None,
            switched_at: None,
            retired: bits & 2 != 0,
            unfinished: bits & 4 != 0,
        }
    }

    #[test]
    fn exactly_the_legal_combinations_have_a_phase() {
        for facts in combinations() {
            // A switch makes the owner that its stream flows to; no other target is legal.
            let towards = facts.switch.is_none_or(|(_, to)| {
                facts.direction.is_some_and(|direction| direction.target() == to)
            });
            assert_eq!(Phase::of(&facts).is_some(), listed(&facts) && towards, "{facts:?}");
        }
    }
}
