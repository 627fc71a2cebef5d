//! Somebody who is signed in.

use serde_json::{Value, json};

use super::{Reply, Trellis};

/// A person with a session and a workspace of their own.
pub struct Person<'a> {
    pub id: i64,
    pub workspace_id: i64,
    pub email: String,
    pub token: String,
    trellis: &'a Trellis,
}

impl<'a> Person<'a> {
    pub fn signed_up(trellis: &'a Trellis, email: String, made: &Value) -> Self {
        Self {
            id: made["user_id"].as_i64().unwrap(),
            workspace_id: made["workspace_id"].as_i64().unwrap(),
            token: made["token"].as_str().unwrap().to_owned(),
            email,
            trellis,
        }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, String::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, None, body.to_string()).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.send("PATCH", path, None, body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.send("PUT", path, None, body.to_string()).await
    }

    /// Posts under an idempotency key.
    pub async fn post_once(&self, key: &str, path: &str, body: Value) -> Reply {
        self.send("POST", path, Some(key), body.to_string()).await
    }

    async fn send(&self, method: &str, path: &str, key: Option<&str>, body: String) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        self.trellis.send(method, path, &headers, body).await
    }

    /// Makes the other a member of this person's workspace.
    pub async fn invites(&self, other: &Person<'_>) {
        let path = format!("/v1/workspaces/{}/members", self.workspace_id);
        self.post(&path, json!({"email": other.email})).await.ok();
    }

    /// A project in this person's workspace.
    pub async fn project(&self) -> i64 {
        let path = format!("/v1/workspaces/{}/projects", self.workspace_id);
        id(&self.post(&path, json!({"name": "House"})).await.ok())
    }

    /// A task in a project.
    pub async fn task(&self, project_id: i64) -> i64 {
        let path = format!("/v1/projects/{project_id}/tasks");
        id(&self.post(&path, json!({"title": "Roof"})).await.ok())
    }
}

/// The id of what was answered.
#[track_caller]
pub fn id(answer: &Value) -> i64 {
    answer["id"].as_i64().unwrap()
}
