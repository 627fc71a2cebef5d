//! What virtual users do: a mix of requests, chosen by a seeded generator.
//!
//! [`people`] signs them in; [`mix`] draws what is next, [`writes`] and [`reads`] make the requests, [`again`]
//! those that a crash makes necessary; [`world`] remembers what the users know, [`effect`] is what the ledger
//! keeps of a write.

mod again;
mod answers;
pub mod effect;
mod mix;
pub mod people;
mod reads;
mod step;
mod world;
mod writes;

pub use effect::Effect;
pub use world::{Client, Team, World, marker_prefix};

/// The route of sign-ups, by which the mail server is felt.
pub const SIGN_UP: &str = "POST /v1/sign-up";

/// Whether a route belongs to notifications.
pub fn of_notifications(route: &str) -> bool {
    ["/v1/inbox", "/v1/notification-preferences", "/v1/deliveries"]
        .iter()
        .any(|path| route.contains(path))
}
