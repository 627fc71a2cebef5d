//! All of Trellis as programs, on databases and a broker of each test's own, while notifications change
//! their owner and programs are stopped or die.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod broker;
mod crashes;
mod dead_letters;
mod generated;
mod http;
mod load;
mod mails;
mod metrics;
mod moves;
mod order;
mod page;
mod partition;
mod people;
mod secrets;
mod stack;
mod trace;
