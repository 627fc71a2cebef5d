//! What a client has learned from answers: ids, tokens of pages, keys it has used.

use std::collections::BTreeMap;

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::Value;

use super::document::Document;
use super::request::Request;

/// The latest of each; older ones are forgotten, so that lists are of what the client has just made.
const KEPT: usize = 30;

pub const PASSWORD: &str = "a password of many words";

#[derive(Clone)]
pub struct Known {
    /// Of the person whom requests are made for.
    pub email: String,
    pub token: String,
    /// Of another session, somebody else's.
    pub stranger: String,
    values: BTreeMap<String, Vec<Value>>,
    /// Writes that were done under a key.
    pub keyed: Vec<Request>,
}

impl Known {
    pub fn of(email: String, token: String) -> Self {
        let (values, keyed, stranger) = (BTreeMap::new(), Vec::new(), String::new());
        Self { email, token, stranger, values, keyed }
    }

    pub fn learn(&mut self, name: &str, value: &Value) {
        let values = self.values.entry(name.to_owned()).or_default();
        if !values.contains(value) {
            values.push(value.clone());
            if values.len() > KEPT {
                values.remove(0);
            }
        }
    }

    /// One that was learned under the name of a field. Persons have several names.
    pub fn recall(&self, name: &str, rng: &mut StdRng) -> Option<Value> {
        let name =
            if ["assignee_id", "actor_id", "author_id"].contains(&name) { "user_id" } else { name };
        self.values.get(name)?.choose(rng).cloned()
    }

    pub fn keep(&mut self, request: Request, rng: &mut StdRng) {
        if self.keyed.len() < KEPT {
            self.keyed.push(request);
        } else {
            self.keyed[rng.random_range(0..KEPT)] = request;
        }
    }

    /// Everything in an answer that a later request may name: the `id` of a `Project` is a `project_id`.
    pub fn read(&mut self, document: &Document, schema: &Value, answer: &Value) {
        let message = schema
            .get("$ref")
            .and_then(Value::as_str)
            .map(|name| name.rsplit(['.', '/']).next().unwrap_or_default().to_lowercase());
        let schema = document.resolved(schema);
        for (field, value) in answer.as_object().into_iter().flatten() {
            let inner = &schema["properties"][field];
            match (field.as_str(), value) {
                ("id", id) => {
                    self.learn(&format!("{}_id", message.as_deref().unwrap_or_default()), id);
                }
                ("next_page_token", token) if token != "" => self.learn("page_token", token),
                (name, id) if name.ends_with("_id") && *id != 0 => self.learn(name, id),
                (_, Value::Array(items)) => {
                    for item in items {
                        self.read(document, &inner["items"], item);
                    }
                }
                (_, Value::Object(_)) => self.read(document, inner, value),
                _ => {}
            }
        }
    }
}
