//! Has notifications move there and back, whatever dies meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use tokio::time::error::Elapsed;
use tokio_util::sync::CancellationToken;

use crate::shell::{self, Outcome};
use crate::stack::{Root, Stack};
use crate::tour::pages::{self, Chapter};

/// Between two changes of owner.
const REST: Duration = Duration::from_secs(1);
/// How long one command may take, in the midst of deaths.
const COMMAND: Duration = Duration::from_secs(90);
/// How long a command is given again before the first death.
const INSISTENCE: Duration = Duration::from_mins(2);
/// What a comparison says of a row that is not the same on both sides.
const DIFFERS: &str = "differs";

/// Who owns notifications, and how often that has changed.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub is_service: bool,
    /// No switch is under way.
    pub rests: bool,
    pub switches: i64,
}

/// Does what chapter 4 of the tour does before the first switch, but for showing that a slow mail server is not felt.
pub async fn prepare(root: &Root) -> Result<()> {
    for step in chapter_4()?.steps.iter().take_while(|step| step.direction().is_none()) {
        for block in step.blocks.iter().filter(|block| !block.contains("/smtp/delay")) {
            insist(root, block).await?;
        }
    }
    Ok(())
}

/// Cuts the foreign keys across the edge, as chapter 4 of the tour does, and queues the mail.
pub async fn cut(root: &Root) -> Result<()> {
    let chapter = chapter_4()?;
    let blocks = chapter.steps.iter().flat_map(|step| &step.blocks);
    for block in blocks.filter(|block| block.contains(".ficus/bin/psql")) {
        insist(root, block).await?;
    }
    Ok(())
}

fn chapter_4() -> Result<Chapter> {
    let chapter = pages::all(pages::SWITCHES).into_iter().find(|chapter| chapter.n == 4);
    chapter.context("there is no chapter 4")
}

/// What has come of [`there_and_back`] beside changes of owner.
#[derive(Debug, Default)]
pub struct Moved {
    /// What comparisons found, each in words.
    pub differing: Vec<String>,
    /// Why what was asked for was not done, and how often.
    pub refused: BTreeMap<String, usize>,
}

impl Moved {
    fn take(&mut self, outcome: Result<Result<Outcome>, Elapsed>) {
        let why = match outcome {
            Ok(Ok(Outcome::Done(_))) => return,
            Ok(Ok(Outcome::Refused(why))) if why.contains(DIFFERS) => {
                return self.differing.push(differences(&why));
            }
            Ok(Ok(Outcome::Refused(why))) => first(&why, "refusals").unwrap_or(why),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => format!("no answer within {} s", COMMAND.as_secs()),
        };
        let line = why.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        *self.refused.entry(line).or_default() += 1;
    }
}

/// Changes the owner again and again until it is told to stop, both sides compared whole before each time. What is
/// refused, or cut off by a death, is tried again; rows that differ are put down.
pub async fn there_and_back(root: Root, stop: CancellationToken) -> Moved {
    let mut moved = Moved::default();
    while !stop.is_cancelled() {
        if let Ok(owner) = owner(&root).await {
            let change = async {
                match compare(&root).await? {
                    Outcome::Refused(why) if why.contains(DIFFERS) => Ok(Outcome::Refused(why)),
                    _ => change(&root, owner).await,
                }
            };
            moved.take(tokio::time::timeout(COMMAND, change).await);
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = stop.cancelled() => {}
        }
    }
    moved
}

/// Ends with the service as the owner, which the judge expects; an error if it does not come to that in time.
pub async fn rest_at_service(root: &Root, patience: Duration) -> Result<Owner> {
    let begun = Instant::now();
    let mut refused = String::new();
    loop {
        let found = owner(root).await;
        match found {
            Ok(owner) if owner.is_service && owner.rests => return Ok(owner),
            _ if begun.elapsed() > patience => {
                bail!("the service does not become the owner: {found:?} {refused}")
            }
            Ok(owner) if !owner.is_service => {
                match tokio::time::timeout(COMMAND, change(root, owner)).await {
                    Ok(Ok(Outcome::Refused(why))) => refused = why,
                    Ok(Err(error)) => refused = format!("{error:#}"),
                    Ok(Ok(Outcome::Done(_))) | Err(_) => {}
                }
                // What is refused for its age is refused again, and rows that differ keep it from moving for ever.
                if let Ok(Ok(Outcome::Refused(why))) =
                    tokio::time::timeout(COMMAND, compare(root)).await
                    && why.contains(DIFFERS)
                {
                    bail!("the service does not become the owner: {}", differences(&why));
                }
            }
            _ => {}
        }
        tokio::time::sleep(REST).await;
    }
}

/// Compares both sides whole until that is done; what differs, in words.
pub async fn differing(root: &Root, patience: Duration) -> Result<Option<String>> {
    let begun = Instant::now();
    loop {
        match compare(root).await? {
            Outcome::Done(_) => return Ok(None),
            Outcome::Refused(why) if why.contains(DIFFERS) => return Ok(Some(differences(&why))),
            Outcome::Refused(why) if begun.elapsed() > patience => bail!("{why}"),
            Outcome::Refused(_) => tokio::time::sleep(REST).await,
        }
    }
}

/// Has the other side become the owner.
pub async fn change(root: &Root, owner: Owner) -> Result<Outcome> {
    let verb = if owner.is_service { "reverse-traffic" } else { "switch-traffic" };
    shell::run(root, &format!(".ficus/bin/ficus move notifications {verb}")).await
}

/// How many rows differ, and one of them, of what `vdiff` prints for machines.
fn differences(printed: &str) -> String {
    match (first(printed, "lines"), first(printed, "refusals")) {
        (Some(rows), Some(row)) => format!("{rows}: {row}"),
        _ => printed.to_owned(),
    }
}

/// The first of these in the JSON that `ficus` has printed, without its advice.
fn first(printed: &str, name: &str) -> Option<String> {
    let mut lines = printed.lines().rev();
    let outcome: Value = lines.find_map(|line| serde_json::from_str(line).ok())?;
    let text = outcome.get(name)?.get(0)?.as_str()?;
    text.split(';').next().map(str::to_owned)
}

async fn compare(root: &Root) -> Result<Outcome> {
    shell::run(root, ".ficus/bin/ficus move notifications vdiff").await
}

/// By the control database.
pub async fn owner(root: &Root) -> Result<Owner> {
    let stack = Stack::of(root)?;
    let mut control = PgConnection::connect(stack.database("control")?).await?;
    let statement = "SELECT owner = 'service', step IS NULL, epoch - 1 FROM move WHERE capability = 'notifications'";
    let (is_service, rests, switches) = sqlx::query_as(statement).fetch_one(&mut control).await?;
    Ok(Owner { is_service, rests, switches })
}

/// Gives a block of commands again for as long as it is refused, for two minutes; rows that differ are not refused
/// for now but for ever.
pub async fn insist(root: &Root, block: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match shell::run(root, block).await? {
            Outcome::Done(_) => return Ok(()),
            Outcome::Refused(why) if begun.elapsed() > INSISTENCE || why.contains(DIFFERS) => {
                bail!("{why}")
            }
            Outcome::Refused(_) => tokio::time::sleep(REST).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Moved, Outcome, differences};

    #[test]
    fn rows_that_differ_are_findings_and_refusals_are_counted() {
        let mut moved = Moved::default();
        let mut take = |printed: &str| {
            moved.take(Ok(Ok(Outcome::Refused(printed.to_owned()))));
        };
        take(
            "`vdiff`: exit status: 2\n\n{\"lines\":[\"1 differs\"],\"refusals\":[\"items 5: differs; mend it\"]}",
        );
        take("`x`: 2\n\n{\"lines\":[],\"refusals\":[\"stream: 9 s behind; wait\"]}");
        take("`x`: 2\n\n{\"lines\":[],\"refusals\":[\"stream: 9 s behind; wait\"]}");
        assert_eq!(moved.differing, ["1 differs: items 5: differs"]);
        assert_eq!(moved.refused, [("stream: 9 s behind".to_owned(), 2)].into());
    }

    #[test]
    fn what_differs_is_told_by_number_and_example() {
        let printed = "`vdiff`: exit status: 2\n\n{\"lines\":[\"9 rows compared, 2 differ; 0 changed\"],\
                       \"refusals\":[\"items 5: differs; mend it\",\"items 6: differs; mend it\"]}";
        assert_eq!(differences(printed), "9 rows compared, 2 differ: items 5: differs");
        assert_eq!(differences("nothing of the kind"), "nothing of the kind");
    }
}
