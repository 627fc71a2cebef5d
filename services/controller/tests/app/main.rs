//! A stranger's HTTP app is moved: the real gateway and controllers in front of an app that has no crate of
//! Ficus. What they know of it is `harbour/ficus.toml` and `harbour/move/`.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod crew;
mod cut_off;
mod ends;
mod harbour;
mod moved;
mod stand;
mod wire;
