//! The programs under test, built once per test run with the profile that the tests have.

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
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

/// The path of a program of this package, which cargo has built with the tests.
pub fn program_of_tests(name: &str) -> PathBuf {
    folder().join(name)
}

/// target/PROFILE, as the running test lies in target/PROFILE/deps.
fn folder() -> PathBuf {
    std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.parent()?.parent()?.to_path_buf()))
        .unwrap_or_else(|| panic!("a test has a path below the target folder"))
}

/// `cargo test` builds the programs of the tested package only, so the others are built here.
fn build() -> PathBuf {
    let folder = folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args(["build", "--locked"]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo
        .status()
        .unwrap_or_else(|error| panic!("cargo does not start: {error}"));
    assert!(status.success(), "the programs do not build");
    folder
}
