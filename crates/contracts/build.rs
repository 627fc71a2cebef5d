//! Compiles Trellis's contracts: stubs, the descriptor set in the program, and the same set as a file
//! beside the programs (`target/trellis.binpb`), which the gateway reads.

use std::path::{Path, PathBuf};

use anyhow::Context;

const FILES: [&str; 4] = [
    "trellis/auth/v1/auth.proto",
    "trellis/core/v1/core.proto",
    "trellis/events/v1/events.proto",
    "trellis/notifications/v1/notifications.proto",
];

fn main() -> anyhow::Result<()> {
    let proto = Path::new("../../proto");
    println!("cargo::rerun-if-changed={}", proto.display());
    let mut compiler = protox::Compiler::new([proto])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let full = compiler.encode_file_descriptor_set();
    let set = compiler.file_descriptor_set();

    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("trellis.binpb"), &full)?;
    write_beside_programs(&out, &full)?;

    let pool = prost_reflect::DescriptorPool::decode(full.as_slice())?;
    let mut builder = tonic_prost_build::configure();
    for message in pool.all_messages().filter(|m| m.package_name().starts_with("trellis.")) {
        let name = message.full_name();
        let path = format!(".{name}");
        builder = builder
            .message_attribute(&path, "#[derive(::prost_reflect::ReflectMessage)]")
            .message_attribute(&path, format!("#[prost_reflect(message_name = \"{name}\")]"))
            .message_attribute(
                &path,
                "#[prost_reflect(descriptor_pool = \"crate::DESCRIPTOR_POOL\")]",
            );
    }
    builder.compile_fds(set)?;
    Ok(())
}

/// `OUT_DIR` is `target/<profile>/build/<package>/out`.
fn write_beside_programs(out: &Path, set: &[u8]) -> anyhow::Result<()> {
    let target = out.ancestors().nth(4).context("OUT_DIR is not inside a target folder")?;
    std::fs::write(target.join("trellis.binpb"), set)?;
    Ok(())
}
