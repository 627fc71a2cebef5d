//! How many of everything, and when.

use chrono::{DateTime, Duration, NaiveDateTime};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// People of one workspace.
pub const TEAM: i64 = 10;
/// Projects of one workspace.
pub const PROJECTS: i64 = 4;
/// People who are mentioned by one comment.
pub const MENTIONS: i64 = 4;

/// Sizes that follow from the number of rows that the notifications capability is to have.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub seed: u64,
    pub users: i64,
    pub workspaces: i64,
    pub projects: i64,
    pub tasks: i64,
    pub comments: i64,
    /// Comments whose mentions went out by mail as well.
    pub mailed_comments: i64,
    pub answers: i64,
    pub events: i64,
}

impl Plan {
    /// Of every 100 rows there are 1 welcome, 15 assignments and 57 mentions in the inboxes, 25 mails, 1
    /// stored answer and 3 events.
    pub fn new(rows: i64, seed: u64) -> Self {
        let workspaces = (rows / 100 / TEAM).max(4);
        let users = workspaces * TEAM;
        let tasks = (rows * 15 / 100).max(users);
        let comments = (rows * 57 / 100 / MENTIONS).max(users);
        Self {
            seed,
            users,
            workspaces,
            projects: workspaces * PROJECTS,
            tasks,
            comments,
            mailed_comments: rows * 9 / 100,
            answers: rows / 100,
            events: rows * 3 / 100,
        }
    }

    /// A generator for one kind of rows, so that kinds do not depend on each other's order.
    pub fn random(&self, kind: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed.wrapping_mul(31).wrapping_add(kind))
    }

    /// The workspace of a user: the first `TEAM` users are the first workspace's, and so on.
    pub fn workspace_of(user: i64) -> i64 {
        (user - 1) / TEAM + 1
    }

    /// A person of a workspace, by a number of any size.
    pub fn person(workspace: i64, number: i64) -> i64 {
        (workspace - 1) * TEAM + number.rem_euclid(TEAM) + 1
    }

    /// The workspace of a task; tasks go round the projects.
    pub fn project_of(&self, task: i64) -> i64 {
        (task - 1) % self.projects + 1
    }

    /// The workspace of a project.
    pub fn workspace_of_project(project: i64) -> i64 {
        (project - 1) / PROJECTS + 1
    }

    /// The task of a comment; comments go round the tasks.
    pub fn task_of(&self, comment: i64) -> i64 {
        (comment - 1) % self.tasks + 1
    }
}

/// The moment of row `number` of `all`, spread over the two years before November 2026.
pub fn moment(random: &mut StdRng, number: i64, all: i64) -> NaiveDateTime {
    const YEARS: i64 = 2 * 365 * 86_400;
    const BEGUN: i64 = 1_730_419_200;
    let second = BEGUN + (YEARS / all.max(1)).max(1) * number;
    let micros = random.random_range(0..1_000_000_000);
    let moment = DateTime::from_timestamp(second.min(BEGUN + YEARS), 0)
        .expect("two years from 2024 are within the calendar");
    (moment + Duration::microseconds(micros)).naive_utc()
}
