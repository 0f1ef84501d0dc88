//! Which recipients of a domain exist: all of them, or those in a file that is read again when it changes.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_smtp::address::Mailbox;

use crate::runtime::reload::{Reload, Stamp};

/// Why a file of recipients cannot be used. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum RecipientsError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A line is neither an address nor a local part.
    #[error("{}:{line}: neither an address nor a local part", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// The recipients of a file, one a line: whole addresses, or local parts, which stand for whatever domain the file is
/// asked about. Empty lines and lines that start with `#` are passed over. They are compared as addresses of a domain of ours:
/// the case of ASCII letters makes no difference.
#[derive(Debug)]
pub struct RecipientFile {
    path: PathBuf,
    /// Keys of addresses, and of local parts with nothing after the `@`.
    known: ArcSwap<HashSet<String>>,
}

impl RecipientFile {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// [`RecipientsError`]
    pub fn load(path: PathBuf) -> Result<Self, RecipientsError> {
        let known = ArcSwap::from_pointee(read(&path)?);
        Ok(Self { path, known })
    }

    /// The address is in the file, or its local part is.
    #[must_use]
    pub fn contains(&self, mailbox: &Mailbox) -> bool {
        let known = self.known.load();
        known.contains(&local_key(mailbox)) || known.contains(&mailbox.key(true).to_string())
    }
}

impl Reload for RecipientFile {
    fn name(&self) -> String {
        format!("recipients {}", self.path.display())
    }

    fn stamp(&self) -> Stamp {
        Stamp::of([self.path.as_path()])
    }

    fn reload(&self) -> Result<(), String> {
        let known = read(&self.path).map_err(|error| error.to_string())?;
        self.known.store(Arc::new(known));
        Ok(())
    }
}

fn read(path: &Path) -> Result<HashSet<String>, RecipientsError> {
    let text = fs::read(path).map_err(|source| RecipientsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut known = HashSet::new();
    for (number, line) in text.split(|&octet| octet == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let key = line_key(line).ok_or_else(|| RecipientsError::Line {
            path: path.to_owned(),
            line: number + 1,
        })?;
        known.insert(key);
    }
    Ok(known)
}

fn line_key(line: &[u8]) -> Option<String> {
    if let Ok(mailbox) = Mailbox::parse(line, true) {
        return Some(mailbox.key(true).to_string());
    }
    let completed = [line, b"@local.invalid"].concat();
    Mailbox::parse(&completed, true)
        .ok()
        .map(|mailbox| local_key(&mailbox))
}

/// What a local part alone is known by: an `@`, and nothing after it.
fn local_key(mailbox: &Mailbox) -> String {
    mailbox.key(true).local().to_owned() + "@"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn addresses_are_found_in_any_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipients");
        fs::write(
            &path,
            "# people\n\nAnna@Example.test\r\n\"b\"@example.test\ngrün@bücher.test\nInfo\n",
        )
        .unwrap();
        let file = RecipientFile::load(path.clone()).unwrap();
        for there in [
            "anna@example.test",
            "ANNA@EXAMPLE.TEST",
            "b@example.test",
            "GRüN@xn--bcher-kva.test",
            "info@any.test",
        ] {
            assert!(file.contains(&mailbox(there)), "{there}");
        }
        for absent in [
            "ann@example.test",
            "anna@example.test.org",
            "people@example.test",
            "GRÜN@xn--bcher-kva.test",
        ] {
            assert!(!file.contains(&mailbox(absent)), "{absent}");
        }
        fs::write(&path, "carl@example.test\n").unwrap();
        file.reload().unwrap();
        assert!(file.contains(&mailbox("carl@example.test")));
        assert!(!file.contains(&mailbox("anna@example.test")));
    }

    #[test]
    fn a_bad_line_is_named_and_leaves_the_old_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipients");
        fs::write(&path, "anna@example.test\n").unwrap();
        let file = RecipientFile::load(path.clone()).unwrap();
        fs::write(&path, "carl@example.test\nno address\n").unwrap();
        assert!(file.reload().unwrap_err().contains("recipients:2:"));
        assert!(file.contains(&mailbox("anna@example.test")));
        let error = RecipientFile::load(folder.path().join("absent")).unwrap_err();
        assert!(matches!(error, RecipientsError::Read { .. }));
    }
}
