//! Domain to wire.

use chrono::{DateTime, Utc};
use ficus_control_api::control::v1 as wire;
use prost_types::Timestamp;
use tonic::{Status, metadata::MetadataValue};

use crate::{
    domain::{Outcome, Switched},
    leader::Refused,
};

/// Names the address of the controller that leads.
const LEADER: &str = "ficus-leader";

pub(super) fn outcome(outcome: Outcome) -> wire::Outcome {
    wire::Outcome {
        done: outcome.done,
        lines: outcome.lines,
        refusals: outcome.refusals.iter().map(ToString::to_string).collect(),
        switch: outcome.switched.map(switched),
    }
}

fn switched(switched: Switched) -> wire::SwitchReport {
    wire::SwitchReport {
        epoch: switched.epoch,
        at: Some(timestamp(switched.at)),
        pause_ms: switched.pause.as_secs_f64() * 1_000.0,
        tries: switched.tries,
    }
}

pub(super) fn timestamp(at: DateTime<Utc>) -> Timestamp {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: at.timestamp(), nanos }
}

pub(super) fn refused(refused: Refused) -> Status {
    match refused {
        Refused::Failed(error) => error.into(),
        Refused::NotLeader(address) => {
            let mut status = Status::unavailable("another controller leads");
            if let Some(value) = address.and_then(|address| MetadataValue::try_from(address).ok()) {
                status.metadata_mut().insert(LEADER, value);
            }
            status
        }
    }
}
