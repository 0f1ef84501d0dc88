//! A file of aliases and lists, read again when it or a list that it includes changes.

mod format;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use postern_smtp::address::{ForwardPath, Mailbox, ReversePath};
use postern_transport::Entry;

use self::format::{Aliases, LineError, Target};
use crate::runtime::reload::{Reload, Stamp};

/// Octets of a file that is read, and of each list that it includes.
const MAX_FILE: u64 = 64 << 20;

/// Why a file of aliases cannot be used. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum AliasError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// It is larger than 64 MiB.
    #[error("{}: larger than 64 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A line cannot be used.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what to do.
        what: LineError,
    },
}

/// A file of aliases.
#[derive(Debug)]
pub struct AliasFile {
    path: PathBuf,
    now: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    aliases: Aliases,
    /// The lists that it includes.
    included: Vec<PathBuf>,
}

impl AliasFile {
    /// Reads the file. Blocks.
    ///
    /// # Errors
    /// [`AliasError`]
    pub fn load(path: PathBuf) -> Result<Self, AliasError> {
        let now = ArcSwap::from_pointee(read(&path)?);
        Ok(Self { path, now })
    }

    /// The address is an alias, by itself or by its local part.
    #[must_use]
    pub fn has(&self, mailbox: &Mailbox) -> bool {
        self.now.load().aliases.find(mailbox).is_some()
    }

    /// What the address stands for. Local parts are of its own domain; the owner of an alias `list` is `owner-list`, where the
    /// file has that too.
    #[must_use]
    pub fn look_up(&self, mailbox: &Mailbox) -> Option<Entry> {
        let now = self.now.load();
        let targets = now.aliases.find(mailbox)?;
        let domain = mailbox.domain().to_string();
        let here = |local: &str| Mailbox::parse(format!("{local}@{domain}").as_bytes(), true).ok();
        let addresses = targets.iter().filter_map(|target| match target {
            Target::Address(address) => Some(address.clone()),
            Target::Local(local) => here(local),
        });
        let key = mailbox.key(true);
        let owner = here(&format!("owner-{}", key.local()));
        let owner = owner.filter(|owner| now.aliases.find(owner).is_some());
        Some(Entry::Members {
            addresses: addresses.map(ForwardPath::Mailbox).collect(),
            owner: owner.map(ReversePath::Mailbox),
        })
    }
}

impl Reload for AliasFile {
    fn name(&self) -> String {
        format!("aliases {}", self.path.display())
    }

    fn stamp(&self) -> Stamp {
        let now = self.now.load();
        let included = now.included.iter().map(PathBuf::as_path);
        Stamp::of(std::iter::once(self.path.as_path()).chain(included))
    }

    fn reload(&self) -> Result<(), String> {
        let loaded = read(&self.path).map_err(|error| error.to_string())?;
        self.now.store(Arc::new(loaded));
        Ok(())
    }
}

fn read(path: &Path) -> Result<Loaded, AliasError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |(line, what)| AliasError::Line { path, line, what }
    };
    let parsed = format::parse(&text(path)?).map_err(wrong(path))?;
    let mut lists = Vec::new();
    let mut included = Vec::new();
    for list in parsed.included() {
        let file = folder.join(list);
        let members = format::parse_list(&text(&file)?).map_err(wrong(&file))?;
        lists.push((list.to_owned(), members));
        included.push(file);
    }
    Ok(Loaded {
        aliases: parsed.with(lists),
        included,
    })
}

fn text(path: &Path) -> Result<String, AliasError> {
    let failed = |source| AliasError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    let octets = file
        .take(MAX_FILE + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    match octets as u64 > MAX_FILE {
        true => Err(AliasError::TooLarge {
            path: path.to_owned(),
        }),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text.as_bytes(), true).unwrap()
    }

    fn members(file: &AliasFile, address: &str) -> Option<(Vec<String>, Option<String>)> {
        let Entry::Members { addresses, owner } = file.look_up(&mailbox(address))? else {
            panic!("{address}");
        };
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Some((addresses, owner.map(|owner| owner.to_string())))
    }

    #[test]
    fn lists_are_included_and_read_again_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("aliases");
        fs::write(&path, "news: :include:lists/news\nowner-news: anna\n").unwrap();
        fs::create_dir(folder.path().join("lists")).unwrap();
        let list = folder.path().join("lists/news");
        fs::write(&list, "# readers\nbert\ncarl@other.test\n").unwrap();
        let file = AliasFile::load(path.clone()).unwrap();
        let readers = |names: &[&str]| {
            let names = names.iter().map(|name| format!("<{name}>")).collect();
            Some((names, Some("<owner-news@x.test>".to_owned())))
        };
        assert_eq!(
            members(&file, "News@x.test"),
            readers(&["bert@x.test", "carl@other.test"])
        );
        assert_eq!(members(&file, "anna@x.test"), None);
        let before = file.stamp();
        fs::write(&list, "dora\n").unwrap();
        assert!(file.stamp() != before, "the list is not looked at");
        file.reload().unwrap();
        assert_eq!(members(&file, "news@x.test"), readers(&["dora@x.test"]));
        // What cannot be read leaves the old one.
        fs::write(&list, "dora\n:include:other\n").unwrap();
        assert!(file.reload().unwrap_err().contains("lists/news:2:"));
        assert_eq!(members(&file, "news@x.test"), readers(&["dora@x.test"]));
        fs::remove_file(&list).unwrap();
        let error = AliasFile::load(path).unwrap_err().to_string();
        assert!(error.contains("lists/news"), "{error}");
    }
}
