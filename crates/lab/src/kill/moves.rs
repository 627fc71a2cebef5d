//! Has notifications move there and back, whatever dies meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sqlx::{Connection as _, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::shell::{self, Outcome};
use crate::stack::{Root, Stack};
use crate::tour::pages;

/// Between two changes of owner.
const REST: Duration = Duration::from_secs(1);
/// How long one command may take, in the midst of deaths.
const COMMAND: Duration = Duration::from_secs(90);
/// How long a command is given again before the first death, and after the last.
const INSISTENCE: Duration = Duration::from_mins(2);

/// Who owns notifications, and how often that has changed.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub is_service: bool,
    /// No switch is under way.
    pub rests: bool,
    pub switches: i64,
}

/// Does what chapter 4 of the tour does before the first switch.
pub async fn prepare(root: &Root) -> Result<()> {
    let chapters = pages::all(pages::SWITCHES);
    let chapter =
        chapters.iter().find(|chapter| chapter.n == 4).context("there is no chapter 4")?;
    for step in chapter.steps.iter().take_while(|step| step.direction().is_none()) {
        for block in &step.blocks {
            insist(root, block).await?;
        }
    }
    Ok(())
}

/// Changes the owner again and again until it is told to stop. What is refused, or cut off by a death, is tried
/// again.
pub async fn there_and_back(root: Root, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Ok(owner) = owner(&root).await {
            let _ = tokio::time::timeout(COMMAND, change(&root, owner)).await;
        }
        tokio::select! {
            () = tokio::time::sleep(REST) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Ends with the service as the owner, which the judge expects.
pub async fn rest_at_service(root: &Root) -> Result<Owner> {
    let begun = Instant::now();
    loop {
        let found = owner(root).await;
        match found {
            Ok(owner) if owner.is_service && owner.rests => return Ok(owner),
            _ if begun.elapsed() > INSISTENCE => {
                bail!("the service does not become the owner: {found:?}")
            }
            Ok(owner) if !owner.is_service => {
                drop(tokio::time::timeout(COMMAND, change(root, owner)).await);
            }
            _ => {}
        }
        tokio::time::sleep(REST).await;
    }
}

/// Compares both sides whole, and fails where they differ.
pub async fn equal(root: &Root) -> Result<()> {
    insist(root, ".ficus/bin/ficus move notifications vdiff").await
}

async fn change(root: &Root, owner: Owner) -> Result<()> {
    let verb = if owner.is_service { "reverse-traffic" } else { "switch-traffic" };
    for verb in ["vdiff", verb] {
        shell::run(root, &format!(".ficus/bin/ficus move notifications {verb}")).await?;
    }
    Ok(())
}

/// By the control database.
pub async fn owner(root: &Root) -> Result<Owner> {
    let stack = Stack::of(root)?;
    let mut control = PgConnection::connect(stack.database("control")?).await?;
    let statement = "SELECT owner = 'service', step IS NULL, epoch - 1 FROM move WHERE capability = 'notifications'";
    let (is_service, rests, switches) = sqlx::query_as(statement).fetch_one(&mut control).await?;
    Ok(Owner { is_service, rests, switches })
}

async fn insist(root: &Root, block: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        match shell::run(root, block).await? {
            Outcome::Done(_) => return Ok(()),
            Outcome::Refused(why) if begun.elapsed() > INSISTENCE => bail!("{why}"),
            Outcome::Refused(_) => tokio::time::sleep(REST).await,
        }
    }
}
