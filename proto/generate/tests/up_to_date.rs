//! What is checked in is what the sources make.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

#[test]
fn generated_files_are_those_that_the_sources_make() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in postern_proto_generate::generate(&proto).unwrap() {
        let path = proto.join("src/generated").join(file.name);
        assert!(
            fs::read(&path).unwrap() == file.content,
            "{} is stale: run `cargo run -p postern-proto-generate`",
            file.name
        );
    }
}

#[test]
fn nothing_else_is_among_them() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: Vec<_> = fs::read_dir(proto.join("src/generated"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut made: Vec<_> = postern_proto_generate::generate(&proto)
        .unwrap()
        .iter()
        .map(|file| file.name.to_owned())
        .collect();
    found.sort();
    made.sort();
    assert_eq!(found, made);
}
