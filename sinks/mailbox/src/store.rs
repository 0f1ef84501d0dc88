//! Mailboxes as folders, messages as files.
//!
//! A message is written once to a file of its own and linked into each mailbox under the id of the recipient. To link fails
//! where the name is there already: what is delivered again is kept once, whoever asks again and however often.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A message that is being written.
#[derive(Debug)]
pub struct Draft {
    file: File,
    path: PathBuf,
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is there now.
    Now(PathBuf),
    /// It was there before.
    Before(PathBuf),
    /// There is no such mailbox.
    NoMailbox,
    /// The mailbox holds as much as it may.
    Full,
}

/// What a mailbox has to be like.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// It is made if it is not there.
    pub create: bool,
    /// Messages that it holds at most.
    pub most: Option<u64>,
}

impl Draft {
    /// Begins with a message. `name` is of this attempt alone.
    ///
    /// # Errors
    /// The system's.
    pub fn begin(folder: &Path, name: &str) -> io::Result<Self> {
        let drafts = folder.join(".drafts");
        fs::create_dir_all(&drafts)?;
        // The same attempt may come twice, to two replicas.
        let path = drafts.join(format!("{name}.{}", std::process::id()));
        Ok(Self {
            file: File::create(&path)?,
            path,
        })
    }

    /// Appends octets.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all(octets)
    }

    /// Makes all of it durable.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Puts the message into the mailbox of an address, under an id. It is durable when this returns.
    ///
    /// # Errors
    /// The system's.
    pub fn keep(&self, folder: &Path, address: &str, id: &str, terms: Terms) -> io::Result<Kept> {
        let mailbox = folder.join(name_of(address));
        let path = mailbox.join(format!("{id}.eml"));
        if !mailbox.is_dir() {
            if !terms.create {
                return Ok(Kept::NoMailbox);
            }
            fs::create_dir_all(&mailbox)?;
            File::open(folder)?.sync_all()?;
        }
        if path.exists() {
            return Ok(Kept::Before(path));
        }
        if let Some(most) = terms.most
            && count(&mailbox)? >= most
        {
            return Ok(Kept::Full);
        }
        match fs::hard_link(&self.path, &path) {
            Ok(()) => {
                File::open(&mailbox)?.sync_all()?;
                Ok(Kept::Now(path))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Kept::Before(path)),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left of it is swept by whoever sweeps the folder; no mailbox has it.
        let _gone = fs::remove_file(&self.path);
    }
}

fn count(mailbox: &Path) -> io::Result<u64> {
    Ok(fs::read_dir(mailbox)?.count() as u64)
}

/// The folder of an address: without case, and whatever may mean something to a file system written `=XX`.
fn name_of(address: &str) -> String {
    let mut name = String::with_capacity(address.len());
    for (place, octet) in address.bytes().enumerate() {
        let octet = octet.to_ascii_lowercase();
        let plain = octet.is_ascii_alphanumeric()
            || b"@_+-".contains(&octet)
            || (octet == b'.' && place > 0);
        match plain {
            true => name.push(char::from(octet)),
            false => name.push_str(&format!("={octet:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const ANY: Terms = Terms {
        create: true,
        most: None,
    };

    #[test]
    fn what_is_kept_twice_is_there_once_and_as_it_was_first() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |attempt: &str, text: &str| {
            let mut draft = Draft::begin(folder.path(), attempt).unwrap();
            draft.write(text.as_bytes()).unwrap();
            draft.finish().unwrap();
            draft
                .keep(folder.path(), "A@example.test", "1", ANY)
                .unwrap()
        };
        let path = folder.path().join("a@example.test/1.eml");
        assert_eq!(keep("x", "first"), Kept::Now(path.clone()));
        assert_eq!(keep("y", "again"), Kept::Before(path.clone()));
        assert_eq!(fs::read(path).unwrap(), b"first");
        let drafts = folder.path().join(".drafts");
        assert_eq!(fs::read_dir(drafts).unwrap().count(), 0);
    }

    #[test]
    fn no_address_leads_out_of_the_folder() {
        for (address, name) in [
            ("../../etc@x.test", "=2E.=2F..=2Fetc@x.test"),
            ("..", "=2E."),
            (".drafts", "=2Edrafts"),
            ("\u{fc}@x.test", "=C3=BC@x.test"),
        ] {
            assert_eq!(name_of(address), name);
        }
    }
}
