//! Carries a capability's rows between two databases while both sides live, and moves the right to write
//! them: capture, copy, follow, verify, fence, switch, and the same back again.
//!
//! A move: [`Definition::read`] → [`Mover::connect`] → [`Mover::refusals`] → [`Mover::install`] →
//! [`Mover::follower`], whose [`Follower::round`] copies, verifies and follows → the steps of a switch, each
//! a method of [`Mover`] that begins with the token row → [`Mover::complete`] or [`Mover::uninstall`].
//! Who calls what when, leases and the journal are the controller's.
//!
//! | module | what |
//! |---|---|
//! | [`definition`] | what people write in the move folder |
//! | `mover`, `database` | both sides' pools |
//! | `refusals`, `preflight`, `rehearsal` | what stands against a move, a switch, a completion |
//! | `install`, `uninstall` | capture, fences and views: there and away |
//! | `token`, `fence`, `opening` | the steps that shut and open |
//! | `inspect` | what a doctor looks at |
//! | `follower` | one round: read at S, apply, compare, store S |
//! | `sql` | every statement whose names are data |
//!
//! Tables lie in schema `public`; the mover's own things in schema `ficus` ([`MIGRATOR`]).

#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod catalog;
mod database;
pub mod definition;
mod error;
mod fence;
mod follower;
mod inspect;
mod install;
mod mover;
mod opening;
mod preflight;
mod refusals;
mod rehearsal;
mod relay;
mod side;
mod sql;
mod token;
mod uninstall;

pub use definition::Definition;
pub use error::{Error, Result};
pub use fence::FenceState;
pub use follower::{Budget, Drained, Follower, Phase, Round, Verdict};
pub use inspect::CursorState;
pub use mover::{MIGRATOR, Mover};
pub use opening::Opening;
pub use refusals::Refusal;
pub use side::{Direction, Side};
pub use token::Token;
