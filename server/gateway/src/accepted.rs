//! Descriptions of sinks that the operator accepted, one file for each binding: `<state>/accepted/<binding>.json`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use postern_events::plan::Pin;

/// Largest file that is read. Descriptions are a few kilobytes.
const MAX_FILE: u64 = 1 << 20;

/// An accepted description that cannot be used. The operator's or the disk's fault.
#[derive(Debug, thiserror::Error)]
pub enum AcceptedError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; allow this user to read it", path.display())]
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
    for binding in bindings {
        match read(&path(state, binding)) {
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

/// Writes the accepted description of a binding. After a crash the old one or the new one is there, whole.
///
/// # Errors
/// [`AcceptedError::Write`]
pub fn store(state: &Path, binding: &str, pin: &Pin) -> Result<(), AcceptedError> {
    let path = path(state, binding);
    serde_json::to_vec_pretty(pin)
        .map_err(io::Error::from)
        .and_then(|mut text| {
            text.push(b'\n');
            write(&path, &text)
        })
        .map_err(|source| AcceptedError::Write { path, source })
}

/// Writes the schema of the properties that a binding's sink takes, as it was accepted. Empty: none is kept.
///
/// # Errors
/// [`AcceptedError::Write`]
pub fn store_schema(state: &Path, binding: &str, schema: &[u8]) -> Result<(), AcceptedError> {
    let path = schema_path(state, binding);
    let written = if schema.is_empty() {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    } else {
        write(&path, schema)
    };
    written.map_err(|source| AcceptedError::Write { path, source })
}

/// The schema of the properties that a binding's sink takes; `None` where none was accepted, or it cannot be read.
#[must_use]
pub fn schema(state: &Path, binding: &str) -> Option<serde_json::Value> {
    let path = schema_path(state, binding);
    let small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= MAX_FILE);
    small
        .then(|| fs::read(&path).ok())
        .flatten()
        .and_then(|octets| serde_json::from_slice(&octets).ok())
}

fn schema_path(state: &Path, binding: &str) -> PathBuf {
    state
        .join("accepted")
        .join(format!("{binding}.properties-schema"))
}

/// Names of bindings are checked by the configuration: none of them leads out of the folder.
fn path(state: &Path, binding: &str) -> PathBuf {
    state.join("accepted").join(format!("{binding}.json"))
}

fn read(path: &Path) -> Result<Option<Pin>, AcceptedError> {
    let unreadable = |source| AcceptedError::Read {
        path: path.to_owned(),
        source,
    };
    let damaged = |what: String| AcceptedError::Format {
        path: path.to_owned(),
        what,
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() > MAX_FILE => {
            return Err(damaged("it is too large".to_owned()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let octets = fs::read(path).map_err(unreadable)?;
    serde_json::from_slice(&octets)
        .map(Some)
        .map_err(|error| damaged(error.to_string()))
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let mut file = File::create(&fresh)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
        store(state.path(), "footer", &Pin::default()).unwrap();
        store(state.path(), "footer", &pin).unwrap();
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
        store_schema(state.path(), "footer", b"{\"type\":\"object\"}").unwrap();
        assert_eq!(
            schema(state.path(), "footer"),
            Some(serde_json::json!({ "type": "object" }))
        );
        store_schema(state.path(), "footer", b"").unwrap();
        store_schema(state.path(), "footer", b"").unwrap();
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
            store(state.path(), "a", &Pin::default()),
            Err(AcceptedError::Write { .. })
        ));
    }
}
