//! Looking for what should not be. Nothing is changed.

mod databases;
mod row;

use std::time::Duration;

use super::Desk;
use crate::{
    domain::{Entry, Facts, Phase, Progress},
    error::Result,
    store::Store,
};

/// What passes by itself, as a takeover or a switch, is no finding: if something is found, it is looked for again.
const LOOKS: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);

/// What was looked at, and what is wrong, a line each with the next step.
#[derive(Debug, Default)]
pub struct Findings {
    pub findings: Vec<String>,
    /// What is as it should be.
    pub checked: Vec<String>,
}

impl Findings {
    fn check(&mut self, what: impl Into<String>, wrong: impl IntoIterator<Item = String>) {
        let before = self.findings.len();
        self.findings.extend(wrong);
        if self.findings.len() == before {
            self.checked.push(what.into());
        }
    }
}

impl Desk {
    /// Looks over the move; `None` if there is none. `progress` tells how its stream does.
    pub async fn doctor(
        &self,
        store: &Store,
        progress: impl Fn() -> Option<Progress>,
    ) -> Result<Option<Findings>> {
        let mut found = Findings::default();
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            let Some((facts, journal)) = store.account(self.capability()).await? else {
                return Ok(None);
            };
            found = self.look(store, &facts, &journal, progress().as_ref()).await?;
            if found.findings.is_empty() {
                break;
            }
        }
        Ok(Some(found))
    }

    async fn look(
        &self,
        store: &Store,
        facts: &Facts,
        journal: &[Entry],
        progress: Option<&Progress>,
    ) -> Result<Findings> {
        let mut found = Findings::default();
        row::check(facts, journal, progress, &mut found);
        let silent = store.not_current(&facts.capability, facts.epoch).await?.missing;
        let silent = (!silent.is_empty())
            .then(|| format!("silent or late: {}; see that they run", silent.join(", ")));
        found.check("every picker acts on the present epoch", silent);
        let absent = self.absent(facts.owner).await;
        let absent = absent.map(|absent| format!("{absent}; see that it runs"));
        found.check("the owner's process takes connections", absent);
        let Some(phase) = Phase::of(facts) else { return Ok(found) };
        let mover = self.mover(store.definition(&facts.capability).await?)?;
        if let Err(error) = self.look_at_databases(&mover, facts, phase, &mut found).await {
            found.findings.push(format!("{error}; see that it runs, then look again"));
        }
        Ok(found)
    }
}
