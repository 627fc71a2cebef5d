//! `trellis.auth.v1`.

mod members;
mod sign_in;
mod sign_up;
mod workspaces;
