//! Looking for what should not be.

use std::time::Duration;

use ficus_mover::{FenceState, Mover, Side};

use super::Desk;
use crate::{
    domain::{Facts, Phase, Stream},
    error::Result,
    store::Store,
};

/// A relay that is further behind than this needs a look.
const RELAY_LAG: Duration = Duration::from_secs(5);

/// What was looked at, and what is wrong, a line each with the next step.
#[derive(Debug, Default)]
pub struct Findings {
    pub findings: Vec<String>,
    pub checked: Vec<String>,
}

impl Findings {
    fn check(&mut self, what: impl Into<String>, wrong: Option<String>) {
        self.checked.push(what.into());
        self.findings.extend(wrong);
    }
}

impl Desk {
    /// Looks over one move; changes nothing.
    pub async fn doctor(&self, store: &Store, facts: &Facts) -> Result<Findings> {
        let mut found = Findings::default();
        found.check("the facts fit each other", contradiction(facts));
        found.check("the stream has not stopped by an error", broken_stream(facts));
        let silent = store.not_current(&facts.capability, facts.epoch).await?.missing;
        let silent = (!silent.is_empty())
            .then(|| format!("silent or late: {}; see that they run", silent.join(", ")));
        found.check("every picker acts on the present epoch", silent);
        if facts.prepared && facts.unfinished && !facts.retired {
            let mover = self.mover(store.definition(&facts.capability).await?)?;
            self.doctor_databases(&mover, facts, &mut found).await?;
        }
        Ok(found)
    }

    async fn doctor_databases(
        &self,
        mover: &Mover,
        facts: &Facts,
        found: &mut Findings,
    ) -> Result<()> {
        for refusal in mover.check_capture().await? {
            let line = format!("{}: {}; {}", refusal.name, refusal.reason, refusal.next_step);
            found.findings.push(line);
        }
        found.checked.push("capture is enabled on both sides".to_owned());
        for side in [Side::Monolith, Side::Service] {
            let wanted = if side == facts.owner { FenceState::Open } else { FenceState::Shut };
            let state = mover.fence_state(side).await?;
            let wrong = (state != wanted && facts.switch.is_none()).then(|| {
                format!("the {side}'s fence is {state:?}, not {wanted:?}; restart the controllers, which mends it")
            });
            found.check(format!("the {side}'s fence is as the owner demands"), wrong);
            found.check(format!("the {side}'s relay keeps up"), self.relay(side).await?);
        }
        Ok(())
    }

    async fn relay(&self, side: Side) -> Result<Option<String>> {
        let lag = self.relay_lag(side).await?;
        if let Some(reason) = lag.stopped {
            return Ok(Some(format!("the {side}'s relay has stopped: {reason}")));
        }
        let late = lag.age.as_secs_f64();
        let held = if lag.held { ", held" } else { "" };
        Ok((lag.age > RELAY_LAG).then(|| {
            format!("the {side}'s relay is {late:.0} s behind{held}; see that its process and the broker run")
        }))
    }
}

fn contradiction(facts: &Facts) -> Option<String> {
    Phase::of(facts)
        .is_none()
        .then(|| format!("the control row contradicts itself: {facts:?}; read the journal"))
}

fn broken_stream(facts: &Facts) -> Option<String> {
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
