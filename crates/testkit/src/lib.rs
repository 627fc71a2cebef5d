//! What tests stand on: databases made from templates, programs as child processes, waiting for
//! conditions; a line to a database that can be lost; a move without a controller, a random schedule to try it with, and
//! a look at what it locks; mail servers
//! that do as the test says. It starts what it is handed and names no service.
//!
//! Servers come from the environment, which `make test` sets: `FICUS_TEST_POSTGRES`,
//! `FICUS_TEST_POSTGRES_2`, `FICUS_TEST_POSTGRES_3` and `FICUS_TEST_KAFKA`. A test without them fails.

mod database;
mod killable;
mod line;
mod locks;
mod mail;
pub mod moving;
mod noticed;
mod program;
pub mod schedule;
mod server;
mod setting;
mod wait;

pub use database::{Database, database};
pub use ficus_pg::{Migrations, Pool};
pub use killable::Killable;
pub use line::Line;
pub use locks::{Lock, LockSampler};
pub use mail::{Reluctant, refusing};
pub use noticed::noticed;
pub use program::{Program, binary, free_address};
pub use server::{Server, kafka, unique};
pub use setting::setting;
pub use wait::wait_until;
