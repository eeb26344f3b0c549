//! Compiles `proto/` with protox, so that no `protoc` is needed on the machine.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = ["auralink/aic/v1/codec.proto", "auralink/sfu/v1/room_control.proto"];
    let descriptors = protox::compile(files.map(|file| root.join(file)), [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".auralink.aic.v1").compile_fds(descriptors)?;
    Ok(())
}
