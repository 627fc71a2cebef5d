//! `trellis.core.v1`.

mod comments;
mod projects;
mod tasks;
