//! Requests that change something; each carries an idempotency key and leaves a marker.
#![expect(clippy::unnecessary_wraps, reason = "the table of draws wants one type")]

use ficus_load::{Planned, Request};
use http::{Method, StatusCode};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};

use super::mix::expect_ok;
use super::step::{Holds, Step, What, Write};
use super::{Client, Effect, World};
use crate::seed::PASSWORD;

const STATES: [&str; 3] = ["TASK_STATE_OPEN", "TASK_STATE_DOING", "TASK_STATE_DONE"];

impl World {
    pub(super) fn sign_up(&mut self, _random: &mut StdRng) -> Option<Planned<Step>> {
        let marker = self.marker();
        let email = format!("{marker}new@example.com");
        let body =
            json!({"email": email, "name": format!("{marker} Newcomer"), "password": PASSWORD});
        let request = request(super::SIGN_UP, Method::POST, "/v1/sign-up".to_owned(), None, &body);
        let effect = Effect::SignUp { email, user_id: None };
        Some(Self::write("sign_up", marker, effect, request, Holds::Nothing))
    }

    pub(super) fn sign_in(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        Some(self.sign_in_of(self.somebody(random)))
    }

    pub(super) fn sign_in_of(&self, client: usize) -> Planned<Step> {
        let body = json!({"email": self.clients[client].email, "password": PASSWORD});
        let request =
            request("POST /v1/sign-in", Method::POST, "/v1/sign-in".to_owned(), None, &body);
        expect_ok(request, What::SignIn { client })
    }

    pub(super) fn create_task(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let team = random.random_range(0..self.teams.len());
        let actor = *self.teams[team].members.choose(random)?;
        let project = *self.teams[team].projects.choose(random)?;
        let marker = self.marker();
        let title = format!("{marker} Prepare the visit");
        let told = random.random_bool(0.4).then(|| self.reachable(random, team, actor)).flatten();
        let body = json!({"title": title, "assignee_id": told.unwrap_or_default()});
        let path = format!("/v1/projects/{project}/tasks");
        let route = "POST /v1/projects/{project_id}/tasks";
        let request = request(route, Method::POST, path, Some(self.token(actor)), &body);
        let effect = Effect::TaskCreated { task_id: None, title, told };
        Some(Self::write("create_task", marker, effect, request, Holds::Nothing))
    }

    pub(super) fn update_task(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let (actor, number) = self.some_task(random)?;
        let task = &mut self.tasks[number];
        if task.held {
            return None;
        }
        task.held = true;
        task.revisions += 1;
        let created = task.title.split(' ').next().unwrap_or_default();
        let title = format!("{created} Prepare the visit, revision {}", task.revisions);
        let state = *STATES.choose(random)?;
        let (task_id, path) = (task.id, format!("/v1/tasks/{}", task.id));
        let body = json!({"title": title, "state": state});
        let route = "PATCH /v1/tasks/{task_id}";
        let request = request(route, Method::PATCH, path, Some(self.token(actor)), &body);
        let effect = Effect::TaskUpdated { task_id, title, state };
        let marker = self.marker();
        Some(Self::write("update_task", marker, effect, request, Holds::Task(number)))
    }

    pub(super) fn comment(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let (actor, number) = self.some_task(random)?;
        let (task_id, team) = (self.tasks[number].id, self.tasks[number].team);
        let mut mentioned = Vec::new();
        for _ in 0..random.random_range(0..=2) {
            mentioned.extend(self.reachable(random, team, actor));
        }
        mentioned.sort_unstable();
        mentioned.dedup();
        let marker = self.marker();
        let names: Vec<_> = mentioned.iter().map(|id| format!("@{id}")).collect();
        let body = json!({"body": format!("{marker} {} could you have a look?", names.join(" "))});
        let request = self.comment_request(actor, task_id, &body);
        let effect = Effect::Commented { task_id, comment_id: None, mentioned };
        Some(Self::write("comment", marker, effect, request, Holds::Nothing))
    }

    /// On a task of a workspace that the author does not belong to: must be refused and leave nothing.
    pub(super) fn comment_elsewhere(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let (_, number) = self.some_task(random)?;
        let (task_id, team) = (self.tasks[number].id, self.tasks[number].team);
        let other = &self.teams[(team + 1) % self.teams.len()];
        let actor = *other.members.choose(random)?;
        let marker = self.marker();
        let body = json!({"body": format!("{marker} I should not be able to say this.")});
        let request = self.comment_request(actor, task_id, &body);
        let effect = Effect::Commented { task_id, comment_id: None, mentioned: Vec::new() };
        let mut planned = Self::write("comment", marker, effect, request, Holds::Nothing);
        planned.expected = StatusCode::NOT_FOUND;
        planned.step.expected = StatusCode::NOT_FOUND;
        Some(planned)
    }

    pub(super) fn mark_read(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let number = self.someone(random, |client| !client.unread.is_empty())?;
        let client = &mut self.clients[number];
        let id = client.unread.pop()?;
        client.marking.insert(id);
        let path = format!("/v1/inbox/{id}/read");
        let route = "POST /v1/inbox/{notification_id}/read";
        let request = request(route, Method::POST, path, Some(self.token(number)), &json!({}));
        let effect = Effect::MarkedRead { notification_id: id };
        let marker = self.marker();
        Some(Self::write("mark_read", marker, effect, request, Holds::Item(number, id)))
    }

    pub(super) fn prefer(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let free = |client: &Client| client.chooser && !client.preferences_held;
        let number = if self.few_choosers {
            let choosers = self.clients.iter().enumerate().filter(|(_, client)| client.chooser);
            choosers.take(3).find(|(_, client)| free(client))?.0
        } else {
            self.someone(random, free)?
        };
        let client = &mut self.clients[number];
        client.preferences_held = true;
        let (in_app, email) = (!client.mentions_in_app, random.random_bool(0.5));
        client.mentions_in_app = in_app;
        let user_id = client.user_id;
        let body =
            json!({"preferences": [{"kind": "KIND_MENTION", "in_app": in_app, "email": email}]});
        let path = "/v1/notification-preferences".to_owned();
        let route = "PUT /v1/notification-preferences";
        let request = request(route, Method::PUT, path, Some(self.token(number)), &body);
        let effect = Effect::Preferred { user_id, in_app, email, version: None };
        let marker = self.marker();
        Some(Self::write("prefer", marker, effect, request, Holds::Preferences(number)))
    }

    /// A member who can be told something: whose preferences stand, and who is not the actor.
    fn reachable(&self, random: &mut StdRng, team: usize, actor: usize) -> Option<i64> {
        let told: Vec<i64> = self.teams[team]
            .members
            .iter()
            .filter(|member| **member != actor && !self.clients[**member].chooser)
            .map(|member| self.clients[*member].user_id)
            .collect();
        told.choose(random).copied()
    }

    fn comment_request(&self, actor: usize, task_id: i64, body: &Value) -> Request {
        let path = format!("/v1/tasks/{task_id}/comments");
        let route = "POST /v1/tasks/{task_id}/comments";
        request(route, Method::POST, path, Some(self.token(actor)), body)
    }

    fn token(&self, client: usize) -> String {
        self.clients[client].token.clone()
    }

    fn write(
        kind: &'static str,
        marker: String,
        effect: Effect,
        mut request: Request,
        holds: Holds,
    ) -> Planned<Step> {
        request.idempotency_key = Some(marker.clone());
        let write = Write { kind, marker, effect, request: request.clone(), holds };
        expect_ok(request, What::Write(Box::new(write)))
    }
}

fn request(
    route: &'static str,
    method: Method,
    path: String,
    bearer: Option<String>,
    body: &Value,
) -> Request {
    let body = body.to_string().into();
    Request { route, method, path, bearer, idempotency_key: None, body }
}
