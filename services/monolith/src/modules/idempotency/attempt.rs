//! One attempt at a write: who makes it, under which key, and what it asks.

use prost::Message;
use sha2::{Digest, Sha256};

use super::Key;

/// An attempt at the write `method`.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The RPC's path, as `/trellis.core.v1.Tasks/CreateTask`.
    pub method: &'static str,
    pub(super) scope: String,
    pub(super) key: Option<String>,
    pub(super) request_hash: Vec<u8>,
}

impl Attempt {
    /// By a person who is signed in. The same key of two persons names two writes.
    pub fn by<M: Message>(user_id: i64, method: &'static str, key: Key, request: &M) -> Self {
        Self::within(format!("user-{user_id}"), method, key, request)
    }

    /// By somebody who is not known yet.
    pub fn sign_up<M: Message>(method: &'static str, key: Key, request: &M) -> Self {
        Self::within("sign-up".to_owned(), method, key, request)
    }

    fn within<M: Message>(scope: String, method: &'static str, key: Key, request: &M) -> Self {
        let mut hash = Sha256::new();
        hash.update(method);
        hash.update(request.encode_to_vec());
        Self { method, scope, key: key.0, request_hash: hash.finalize().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use trellis_contracts::core::v1::CreateProjectRequest;

    use super::*;

    #[test]
    fn the_hash_tells_methods_and_requests_apart() {
        let request = |name: &str| CreateProjectRequest { workspace_id: 1, name: name.to_owned() };
        let hash = |method, name| Attempt::by(1, method, Key(None), &request(name)).request_hash;
        assert_eq!(hash("/a", "one"), hash("/a", "one"));
        assert_ne!(hash("/a", "one"), hash("/a", "two"));
        assert_ne!(hash("/a", "one"), hash("/b", "one"));
    }
}
