//! What a crash makes necessary: signing in again where a session was lost, and repeating the writes of which
//! nothing is known, with their own idempotency keys.

use ficus_load::Planned;
use rand::Rng as _;
use rand::rngs::StdRng;

use super::World;
use super::mix::expect_ok;
use super::step::{Step, Unsettled, What};

/// The share of requests that sign somebody in again, while there is anybody: each hashes a password.
const SIGNING_IN: f64 = 0.05;
/// The share of requests that repeat a write, while there is one.
const REPEATING: f64 = 0.25;

impl World {
    /// Now and then one of these, if there is any.
    pub(super) fn again(&mut self, random: &mut StdRng) -> Option<Planned<Step>> {
        if !self.signed_out.is_empty() && random.random_bool(SIGNING_IN) {
            return self.sign_in_again();
        }
        if !self.unsettled.is_empty() && random.random_bool(REPEATING) {
            return self.repeat();
        }
        None
    }

    /// The next of these, or none if everything is settled.
    pub fn unfinished(&mut self) -> Option<Planned<Step>> {
        if self.unsettled.is_empty() {
            return None;
        }
        self.sign_in_again().or_else(|| self.repeat())
    }

    /// The session is not known any more; nothing is done if its client has a newer one, or is signing in: on a slow
    /// machine sign-ins would come in faster than passwords can be hashed, and none would ever be answered in time.
    pub(super) fn lose_session(&mut self, bearer: &str) {
        let Some(&client) = self.sessions.get(bearer) else { return };
        if self.clients[client].token == bearer && !self.signing_in.contains(&client) {
            self.signed_out.insert(client);
        }
    }

    /// Repeats the write after those that wait already.
    pub(super) fn put_back(&mut self, unsettled: Unsettled) {
        self.unsettled.push_back(unsettled);
    }

    fn sign_in_again(&mut self) -> Option<Planned<Step>> {
        let client = self.signed_out.pop_first()?;
        self.signing_in.insert(client);
        self.signed_in_again += 1;
        Some(self.sign_in_of(client))
    }

    /// By the session that its client has now.
    fn repeat(&mut self) -> Option<Planned<Step>> {
        let unsettled = self.unsettled.pop_front()?;
        let mut request = unsettled.write.request.clone();
        let client = request.bearer.as_ref().and_then(|bearer| self.sessions.get(bearer));
        if let Some(client) = client {
            request.bearer = Some(self.clients[*client].token.clone());
        }
        let expected = unsettled.expected;
        let mut planned = expect_ok(request, What::Repeat(Box::new(unsettled)));
        planned.expected = expected;
        planned.step.expected = expected;
        Some(planned)
    }
}
