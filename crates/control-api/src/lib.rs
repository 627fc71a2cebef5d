//! What the engine is told: commands to the controller (`ficus.control.v1`) and `ficus.toml`, in which a
//! team names its monolith, its services and its databases.

pub mod subject;

/// The controller's contract, generated from `proto/ficus/control/v1`.
pub mod control {
    /// Version 1.
    #[expect(clippy::pedantic, reason = "generated")]
    pub mod v1 {
        tonic::include_proto!("ficus.control.v1");
    }
}
