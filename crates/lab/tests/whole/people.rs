//! People who use Trellis through the gateway. Each write has a key and is repeated until it is
//! acknowledged, so that it happens once whatever dies meanwhile.

use std::time::{Duration, Instant};

use ficus_load::{Class, Client, Request};
use http::Method;
use serde_json::{Value, json};
use trellis_testkit::unique;

use crate::stack::{PATIENCE, Stack};

const PASSWORD: &str = "correct horse battery staple";

/// Who asks; cheap to clone.
#[derive(Clone)]
pub struct People(Client);

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Person {
    pub id: i64,
    pub workspace: i64,
    pub email: String,
    token: String,
    client: Client,
}

impl People {
    pub fn of(stack: &Stack) -> Self {
        Self(Client::new(&stack.gateway(), Duration::from_secs(30)))
    }

    /// Signs somebody up.
    pub async fn new_person(&self) -> Person {
        let email = format!("{}@example.org", unique("person"));
        let body = json!({"email": email, "name": "Somebody", "password": PASSWORD});
        let made = write(&self.0, None, Method::POST, "/v1/sign-up", &body).await;
        Person {
            id: made["user_id"].as_i64().unwrap(),
            workspace: made["workspace_id"].as_i64().unwrap(),
            token: made["token"].as_str().unwrap().to_owned(),
            email,
            client: self.0.clone(),
        }
    }
}

impl Person {
    /// What it shows with every request.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Signs in anew: sessions die with the monolith.
    pub async fn sign_in(&mut self) {
        let body = json!({"email": self.email, "password": PASSWORD});
        let answer = write(&self.client, None, Method::POST, "/v1/sign-in", &body).await;
        answer["token"].as_str().unwrap().clone_into(&mut self.token);
    }

    /// Makes the other a member of this person's workspace.
    pub async fn invites(&self, other: &Self) {
        let path = format!("/v1/workspaces/{}/members", self.workspace);
        self.post(&path, &json!({"email": other.email})).await;
    }

    /// A task in a project of its own.
    pub async fn task(&self) -> i64 {
        let path = format!("/v1/workspaces/{}/projects", self.workspace);
        let project = self.post(&path, &json!({"name": "House"})).await;
        let path = format!("/v1/projects/{}/tasks", project["id"]);
        self.post(&path, &json!({"title": "Roof"})).await["id"].as_i64().unwrap()
    }

    /// Mentions the other in a comment, who gets an item and a mail; the comment's id.
    pub async fn mentions(&self, other: &Self, task: i64) -> i64 {
        let body = json!({"body": format!("look here @{}", other.id)});
        self.post(&format!("/v1/tasks/{task}/comments"), &body).await["id"].as_i64().unwrap()
    }

    /// Chooses whether to get mails of mentions; the preferences' version.
    pub async fn chooses(&self, email: bool) -> i64 {
        let kind = json!({"kind": "KIND_MENTION", "in_app": true, "email": email});
        let body = json!({"preferences": [kind]});
        let path = "/v1/notification-preferences";
        let answer = write(&self.client, Some(&self.token), Method::PUT, path, &body).await;
        answer["version"].as_i64().unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        write(&self.client, Some(&self.token), Method::POST, path, body).await
    }
}

async fn write(
    client: &Client,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: &Value,
) -> Value {
    let request = Request {
        route: "",
        method,
        path: path.to_owned(),
        bearer: token.map(str::to_owned),
        idempotency_key: Some(unique("write")),
        body: body.to_string().into(),
    };
    let begun = Instant::now();
    loop {
        let reply = client.send(&request).await;
        if reply.class == Class::Acknowledged {
            return serde_json::from_slice(&reply.body).unwrap();
        }
        let said = String::from_utf8_lossy(&reply.body);
        let lasting = reply.status.is_some_and(|status| status.is_client_error());
        assert!(!lasting && begun.elapsed() < PATIENCE, "{path}: {reply:?} {said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
