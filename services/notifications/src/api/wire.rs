//! Domain ↔ the contract's messages.

use chrono::{DateTime, Utc};
use ficus_rpc::Error as Refusal;
use prost_types::Timestamp;
use trellis_contracts::notifications::v1;

use crate::domain::Kind;
use crate::domain::mail::{Delivery, State};
use crate::domain::notification::Notification;
use crate::domain::preferences::{Preferences, Setting};

pub fn notification(from: &Notification) -> v1::Notification {
    v1::Notification {
        id: from.id,
        kind: kind(from.kind).into(),
        workspace_id: from.workspace_id,
        actor_id: from.actor_id.unwrap_or_default(),
        task_id: from.task_id.unwrap_or_default(),
        comment_id: from.comment_id.unwrap_or_default(),
        read: from.read,
        created_at: Some(timestamp(from.created_at)),
    }
}

pub fn delivery(from: &Delivery) -> v1::Delivery {
    v1::Delivery {
        id: from.id,
        kind: from.kind.map_or(v1::Kind::Unspecified, kind).into(),
        state: state(from.state).into(),
        attempts: from.attempts,
        last_error: from.last_error.clone().unwrap_or_default(),
        created_at: Some(timestamp(from.created_at)),
        sent_at: from.sent_at.map(timestamp),
    }
}

pub fn preference_set(from: &Preferences) -> v1::PreferenceSet {
    let preferences = from.all().map(|(of, setting)| v1::Preference {
        kind: kind(of).into(),
        in_app: setting.in_app,
        email: setting.email,
    });
    v1::PreferenceSet { preferences: preferences.collect(), version: from.version }
}

/// The changes that a request names.
pub fn changes(from: &[v1::Preference]) -> Result<Vec<(Kind, Setting)>, Refusal> {
    let mut changes: Vec<(Kind, Setting)> = Vec::with_capacity(from.len());
    for preference in from {
        let kind = asked_kind(preference.kind())
            .ok_or_else(|| Refusal::invalid("bad_request", "name the kind of each preference"))?;
        if changes.iter().any(|(named, _)| *named == kind) {
            return Err(Refusal::invalid("bad_request", "name each kind once"));
        }
        changes.push((kind, Setting { in_app: preference.in_app, email: preference.email }));
    }
    Ok(changes)
}

fn asked_kind(kind: v1::Kind) -> Option<Kind> {
    match kind {
        v1::Kind::Unspecified => None,
        v1::Kind::Welcome => Some(Kind::Welcome),
        v1::Kind::Assignment => Some(Kind::Assignment),
        v1::Kind::Mention => Some(Kind::Mention),
    }
}

fn kind(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Welcome => v1::Kind::Welcome,
        Kind::Assignment => v1::Kind::Assignment,
        Kind::Mention => v1::Kind::Mention,
    }
}

fn state(state: State) -> v1::DeliveryState {
    match state {
        State::Queued => v1::DeliveryState::Queued,
        State::Sending => v1::DeliveryState::Sending,
        State::Sent => v1::DeliveryState::Sent,
        State::Failed => v1::DeliveryState::Failed,
    }
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0);
    Timestamp { seconds: at.timestamp(), nanos }
}
