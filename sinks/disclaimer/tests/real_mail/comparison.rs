//! Messages before and after their edit, compared by Python.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use postern_sink_disclaimer::edit::{self, Addition, Dkim, Limits, Plan};
use serde_json::json;

/// Python, if it is there.
pub(crate) fn python() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .find(|python| python.is_file())
}

/// A folder of messages before and after.
pub(crate) struct Comparison {
    folder: tempfile::TempDir,
    edited: usize,
    left_alone: BTreeMap<String, usize>,
}

impl Comparison {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            edited: 0,
            left_alone: BTreeMap::new(),
        }
    }

    /// Edits a message. What is left alone is counted, by its reason.
    pub(crate) fn edit(&mut self, name: &str, message: &[u8], addition: &Addition) {
        match edit::plan(message, addition, Dkim::Keep, &Limits::default()) {
            Plan::LeftAlone(reason) => *self.left_alone.entry(reason.to_string()).or_default() += 1,
            Plan::Edit(edits) => {
                let path = self.folder.path().join(format!("{:05}", self.edited));
                let after = edit::applied(message, &edits);
                let case = json!({
                    "name": name,
                    "text": addition.text,
                    "html": addition.html,
                    "texts": edits.texts,
                    "more_parts": edits.parts,
                });
                fs::write(path.with_extension("before.eml"), message).unwrap();
                fs::write(path.with_extension("after.eml"), after).unwrap();
                fs::write(path.with_extension("json"), case.to_string()).unwrap();
                self.edited += 1;
            }
        }
    }

    /// How many edits there were, and how many of which reason there were not.
    pub(crate) fn figures(&self) -> (usize, String) {
        let reasons: Vec<String> = self
            .left_alone
            .iter()
            .map(|(reason, count)| format!("\n  {count} {reason}"))
            .collect();
        (self.edited, reasons.concat())
    }

    /// Lets Python compare. What is wrong is kept to be looked at.
    pub(crate) fn run(self) -> Result<(), Failed> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/compare.py");
        let output = Command::new(python().unwrap())
            .arg(script)
            .arg(self.folder.path())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{said}");
        if output.status.success() {
            return Ok(());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let folder = self.folder.keep();
        Err(format!("{said}{errors}messages in {}", folder.display()).into())
    }
}
