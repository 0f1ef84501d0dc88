//! Compiles `postern/v1/*.proto` in pure Rust: no protoc on the machine, no generated code in the tree.

use std::{env, error::Error, fs, path::PathBuf};

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=postern");
    // Everything else is imported by it.
    let mut descriptors = protox::compile(["postern/v1/sink.proto"], ["."])?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        // Content is sliced out of the receive buffer, not copied.
        .bytes(".")
        // Frames pass through queues: what most of them have not is kept out of their size.
        .boxed(".postern.v1.Event.session")
        .boxed(".postern.v1.Event.transaction")
        .boxed(".postern.v1.Event.message")
        .boxed(".postern.v1.Open.snapshot")
        .boxed(".postern.v1.Open.binding")
        .boxed(".postern.v1.Verdict.answer")
        .compile_fds(descriptors.clone())?;

    // For reflection: comments are of no use to it and most of the size.
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    fs::write(out.join("postern.v1.binpb"), descriptors.encode_to_vec())?;
    Ok(())
}
