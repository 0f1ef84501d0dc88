//! The generator of `proto/src/generated/`: compiles `postern/v1/*.proto` and `postern/admin/v1/*.proto` in pure Rust, and turns
//! `rules.json` into const tables.
//!
//! What it writes is checked in; a test of this crate fails when the files there are not what it would write.

mod messages;
mod rules;
mod rules_file;

use std::{error::Error, fs, path::Path};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// One file of `proto/src/generated/`.
pub struct Generated {
    /// Its name there.
    pub name: &'static str,
    /// Its octets.
    pub content: Vec<u8>,
}

/// Makes every generated file from the sources in `proto`, the directory of the crate `postern-proto`.
pub fn generate(proto: &Path) -> Result<Vec<Generated>, Box<dyn Error>> {
    // Everything else is imported by it.
    let descriptors = protox::compile(["postern/v1/sink.proto"], [proto])?;
    let json = fs::read_to_string(proto.join("postern/v1/rules.json"))?;
    let parsed = rules_file::parse(&json)?;

    let code = messages::generate(descriptors.clone())?;
    let admin = protox::compile(["postern/admin/v1/admin.proto"], [proto])?;
    let admin = messages::generate_admin(admin)?;
    let tables = rules::generate(&parsed, &descriptors)?;
    Ok(vec![
        Generated {
            name: "postern.v1.rs",
            content: code.messages.into_bytes(),
        },
        Generated {
            name: "postern.v1.grpc.rs",
            content: code.stubs.into_bytes(),
        },
        Generated {
            name: "postern.admin.v1.rs",
            content: admin.messages.into_bytes(),
        },
        Generated {
            name: "postern.admin.v1.grpc.rs",
            content: admin.stubs.into_bytes(),
        },
        Generated {
            name: "rules.rs",
            content: tables.into_bytes(),
        },
        Generated {
            name: "postern.v1.binpb",
            content: without_comments(descriptors).encode_to_vec(),
        },
    ])
}

/// Descriptors as reflection needs them: comments are most of their size.
fn without_comments(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors
}
