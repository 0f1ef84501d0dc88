//! Where packages have their test messages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The folders of mail-parser's test messages, in the registry's copy that the build uses.
pub(crate) fn of_mail_parser() -> Option<Vec<PathBuf>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let metadata: Value = serde_json::from_slice(&metadata.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    let package = packages
        .iter()
        .find(|package| package["name"] == "mail-parser")?;
    let resources = Path::new(package["manifest_path"].as_str()?)
        .parent()?
        .join("resources");
    let folders: Vec<PathBuf> = ["legacy", "malformed", "rfc", "thirdparty"]
        .iter()
        .map(|folder| resources.join("eml").join(folder))
        .filter(|folder| folder.is_dir())
        .collect();
    (!folders.is_empty()).then_some(folders)
}

/// The folder of the test messages of Python's `email`, as Debian's package or another Python has it.
pub(crate) fn of_python() -> Option<Vec<PathBuf>> {
    let of_debian = PathBuf::from("/usr/lib/python3.11/test/test_email/data");
    if of_debian.is_dir() {
        return Some(vec![of_debian]);
    }
    let said = Command::new("python3")
        .args(["-c", "import test.test_email as t; print(t.__path__[0])"])
        .output()
        .ok()?;
    let folder = Path::new(String::from_utf8(said.stdout).ok()?.trim()).join("data");
    folder.is_dir().then(|| vec![folder])
}

/// The messages in these folders, with CRLF, as a gateway has them.
pub(crate) fn messages(folders: &[PathBuf]) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let kind = path.extension().and_then(|kind| kind.to_str());
            matches!(kind, Some("eml" | "txt"))
        })
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            (
                path.display().to_string(),
                with_crlf(&fs::read(&path).unwrap()),
            )
        })
        .collect()
}

fn with_crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 40);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
        out.extend_from_slice(b"\r\n");
    }
    out
}
