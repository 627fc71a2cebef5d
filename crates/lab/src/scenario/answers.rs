//! What the virtual users learn from answers, and where an answer lacks what they knew.

use ficus_load::{Class, Reply};
use http::StatusCode;
use serde_json::Value;

use super::step::{Holds, Step, Unsettled, What, Write};
use super::world::Task;
use super::{Client, Effect, World};

/// Unread items that are kept in mind for marking.
const UNREAD_KEPT: usize = 10;
/// Newcomers who take part after signing up; the first stay.
const CLIENTS_KEPT: usize = 160;

impl World {
    pub(super) fn take(&mut self, step: Step, reply: &Reply) {
        let answer = || -> Value { serde_json::from_slice(&reply.body).unwrap_or_default() };
        if let (Some(bearer), Some(StatusCode::UNAUTHORIZED)) = (&step.bearer, reply.status) {
            self.lose_session(bearer);
        }
        if let Some(status) = reply.status.filter(|status| contradicts(*status, step.expected)) {
            self.stale.push(format!("{} answered {status}, not {}", step.route, step.expected));
        }
        match step.what {
            What::Write(write) => self.take_write(*write, step.expected, reply),
            What::Repeat(unsettled) => self.take_repeat(*unsettled, reply),
            What::SignIn { client } => {
                self.signing_in.remove(&client);
                if reply.class == Class::Acknowledged {
                    self.take_token(client, &answer());
                }
            }
            _ if reply.class != Class::Acknowledged => {}
            What::Inbox { client, marked } => self.take_inbox(client, &marked, &answer()),
            What::Task { version } => self.check_version("task", version, &answer()),
            What::Preferences { version } => self.check_version("preferences", version, &answer()),
            What::Comments { known } => self.check_comments(&known, &answer()),
            What::Plain => {}
        }
    }

    /// Lets others write what a write held.
    pub(super) fn release(&mut self, holds: Holds) {
        match holds {
            Holds::Nothing => {}
            Holds::Task(task) => self.tasks[task].held = false,
            Holds::Preferences(client) => self.clients[client].preferences_held = false,
            Holds::Item(client, id) => {
                self.clients[client].marking.remove(&id);
            }
        }
    }

    /// A write of which nothing is known keeps what it holds: it may still happen.
    fn take_write(&mut self, write: Write, expected: StatusCode, reply: &Reply) {
        let effect = self.settle(&write, reply);
        let (kind, marker, request) = (write.kind, write.marker.clone(), write.request.clone());
        let number = self.ledger.append(kind, marker, effect, request, reply);
        if reply.class == Class::Unknown && !self.keyless {
            self.put_back(Unsettled { number, expected, write });
        }
    }

    /// A repeat is put down when it settles the matter. A lost session does not, nor does a 503, which speaks of
    /// the repeat alone.
    fn take_repeat(&mut self, unsettled: Unsettled, reply: &Reply) {
        let of_the_repeat = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
        let open = reply.status.is_none_or(|status| of_the_repeat.contains(&status));
        if open || reply.class == Class::Unknown {
            return self.put_back(unsettled);
        }
        let effect = self.settle(&unsettled.write, reply);
        self.ledger.append_repeat(unsettled.number, effect, reply);
    }

    /// Learns from an answer, and lets go what the write held once it is known what became of it.
    fn settle(&mut self, write: &Write, reply: &Reply) -> Effect {
        let effect = write.effect.clone().completed(reply);
        if reply.class == Class::Acknowledged {
            self.learn(&effect, write.holds, reply, &write.request.path);
        }
        if reply.class != Class::Unknown {
            self.release(write.holds);
        }
        effect
    }

    fn learn(&mut self, effect: &Effect, holds: Holds, reply: &Reply, path: &str) {
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match (effect, holds) {
            (Effect::SignUp { email, user_id: Some(user_id) }, _) => {
                self.welcome(*user_id, email, &answer);
            }
            (Effect::TaskCreated { task_id: Some(id), title, .. }, _) => {
                self.add_task(*id, title, path);
            }
            (Effect::TaskUpdated { title, .. }, Holds::Task(task)) => {
                self.tasks[task].title.clone_from(title);
                let version = answer["version"].as_i64().unwrap_or_default();
                self.tasks[task].version = self.tasks[task].version.max(version);
            }
            (Effect::Commented { task_id, comment_id: Some(id), .. }, _) => {
                let mut tasks = self.tasks.iter_mut().rev();
                if let Some(task) = tasks.find(|task| task.id == *task_id) {
                    task.comments.push(*id);
                }
            }
            (Effect::MarkedRead { notification_id }, Holds::Item(client, _)) => {
                self.clients[client].marked.push(*notification_id);
            }
            (Effect::Preferred { version: Some(version), .. }, Holds::Preferences(client)) => {
                self.clients[client].preferences_version = *version;
            }
            _ => {}
        }
    }

    fn welcome(&mut self, user_id: i64, email: &str, answer: &Value) {
        let token = answer["token"].as_str().unwrap_or_default().to_owned();
        if self.clients.len() < CLIENTS_KEPT {
            self.sessions.insert(token.clone(), self.clients.len());
            self.clients.push(Client::new(user_id, email.to_owned(), token, None, true));
        }
    }

    fn add_task(&mut self, id: i64, title: &str, path: &str) {
        let project: i64 =
            path.split('/').nth(3).and_then(|id| id.parse().ok()).unwrap_or_default();
        let Some(team) = self.teams.iter().position(|team| team.projects.contains(&project)) else {
            return;
        };
        self.teams[team].tasks.push(self.tasks.len());
        let (title, comments) = (title.to_owned(), Vec::new());
        self.tasks.push(Task { id, team, title, version: 1, revisions: 0, held: false, comments });
    }

    fn take_token(&mut self, client: usize, answer: &Value) {
        if let Some(token) = answer["token"].as_str() {
            token.clone_into(&mut self.clients[client].token);
            self.sessions.insert(token.to_owned(), client);
            self.signed_out.remove(&client);
        }
    }

    fn take_inbox(&mut self, client: usize, marked: &[i64], answer: &Value) {
        let items = answer["notifications"].as_array().cloned().unwrap_or_default();
        let unread: Vec<i64> = items
            .iter()
            .filter(|item| !item["read"].as_bool().unwrap_or_default())
            .filter_map(|item| item["id"].as_i64())
            .collect();
        for id in unread.iter().filter(|id| marked.contains(id)) {
            self.stale.push(format!("inbox item {id} is unread again"));
        }
        let client = &mut self.clients[client];
        let fresh = |id: &i64| !client.marking.contains(id) && !client.marked.contains(id);
        client.unread = unread.into_iter().filter(fresh).take(UNREAD_KEPT).collect();
    }

    fn check_version(&mut self, what: &str, known: i64, answer: &Value) {
        let version = answer["version"].as_i64().unwrap_or_default();
        if version < known {
            self.stale.push(format!("{what} at version {version}, {known} was acknowledged"));
        }
    }

    fn check_comments(&mut self, known: &[i64], answer: &Value) {
        let comments = answer["comments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids: Vec<i64> = comments.iter().filter_map(|comment| comment["id"].as_i64()).collect();
        for id in known.iter().filter(|id| !ids.contains(id)) {
            self.stale.push(format!("comment {id} is not listed"));
        }
    }
}

/// Whether an answer speaks against what the client knows: what it names is there, or must not be touched. A lost
/// session, a write that is under way and too many requests speak of something else.
fn contradicts(status: StatusCode, expected: StatusCode) -> bool {
    let of_something_else =
        [StatusCode::UNAUTHORIZED, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];
    status != expected && !status.is_server_error() && !of_something_else.contains(&status)
}

#[cfg(test)]
mod tests;
