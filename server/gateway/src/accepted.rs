//! Descriptions of sinks that the operator accepted, one file for each binding: `<state>/accepted/<binding>.json`.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use postern_events::plan::Pin;

use crate::state_folder::Folder;

/// Largest file that is read. Descriptions are a few kilobytes.
const MAX_FILE: u64 = 1 << 20;

/// The folder in the state folder.
const FOLDER: &str = "accepted";

/// An accepted description that cannot be used. The operator's or the disk's fault.
#[derive(Debug, thiserror::Error)]
pub enum AcceptedError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; let this user read it, and nobody else write to it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("{}: is no accepted description ({what}); remove it and run `postern check --accept`", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It cannot be written.
    #[error("{}: cannot be written: {source}; let this user write to the state folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Reads the accepted descriptions of these bindings. Bindings without one are left out.
///
/// # Errors
/// Every file that cannot be used.
pub fn load<'a>(
    state: &Path,
    bindings: impl IntoIterator<Item = &'a str>,
) -> Result<HashMap<String, Pin>, Vec<AcceptedError>> {
    let mut pins = HashMap::new();
    let mut errors = Vec::new();
    let folder = match open(state) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(pins),
        Err(error) => return Err(vec![error]),
    };
    for binding in bindings {
        match read(&folder, state, binding) {
            Ok(Some(pin)) => {
                pins.insert(binding.to_owned(), pin);
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(pins)
    } else {
        Err(errors)
    }
}

/// Writes the accepted description of a binding, and the schema of the properties that its sink takes: empty, none is
/// kept. After a crash each of the two files is the old one or the new one, whole.
///
/// # Errors
/// [`AcceptedError::Write`]
pub fn store(state: &Path, binding: &str, pin: &Pin, schema: &[u8]) -> Result<(), AcceptedError> {
    let write = || -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(pin)?;
        text.push(b'\n');
        let folder = Folder::make(state)?.make_inner(FOLDER)?;
        match schema {
            [] => folder.remove(&schema_file(binding))?,
            schema => folder.write(&schema_file(binding), schema)?,
        }
        folder.write(&pin_file(binding), &text)
    };
    write().map_err(|source| AcceptedError::Write {
        path: state.join(FOLDER).join(pin_file(binding)),
        source,
    })
}

/// The schema of the properties that a binding's sink takes; `None` where none was accepted, or it cannot be read.
#[must_use]
pub fn schema(state: &Path, binding: &str) -> Option<serde_json::Value> {
    let folder = open(state).ok()??;
    let octets = folder.read(&schema_file(binding), MAX_FILE).ok()??;
    serde_json::from_slice(&octets).ok()
}

// Names of bindings are checked by the configuration: none of them leads out of the folder.

fn pin_file(binding: &str) -> String {
    format!("{binding}.json")
}

fn schema_file(binding: &str) -> String {
    format!("{binding}.properties-schema")
}

/// The folder of accepted descriptions; `None` if there is none.
fn open(state: &Path) -> Result<Option<Folder>, AcceptedError> {
    let unreadable = |path: PathBuf| move |source| AcceptedError::Read { path, source };
    match Folder::open(state).map_err(unreadable(state.to_owned()))? {
        Some(folder) => folder.inner(FOLDER).map_err(unreadable(state.join(FOLDER))),
        None => Ok(None),
    }
}

fn read(folder: &Folder, state: &Path, binding: &str) -> Result<Option<Pin>, AcceptedError> {
    let path = || state.join(FOLDER).join(pin_file(binding));
    let damaged = |what: String| AcceptedError::Format { path: path(), what };
    match folder.read(&pin_file(binding), MAX_FILE) {
        Ok(None) => Ok(None),
        Ok(Some(octets)) => serde_json::from_slice(&octets)
            .map(Some)
            .map_err(|error| damaged(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            Err(damaged("it is too large".to_owned()))
        }
        Err(source) => Err(AcceptedError::Read {
            path: path(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_was_stored_is_read_again() {
        let state = tempfile::tempdir().unwrap();
        let pin = Pin {
            name: "disclaimer".into(),
            version: "1".into(),
            may: vec!["body".into()],
            ..Pin::default()
        };
        store(state.path(), "footer", &Pin::default(), b"").unwrap();
        store(state.path(), "footer", &pin, b"").unwrap();
        let pins = load(state.path(), ["footer", "other"]).unwrap();
        assert_eq!(pins, HashMap::from([("footer".to_owned(), pin)]));
        assert_eq!(
            fs::read_dir(state.path().join("accepted")).unwrap().count(),
            1
        );
    }

    #[test]
    fn an_accepted_schema_is_read_again_until_it_is_gone() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(schema(state.path(), "footer"), None);
        let accept = |schema| store(state.path(), "footer", &Pin::default(), schema);
        accept(b"{\"type\":\"object\"}").unwrap();
        assert_eq!(
            schema(state.path(), "footer"),
            Some(serde_json::json!({ "type": "object" }))
        );
        accept(b"").unwrap();
        accept(b"").unwrap();
        assert_eq!(schema(state.path(), "footer"), None);
    }

    #[test]
    fn a_damaged_file_is_named_with_what_to_do() {
        let state = tempfile::tempdir().unwrap();
        fs::create_dir(state.path().join("accepted")).unwrap();
        fs::write(
            state.path().join("accepted/a.json"),
            "{\"name\": \"x\", \"surplus\": 1}",
        )
        .unwrap();
        let errors = load(state.path(), ["a"]).unwrap_err();
        let text = errors[0].to_string();
        assert!(
            text.contains("a.json: is no accepted description") && text.contains("check --accept"),
            "{text}"
        );
    }

    #[test]
    fn a_state_folder_that_is_a_file_cannot_be_written() {
        let state = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(
            store(state.path(), "a", &Pin::default(), b""),
            Err(AcceptedError::Write { .. })
        ));
    }

    /// Who owns the state folder could have put them there before root accepts.
    #[test]
    fn accepting_writes_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        let state = folder.path().join("state");
        fs::create_dir_all(state.join("accepted")).unwrap();
        for name in [
            "a.json",
            "a.json.new",
            "a.properties-schema",
            "a.properties-schema.new",
        ] {
            symlink(&victim, state.join("accepted").join(name)).unwrap();
        }
        store(&state, "a", &Pin::default(), b"{}").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        assert!(load(&state, ["a"]).unwrap().contains_key("a"));
        assert!(schema(&state, "a").is_some());
    }

    #[test]
    fn what_others_could_have_written_is_no_consent() {
        let state = tempfile::tempdir().unwrap();
        store(state.path(), "a", &Pin::default(), b"").unwrap();
        let open_to_all = fs::Permissions::from_mode(0o777);
        fs::set_permissions(state.path().join("accepted"), open_to_all).unwrap();
        let text = load(state.path(), ["a"]).unwrap_err()[0].to_string();
        assert!(
            text.contains("accepted: cannot be read: its mode is 0777"),
            "{text}"
        );
    }
}
