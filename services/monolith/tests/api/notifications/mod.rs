//! `trellis.notifications.v1`.

mod deliveries;
mod inbox;
mod inline;
mod preferences;
mod queued;
