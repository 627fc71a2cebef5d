//! Who is signed in, in this process's memory: a restart signs everybody out.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ficus_process::random;

/// Sessions by their token.
#[derive(Debug)]
pub struct Sessions {
    open: RwLock<HashMap<String, i64>>,
    secret: hmac::Key,
}

impl Default for Sessions {
    fn default() -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &random::bytes::<32>());
        Self { open: RwLock::default(), secret }
    }
}

impl Sessions {
    /// Opens a session of the person and gives its token.
    pub fn open(&self, user_id: i64) -> String {
        self.insert(random::token(), user_id)
    }

    /// Opens the session that belongs to one write of the person, or finds it open: the same write gets
    /// the same token, so that no token needs to be stored for a replay.
    pub fn open_for(&self, user_id: i64, idempotency_key: &str) -> String {
        let tag = hmac::sign(&self.secret, format!("{user_id} {idempotency_key}").as_bytes());
        self.insert(URL_SAFE_NO_PAD.encode(tag), user_id)
    }

    /// Ends the session. One that is not open stays so.
    pub fn close(&self, token: &str) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(token);
    }

    /// Whose session it is, while it is open.
    pub fn person(&self, token: &str) -> Option<i64> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(token).copied()
    }

    fn insert(&self, token: String, user_id: i64) -> String {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(token.clone(), user_id);
        token
    }
}

#[cfg(test)]
mod tests {
    use super::Sessions;

    #[test]
    fn a_session_is_known_until_it_is_closed() {
        let sessions = Sessions::default();
        let token = sessions.open(7);
        assert_eq!(sessions.person(&token), Some(7));
        sessions.close(&token);
        assert_eq!(sessions.person(&token), None);
    }

    #[test]
    fn the_same_write_gets_the_same_token_and_nobody_else_does() {
        let sessions = Sessions::default();
        let token = sessions.open_for(7, "key");
        assert_eq!(sessions.open_for(7, "key"), token);
        assert_ne!(sessions.open_for(8, "key"), token);
        assert_ne!(sessions.open_for(7, "other"), token);
        assert_ne!(Sessions::default().open_for(7, "key"), token);
    }
}
