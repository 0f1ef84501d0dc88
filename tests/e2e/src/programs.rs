//! The programs under test, built once per run with the profile that the tests or the benchmark have.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The path of one of the workspace's programs: `postern`, `postern-disclaimer`, `postern-stamp`.
///
/// # Panics
/// When the programs do not build, with cargo's own messages above.
pub fn program(name: &str) -> PathBuf {
    prepare(&[]).join(name)
}

/// Builds `packages`, or the gateway and the sinks if none are named; gives the folder of their
/// programs. Only the first call of a run builds.
///
/// # Panics
/// As [`program`].
pub fn prepare(packages: &[&str]) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| build(packages)).clone()
}

/// The path of a program of this package, which cargo has built with the tests.
pub fn program_of_tests(name: &str) -> PathBuf {
    folder().join(name)
}

/// target/PROFILE: a benchmark lies there itself, a test in `deps` below it.
fn folder() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|program| {
            let folder = program.parent()?;
            if folder.ends_with("deps") {
                Some(folder.parent()?.to_path_buf())
            } else {
                Some(folder.to_path_buf())
            }
        })
        .unwrap_or_else(|| panic!("a program has a path below the target folder"))
}

/// `cargo test` builds the programs of the tested package only, so the others are built here.
fn build(packages: &[&str]) -> PathBuf {
    let folder = folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--locked"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    for package in packages {
        cargo.args(["-p", package]);
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    assert!(status.success(), "the programs do not build");
    folder
}
