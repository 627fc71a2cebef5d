//! What the control database and the leader know.

use std::time::Duration;

use super::Findings;
use crate::domain::{Entry, Facts, Phase, Progress, Stream, unexplained};

/// A stream that is further behind, or has not ended a round for so long, needs a look.
const LATE: Duration = Duration::from_secs(5);

pub(super) fn check(
    facts: &Facts,
    journal: &[Entry],
    progress: Option<&Progress>,
    found: &mut Findings,
) {
    let contradiction = Phase::of(facts)
        .is_none()
        .then(|| format!("the control row contradicts itself: {facts:?}; read the journal"));
    found.check("the facts fit each other", contradiction);
    let unexplained = unexplained(journal, facts).map(|why| {
        format!("the journal does not explain the control row: {why}; see who has written there, and put it right")
    });
    found.check("the journal explains the facts", unexplained);
    found.check("the stream has not stopped by an error", broken(facts));
    if facts.stream.flows() {
        found.check("the stream moves", stuck(facts, progress));
    }
}

fn broken(facts: &Facts) -> Option<String> {
    match facts.stream {
        Stream::NeedsRebase => Some(format!(
            "the stream needs a re-base: {}; while the monolith owns, cancel it and create it anew",
            facts.stream_error
        )),
        Stream::Error | Stream::Irreversible => Some(format!(
            "the stream is in {}: {}; mend it, then start",
            facts.stream.as_str(),
            facts.stream_error
        )),
        _ => None,
    }
}

fn stuck(facts: &Facts, progress: Option<&Progress>) -> Option<String> {
    let Some(progress) = progress else {
        return Some("no controller has the move in hand; restart the controllers".to_owned());
    };
    if !progress.trouble.is_empty() {
        return Some(format!("the stream does not move: {}; mend that", progress.trouble));
    }
    let still = progress.round_at.map(|at| at.elapsed()).filter(|still| *still > LATE);
    if let Some(still) = still {
        let seconds = still.as_secs();
        return Some(format!(
            "the stream has not ended a round for {seconds} s; see that both databases answer, then restart the \
             controllers"
        ));
    }
    // While rows are copied, it is no nearer than the copy is.
    (facts.stream == Stream::Following && progress.lag > LATE).then(|| {
        let seconds = progress.lag.as_secs();
        format!("the stream is {seconds} s behind; see what the databases are busy with")
    })
}
