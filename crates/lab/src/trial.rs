//! What `lab kill` and `lab faults` begin with: a fresh stack with a history, under load.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result};
use ficus_load::{Client, Ledger, Load, Options};

use crate::judge::facts::Before;
use crate::scenario::World;
use crate::scenario::people::{self, Crowd};
use crate::seed::seed;
use crate::stack::{Root, Stack, down, up};

/// Where people find Trellis.
pub const GATEWAY: &str = "http://127.0.0.1:8200";
/// A frozen process keeps its callers waiting: ten seconds of the usual rate, and as much again.
const IN_FLIGHT: u32 = 4_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Rows of notifications that are there before.
    pub rows: i64,
    /// The same seed draws requests in the same way.
    pub seed: u64,
    /// Requests a second.
    pub rate: f64,
    pub crowd: Crowd,
}

/// A stack under load.
pub struct Trial {
    pub stack: Stack,
    pub before: Before,
    pub world: Arc<Mutex<World>>,
    pub client: Client,
    pub load: Load,
}

impl Trial {
    /// Stops what is up, starts everything anew and puts it under load. `ledger` is the name of the ledger's file.
    pub async fn begin(
        root: &Root,
        arguments: &up::Arguments,
        size: Size,
        ledger: &str,
        keyless: bool,
    ) -> Result<Self> {
        down::stop(root).await?;
        if root.logs().exists() {
            fs::remove_dir_all(root.logs())?;
        }
        let stack = up::start(root, arguments).await?;
        seed(stack.database("monolith")?, size.rows, size.seed).await?;
        let before = Before::read(&stack).await?;
        let (clients, teams) = people::sign_in(&stack, GATEWAY, size.crowd).await?;
        let file = root.folder().join(ledger);
        let ledger = Ledger::create(&file).context("failed to open the ledger")?;
        let world = World::new(size.seed, clients, teams, ledger).keyless(keyless);
        let world = Arc::new(Mutex::new(world));
        let client = Client::new(GATEWAY, PATIENCE);
        let options = Options { rate: size.rate, in_flight: IN_FLIGHT, seed: size.seed };
        let load = Load::start(client.clone(), world.clone(), options)?;
        Ok(Self { stack, before, world, client, load })
    }
}
