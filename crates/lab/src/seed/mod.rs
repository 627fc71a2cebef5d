//! A believable history of companies that have used Trellis for two years, the same for the same seed.
//!
//! [`plan`] says how many of everything there are; [`people`], [`work`] and [`inbox`] write the rows, which
//! [`copy`] carries in by COPY.

pub mod copy;
mod inbox;
mod people;
mod plan;
mod run;
mod words;
mod work;

pub use people::PASSWORD;
pub use run::{Arguments, run, seed};
