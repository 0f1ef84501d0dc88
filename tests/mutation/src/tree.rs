//! The tree of the project, and the copy in which mutants are built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the copy is. Its crates are built without debug information: cargo takes them for others than those of the tree, so
/// that libraries are shared and nothing is overwritten.
const COPY: &str = "target/mutation/tree";

/// Keeps other runs away from the copy until it is dropped.
pub fn lock() -> Result<fs::File, String> {
    let path = "target/mutation/lock";
    let failed = |error: &dyn std::fmt::Display| format!("{path}: {error}");
    fs::create_dir_all("target/mutation").map_err(|error| failed(&error))?;
    let file = fs::File::create(path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err("another run is at work".to_owned()),
        Err(fs::TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Runs a program, and gives what it prints.
pub fn output(command: &mut Command) -> Result<String, String> {
    let done = command
        .output()
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !done.status.success() {
        return Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        ));
    }
    String::from_utf8(done.stdout).map_err(|error| error.to_string())
}

/// The folder of a package of the workspace, from the root.
pub fn folder_of(package: &str) -> Result<String, String> {
    let text = output(Command::new("cargo").args([
        "metadata",
        "--no-deps",
        "--locked",
        "--format-version=1",
    ]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let root = metadata["workspace_root"].as_str().unwrap_or_default();
    let packages = metadata["packages"].as_array();
    let manifest = packages
        .into_iter()
        .flatten()
        .find(|own| own["name"] == package)
        .and_then(|own| own["manifest_path"].as_str())
        .ok_or(format!("the workspace has no package {package}"))?;
    let folder = Path::new(manifest).parent().unwrap_or(Path::new(""));
    let folder = folder
        .strip_prefix(root)
        .map_err(|error| error.to_string())?;
    Ok(folder.display().to_string())
}

/// Copies all files that git knows, changed or not. Files that are as they were keep their times.
pub fn copy() -> Result<PathBuf, String> {
    let copy = PathBuf::from(COPY);
    let known = output(Command::new("git").args(["ls-files", "-co", "--exclude-standard"]))?;
    for name in known.lines() {
        // Deleted, and not yet committed.
        let Ok(content) = fs::read(name) else {
            continue;
        };
        write(&copy.join(name), &content)?;
    }
    Ok(copy)
}

/// Writes a file, unless it is so already.
pub fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    let failed = |error| format!("{}: {error}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    fs::write(path, content).map_err(failed)
}
