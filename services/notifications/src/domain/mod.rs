//! What notifications are, apart from any wire or table.

pub mod mail;
pub mod notice;
pub mod notification;
pub mod page;
pub mod preferences;

pub use notification::Kind;
