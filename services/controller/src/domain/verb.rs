//! What may be asked of a move, by its phase.

use super::{Facts, Phase, Refusal};

/// What can be done with a move that is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Prepare,
    Start,
    Stop,
    Vdiff,
    SwitchTraffic,
    ReverseTraffic,
    Complete,
    Cancel,
}

impl Verb {
    /// As the command line spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Vdiff => "vdiff",
            Self::SwitchTraffic => "switch-traffic",
            Self::ReverseTraffic => "reverse-traffic",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
        }
    }
}

/// Why the verb does not fit the move as it stands; `None` when it fits.
pub fn refusal(verb: Verb, facts: &Facts) -> Option<Refusal> {
    let Some(phase) = Phase::of(facts) else {
        return Some(Refusal::new(
            "state",
            "the facts in the control database contradict each other",
            "read the journal with `status`; nothing is done before it is mended",
        ));
    };
    if fits(verb, phase, facts) {
        return None;
    }
    let reason = format!("{} is not possible while the move is {}", verb.as_str(), phase.as_str());
    Some(Refusal::new("state", reason, next_step(phase, facts)))
}

fn fits(verb: Verb, phase: Phase, facts: &Facts) -> bool {
    use ficus_mover::Side::{Monolith, Service};
    match verb {
        Verb::Prepare => matches!(phase, Phase::Planned | Phase::Prepared),
        Verb::Start => {
            matches!(phase, Phase::Prepared | Phase::Stopped | Phase::Error | Phase::Irreversible)
                || facts.stream.flows()
        }
        Verb::Stop | Verb::Vdiff => facts.stream.flows() && phase != Phase::Switching,
        Verb::SwitchTraffic => facts.owner == Monolith && facts.stream.flows(),
        Verb::ReverseTraffic => facts.owner == Service && facts.stream.flows(),
        Verb::Complete => matches!(phase, Phase::Switched | Phase::Completing),
        Verb::Cancel => facts.owner == Monolith && facts.unfinished && phase != Phase::Switching,
    }
}

fn next_step(phase: Phase, facts: &Facts) -> &'static str {
    match phase {
        Phase::Planned => "prepare it first",
        Phase::Prepared | Phase::Stopped => "start it first",
        Phase::Copying | Phase::Following => "wait until it is verified: `vdiff` waits",
        Phase::Verified => "`switch-traffic` makes the service the owner",
        Phase::Switching => "wait for the switch to end: `status` tells",
        Phase::Switched => "`reverse-traffic` makes the monolith the owner again",
        Phase::NeedsRebase => {
            "while the monolith owns it: cancel it, then create, prepare and start it anew"
        }
        Phase::Error if facts.epoch > 1 => "mend the row that `status` names, then start it",
        Phase::Error => "mend the row that `status` names, then start it, or cancel it",
        Phase::Irreversible => "mend the row that `status` names, then start it",
        Phase::Completing => "complete it: its completion was cut off",
        Phase::Cancelling => "wait until it is cancelled: `status` tells",
        Phase::Completed => "nothing is left to do",
        Phase::Cancelled => "create it anew",
    }
}
