//! What notifications tells, committed with the change it tells of.

use ficus_events::NewEvent;
use ficus_pg::Transaction;
use prost::Message;
use trellis_contracts::events::v1::{MailBounced, MailDelivered, PreferencesChanged};

use crate::domain::mail::Claim;
use crate::store;

const TOPIC: &str = "trellis.notifications.v1";

/// A mail was taken by the mail server; `version` is its delivery's.
pub async fn delivered(tx: &mut Transaction, claim: &Claim, version: i64) -> store::Result<()> {
    let message = MailDelivered { mail_id: claim.mail_id, user_id: claim.user_id };
    let key = format!("mail-{}", claim.mail_id);
    append(tx, key, version, "trellis.events.v1.MailDelivered", &message).await
}

/// A mail was given up; `version` is its delivery's.
pub async fn bounced(tx: &mut Transaction, claim: &Claim, version: i64) -> store::Result<()> {
    let message = MailBounced { mail_id: claim.mail_id, user_id: claim.user_id };
    let key = format!("mail-{}", claim.mail_id);
    append(tx, key, version, "trellis.events.v1.MailBounced", &message).await
}

/// A person's preferences are at `version`.
pub async fn preferences_changed(
    tx: &mut Transaction,
    user_id: i64,
    version: i64,
) -> store::Result<()> {
    let message = PreferencesChanged { user_id };
    let key = format!("preferences-{user_id}");
    append(tx, key, version, "trellis.events.v1.PreferencesChanged", &message).await
}

async fn append(
    tx: &mut Transaction,
    key: String,
    version: i64,
    kind: &'static str,
    message: &impl Message,
) -> store::Result<()> {
    let payload = message.encode_to_vec();
    let event = NewEvent { capability: "notifications", topic: TOPIC, key, version, kind, payload };
    ficus_events::append(tx, &event).await
}
