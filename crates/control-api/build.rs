//! Compiles the controller's contract.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let proto = Path::new("../../proto");
    println!("cargo::rerun-if-changed={}", proto.join("ficus").display());
    let set = protox::compile(["ficus/control/v1/control.proto"], [proto])?;
    tonic_prost_build::configure().compile_fds(set)?;
    Ok(())
}
