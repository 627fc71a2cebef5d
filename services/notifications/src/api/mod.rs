//! gRPC: one file per RPC, wire ↔ domain. [`Server`] stands around all of them.

mod call;
mod count_unread;
mod get_preferences;
mod list_deliveries;
mod list_notifications;
mod mark_all_read;
mod mark_read;
mod server;
mod update_preferences;
mod wire;
mod write;

pub use server::Server;
