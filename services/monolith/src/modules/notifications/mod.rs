//! What a person is told, where, and what became of the mail. Every table of this module moves.
//!
//! Other modules tell it what happened through [`Notify`], in the transaction in which it happened:
//! either the effects are written there and then and the request sends the mail itself, or an event is
//! published which [`Incoming`] applies and the [`Mailer`] sends, as [`MailMode`] says.

pub mod api;
mod courier;
mod domain;
mod incoming;
mod mailer;
mod notify;
mod outgoing;
mod smtp;
mod store;

use std::sync::Arc;

use axum::extract::FromRef;

pub use courier::Courier;
pub use domain::{MailMode, News};
pub use incoming::{Incoming, TOPICS};
pub use mailer::{IN_FLIGHT, Mailer};
pub use notify::{Local, Mails, Notify};
pub use outgoing::Outgoing;
pub use smtp::Smtp;
pub use store::{ModeReader, Store};

use super::auth::Sessions;
use super::idempotency::Writes;

/// The capability's name.
pub const NAME: &str = "notifications";

/// What the module's routes need.
#[derive(Clone)]
pub struct Notifications {
    pub sessions: Arc<Sessions>,
    pub store: Store,
    pub writes: Writes,
    pub outgoing: Outgoing,
}

impl FromRef<Notifications> for Arc<Sessions> {
    fn from_ref(notifications: &Notifications) -> Self {
        Self::clone(&notifications.sessions)
    }
}
