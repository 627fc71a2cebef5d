//! What the databases hold of a run.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::stack::Stack;

/// Where a history that was there before the run ends.
#[derive(Debug, Clone, Copy)]
pub struct Before {
    pub notification: i64,
    pub email: i64,
}

/// Rows of the run, by what the ledger knows of them.
#[derive(Debug, Default)]
pub struct Facts {
    /// By address: ids.
    pub users: HashMap<String, Vec<i64>>,
    /// By the first word of the title.
    pub tasks: HashMap<String, Vec<Task>>,
    /// By the first word of the body: ids.
    pub comments: HashMap<String, Vec<i64>>,
    /// New items by whom they are for and what they are about: ids.
    pub items: HashMap<About, Vec<i64>>,
    /// Of the items that were asked for, those that are read.
    pub read: HashSet<i64>,
    /// New mails by whom they are for, template and cause.
    pub mails: HashMap<(i64, String, String), Vec<Mail>>,
    /// By user.
    pub preferences: HashMap<i64, Preference>,
}

/// User, kind, task (0: none), comment (0: none).
pub type About = (i64, String, i64, i64);

#[derive(Debug)]
pub struct Task {
    pub id: i64,
    pub title: String,
    pub state: String,
    pub version: i64,
}

#[derive(Debug)]
pub struct Mail {
    pub id: i64,
    pub state: String,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Preference {
    pub version: i64,
    pub in_app: bool,
    pub email: bool,
}

impl Before {
    /// Reads the monolith's database before the load begins.
    pub async fn read(stack: &Stack) -> Result<Self> {
        let mut database = PgConnection::connect(stack.database("monolith")?).await?;
        let statement = "SELECT (SELECT coalesce(max(id), 0) FROM notifications),
                                (SELECT coalesce(max(id), 0) FROM emails)";
        let row = sqlx::query(statement).fetch_one(&mut database).await?;
        Ok(Self { notification: row.get(0), email: row.get(1) })
    }
}

/// Relays that have stopped for good, and why: what they have not published never comes.
pub async fn relays_stopped(stack: &Stack) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for side in ["monolith", "notifications"] {
        let mut database = PgConnection::connect(stack.database(side)?).await?;
        let statement =
            "SELECT capability || ': ' || stopped FROM ficus.relay WHERE stopped IS NOT NULL";
        let stopped: Vec<String> = sqlx::query_scalar(statement).fetch_all(&mut database).await?;
        found.extend(stopped.into_iter().map(|why| format!("the {side}'s relay of {why}")));
    }
    Ok(found)
}

impl Facts {
    /// Reads both databases after notifications have left; `marked` are the items whose being read matters.
    pub async fn read(stack: &Stack, before: Before, prefix: &str, marked: &[i64]) -> Result<Self> {
        let mut facts = Self::default();
        let like = format!("{prefix}%");
        let mut monolith = PgConnection::connect(stack.database("monolith")?).await?;
        facts.read_users(&mut monolith, &like).await?;
        facts.read_tasks(&mut monolith, &like).await?;
        facts.read_comments(&mut monolith, &like).await?;
        let mut service = PgConnection::connect(stack.database("notifications")?).await?;
        facts.read_items(&mut service, before, marked).await?;
        facts.read_mails(&mut service, before).await?;
        facts.read_preferences(&mut service).await?;
        Ok(facts)
    }

    async fn read_users(&mut self, database: &mut PgConnection, like: &str) -> Result<()> {
        let rows = sqlx::query("SELECT email, id FROM users WHERE email LIKE $1");
        for row in rows.bind(like).fetch_all(database).await? {
            self.users.entry(row.get(0)).or_default().push(row.get(1));
        }
        Ok(())
    }

    async fn read_tasks(&mut self, database: &mut PgConnection, like: &str) -> Result<()> {
        let statement = "SELECT split_part(title, ' ', 1), id, title, state, version
                         FROM tasks WHERE title LIKE $1";
        for row in sqlx::query(statement).bind(like).fetch_all(database).await? {
            let (id, title, state, version) = (row.get(1), row.get(2), row.get(3), row.get(4));
            self.tasks.entry(row.get(0)).or_default().push(Task { id, title, state, version });
        }
        Ok(())
    }

    async fn read_comments(&mut self, database: &mut PgConnection, like: &str) -> Result<()> {
        let statement = "SELECT split_part(body, ' ', 1), id FROM comments WHERE body LIKE $1";
        for row in sqlx::query(statement).bind(like).fetch_all(database).await? {
            self.comments.entry(row.get(0)).or_default().push(row.get(1));
        }
        Ok(())
    }

    async fn read_items(
        &mut self,
        database: &mut PgConnection,
        before: Before,
        marked: &[i64],
    ) -> Result<()> {
        let statement =
            "SELECT user_id, kind::text, coalesce(task_id, 0), coalesce(comment_id, 0), id
                         FROM inbox_items WHERE id > $1";
        for row in
            sqlx::query(statement).bind(before.notification).fetch_all(&mut *database).await?
        {
            let about = (row.get(0), row.get(1), row.get(2), row.get(3));
            self.items.entry(about).or_default().push(row.get(4));
        }
        let statement = "SELECT id FROM inbox_items WHERE id = ANY ($1) AND read_at IS NOT NULL";
        let read = sqlx::query_scalar(statement).bind(marked).fetch_all(database).await?;
        self.read = read.into_iter().collect();
        Ok(())
    }

    async fn read_mails(&mut self, database: &mut PgConnection, before: Before) -> Result<()> {
        let statement = "SELECT m.user_id, m.template, m.cause, m.id, d.state::text
                         FROM mails m JOIN deliveries d ON d.mail_id = m.id WHERE m.id > $1";
        for row in sqlx::query(statement).bind(before.email).fetch_all(database).await? {
            let about = (row.get(0), row.get(1), row.get(2));
            self.mails.entry(about).or_default().push(Mail { id: row.get(3), state: row.get(4) });
        }
        Ok(())
    }

    async fn read_preferences(&mut self, database: &mut PgConnection) -> Result<()> {
        let statement = "SELECT user_id, version, in_app, email FROM preference_sets
                         JOIN preferences USING (user_id) WHERE kind = 'mention'";
        for row in sqlx::query(statement).fetch_all(database).await? {
            let preference =
                Preference { version: row.get(1), in_app: row.get(2), email: row.get(3) };
            self.preferences.insert(row.get(0), preference);
        }
        Ok(())
    }
}
