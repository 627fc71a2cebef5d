//! The seeded people who take part, with a session each.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, Row as _};

use super::{Client, Team};
use crate::request;
use crate::seed::PASSWORD;
use crate::stack::Stack;

/// How many take part.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// The first workspaces.
    pub teams: i64,
    /// Of each workspace.
    pub members: usize,
    /// Members of each who change preferences.
    pub choosers: usize,
}

/// As many as work at the rates of the tour.
pub const FEW: Crowd = Crowd { teams: 8, members: 8, choosers: 3 };

/// Signs people of the first workspaces in. Those who have changed preferences already are left out.
pub async fn sign_in(stack: &Stack, base: &str, crowd: Crowd) -> Result<(Vec<Client>, Vec<Team>)> {
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    let (mut clients, mut teams) = (Vec::new(), Vec::new());
    for workspace in 1..=crowd.teams {
        let projects =
            sqlx::query_scalar("SELECT id FROM projects WHERE workspace_id = $1 ORDER BY id");
        let projects = projects.bind(workspace).fetch_all(&mut database).await?;
        let statement = "SELECT u.id, u.email FROM users u JOIN members m ON m.user_id = u.id
                         LEFT JOIN notification_preferences p ON p.user_id = u.id
                         WHERE m.workspace_id = $1 AND p.user_id IS NULL ORDER BY u.id";
        let people = sqlx::query(statement).bind(workspace).fetch_all(&mut database).await?;
        let mut members = Vec::new();
        for (number, person) in people.iter().take(crowd.members).enumerate() {
            let email: String = person.get(1);
            let token = token(base, &email).await?;
            members.push(clients.len());
            let chooser = number + crowd.choosers >= crowd.members;
            clients.push(Client::new(person.get(0), email, token, Some(teams.len()), chooser));
        }
        teams.push(Team { projects, members, tasks: Vec::new() });
    }
    ensure!(!clients.is_empty(), "the history has nobody to sign in; seed it first");
    Ok((clients, teams))
}

async fn token(base: &str, email: &str) -> Result<String> {
    let body = json!({"email": email, "password": PASSWORD});
    let (status, answer) = request::post(base, "/v1/sign-in", &body).await?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(status == 200, "signing {email} in answered {status}: {text}");
    let answer: Value = serde_json::from_slice(&answer)?;
    answer["token"].as_str().map(str::to_owned).context("the answer to a sign-in has no token")
}
