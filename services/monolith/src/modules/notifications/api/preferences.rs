//! `trellis.notifications.v1.Preferences`.

use std::collections::BTreeMap;

use axum::extract::State;
use ficus_rpc::Error;
use trellis_contracts::notifications::v1::{
    self, GetPreferencesRequest, Preference, PreferenceSet, UpdatePreferencesRequest,
};

use super::kind;
use crate::http::{Answer, Caller, Contract, Ended};
use crate::modules::idempotency::{Attempt, Key};
use crate::modules::notifications::Notifications;
use crate::modules::notifications::domain::{Kind, Preferences, Setting};
use crate::modules::notifications::store::change_preferences;

const UPDATE: &str = "/trellis.notifications.v1.Preferences/UpdatePreferences";

/// Every kind.
pub async fn get(
    State(module): State<Notifications>,
    caller: Caller,
    Contract(_): Contract<GetPreferencesRequest>,
) -> Result<Answer, Ended> {
    let preferences = module.store.preferences(caller.user_id).await?;
    Ok(Answer::of(&message(&preferences)))
}

/// Replaces the kinds that are named.
pub async fn update(
    State(module): State<Notifications>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<UpdatePreferencesRequest>,
) -> Result<Answer, Ended> {
    let changes = changes(&request.preferences)?;
    let user_id = caller.user_id;
    let attempt = Attempt::by(user_id, UPDATE, key, &request);
    let mut write = module.writes.begin(attempt).await?;
    let preferences = change_preferences(&mut write, user_id, changes).await?;
    module.outgoing.preferences_changed(&mut write, user_id, preferences.version).await?;
    write.answer(&message(&preferences)).await
}

fn changes(asked: &[Preference]) -> Result<BTreeMap<String, Setting>, Error> {
    let mut changes = BTreeMap::new();
    for preference in asked {
        let kind = asked_kind(preference.kind())
            .ok_or_else(|| Error::invalid("bad_request", "name the kind of each preference"))?;
        let setting = Setting { in_app: preference.in_app, email: preference.email };
        if changes.insert(kind.name().to_owned(), setting).is_some() {
            return Err(Error::invalid("bad_request", "name each kind once"));
        }
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

fn message(preferences: &Preferences) -> PreferenceSet {
    let all = preferences.all().map(|(of, setting)| Preference {
        kind: kind(of).into(),
        in_app: setting.in_app,
        email: setting.email,
    });
    PreferenceSet { preferences: all.collect(), version: preferences.version }
}
