//! What the virtual users know: each other, their tasks, and what was acknowledged to them.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use ficus_load::Ledger;

use super::Effect;
use super::step::Unsettled;

/// Everything that a scenario remembers.
pub struct World {
    /// Part of every marker, so that runs do not mix.
    pub run: u64,
    pub clients: Vec<Client>,
    pub teams: Vec<Team>,
    pub tasks: Vec<Task>,
    pub ledger: Ledger<Effect>,
    /// Answers that lacked what had been acknowledged before.
    pub stale: Vec<String>,
    /// Three people change their preferences, often, and nobody else.
    pub few_choosers: bool,
    /// Nothing is asked for but changes of preferences.
    pub only_choosing: bool,
    /// Sessions that were lost and begun anew.
    pub signed_in_again: usize,
    /// By token, those that have ended too: numbers of clients.
    pub(super) sessions: HashMap<String, usize>,
    /// Clients whose session was not known any more.
    pub(super) signed_out: BTreeSet<usize>,
    /// Clients who are being signed in again.
    pub(super) signing_in: BTreeSet<usize>,
    /// In the order in which they are repeated.
    pub(super) unsettled: VecDeque<Unsettled>,
    pub(super) counter: u64,
    pub(super) keyless: bool,
}

/// One virtual user.
#[derive(Debug)]
pub struct Client {
    pub user_id: i64,
    pub email: String,
    pub token: String,
    /// The team of a seeded user; `None` for one who signed up during the run.
    pub team: Option<usize>,
    /// Changes preferences, and is therefore neither mentioned nor assigned to anything: what reaches such a
    /// person depends on the moment.
    pub chooser: bool,
    pub(super) preferences_version: i64,
    pub(super) preferences_held: bool,
    pub(super) mentions_in_app: bool,
    /// Unread items as of the last list, without those whose marking is under way.
    pub(super) unread: Vec<i64>,
    pub(super) marking: HashSet<i64>,
    pub(super) marked: Vec<i64>,
}

/// One workspace whose members take part.
#[derive(Debug)]
pub struct Team {
    pub projects: Vec<i64>,
    /// Numbers of clients.
    pub members: Vec<usize>,
    /// Numbers of tasks.
    pub tasks: Vec<usize>,
}

/// One task that was made during the run.
#[derive(Debug)]
pub struct Task {
    pub id: i64,
    pub team: usize,
    pub title: String,
    pub(super) version: i64,
    pub(super) revisions: u32,
    pub(super) held: bool,
    pub(super) comments: Vec<i64>,
}

impl World {
    /// A world before the first request.
    pub fn new(run: u64, clients: Vec<Client>, teams: Vec<Team>, ledger: Ledger<Effect>) -> Self {
        let sessions = clients.iter().enumerate();
        let sessions = sessions.map(|(number, client)| (client.token.clone(), number)).collect();
        Self {
            run,
            clients,
            teams,
            tasks: Vec::new(),
            ledger,
            stale: Vec::new(),
            signed_in_again: 0,
            sessions,
            signed_out: BTreeSet::new(),
            signing_in: BTreeSet::new(),
            unsettled: VecDeque::new(),
            counter: 0,
            keyless: false,
            few_choosers: false,
            only_choosing: false,
        }
    }

    /// Whether writes go without idempotency keys; of those, what is unknown stays so.
    #[must_use]
    pub fn keyless(self, keyless: bool) -> Self {
        Self { keyless, ..self }
    }

    /// Text that no other write leaves.
    pub(super) fn marker(&mut self) -> String {
        self.counter += 1;
        format!("{}{}.", marker_prefix(self.run), self.counter)
    }
}

/// What the markers of a run begin with.
pub fn marker_prefix(run: u64) -> String {
    format!("tour-{run}-")
}

impl Client {
    /// Somebody who has a session.
    pub fn new(
        user_id: i64,
        email: String,
        token: String,
        team: Option<usize>,
        chooser: bool,
    ) -> Self {
        Self {
            user_id,
            email,
            token,
            team,
            chooser,
            preferences_version: 0,
            preferences_held: false,
            mentions_in_app: true,
            unread: Vec::new(),
            marking: HashSet::new(),
            marked: Vec::new(),
        }
    }
}
