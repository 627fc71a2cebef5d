//! Requests that only read.
#![expect(clippy::unnecessary_wraps, reason = "the table of draws wants one type")]

use bytes::Bytes;
use ficus_load::{Planned, Request};
use http::Method;
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::mix::expect_ok;
use super::step::{Step, What};
use super::{Client, World};

/// Comments that one page holds with certainty.
const PAGE: usize = 50;

impl World {
    pub(super) fn read_inbox(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let client = self.somebody(random);
        let path = if random.random_bool(0.3) { "/v1/inbox?unread_only=true" } else { "/v1/inbox" };
        let marked = self.clients[client].marked.clone();
        let request = self.get(client, "GET /v1/inbox", path.to_owned());
        Some(expect_ok(request, What::Inbox { client, marked }))
    }

    pub(super) fn count_unread(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let client = self.somebody(random);
        let path = "/v1/inbox/unread-count";
        let request = self.get(client, "GET /v1/inbox/unread-count", path.to_owned());
        Some(expect_ok(request, What::Plain))
    }

    pub(super) fn read_preferences(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let client = self.somebody(random);
        let version = self.clients[client].preferences_version;
        let path = "/v1/notification-preferences";
        let request = self.get(client, "GET /v1/notification-preferences", path.to_owned());
        Some(expect_ok(request, What::Preferences { version }))
    }

    pub(super) fn read_task(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let (client, task) = self.some_task(random)?;
        let task = &self.tasks[task];
        let (path, version) = (format!("/v1/tasks/{}", task.id), task.version);
        let request = self.get(client, "GET /v1/tasks/{task_id}", path);
        Some(expect_ok(request, What::Task { version }))
    }

    pub(super) fn list_tasks(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let team = random.random_range(0..self.teams.len());
        let client = *self.teams[team].members.choose(random)?;
        let project = self.teams[team].projects.choose(random)?;
        let path = format!("/v1/projects/{project}/tasks?page_size=20");
        let request = self.get(client, "GET /v1/projects/{project_id}/tasks", path);
        Some(expect_ok(request, What::Plain))
    }

    pub(super) fn list_comments(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let (client, task) = self.some_task(random)?;
        let task = &self.tasks[task];
        let known = task.comments.iter().take(PAGE).copied();
        // With more than a page of comments, others' may come before those that are known.
        let known = if task.comments.len() < PAGE / 2 { known.collect() } else { Vec::new() };
        let path = format!("/v1/tasks/{}/comments", task.id);
        let request = self.get(client, "GET /v1/tasks/{task_id}/comments", path);
        Some(expect_ok(request, What::Comments { known }))
    }

    pub(super) fn list_deliveries(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        let client = self.somebody(random);
        let path = "/v1/deliveries?page_size=20".to_owned();
        let request = self.get(client, "GET /v1/deliveries", path);
        Some(expect_ok(request, What::Plain))
    }

    /// What anybody can ask at any time.
    pub(super) fn workspaces(&mut self, random: &mut StdRng) -> Planned<Step> {
        let client = self.somebody(random);
        let request = self.get(client, "GET /v1/workspaces", "/v1/workspaces".to_owned());
        expect_ok(request, What::Plain)
    }

    pub(super) fn somebody(&self, random: &mut StdRng) -> usize {
        random.random_range(0..self.clients.len())
    }

    /// One of those who are like this, if a few tries find one.
    pub(super) fn someone(
        &self,
        random: &mut StdRng,
        like: impl Fn(&Client) -> bool,
    ) -> Option<usize> {
        (0..8).map(|_| self.somebody(random)).find(|client| like(&self.clients[*client]))
    }

    /// One of a team's latest tasks, and a member who may see it.
    pub(super) fn some_task(&self, random: &mut StdRng) -> Option<(usize, usize)> {
        let team = &self.teams[random.random_range(0..self.teams.len())];
        let latest = &team.tasks[team.tasks.len().saturating_sub(40)..];
        Some((*team.members.choose(random)?, *latest.choose(random)?))
    }

    fn get(&self, client: usize, route: &'static str, path: String) -> Request {
        Request {
            route,
            method: Method::GET,
            path,
            bearer: Some(self.clients[client].token.clone()),
            idempotency_key: None,
            body: Bytes::new(),
        }
    }
}
