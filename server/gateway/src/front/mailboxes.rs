//! The mailboxes of a domain whose mail is stored here: which addresses can have one, and which have.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use postern_message::folder::Folders;
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;

use super::replies;
use crate::runtime::reload::{Reload, Stamp};

/// Mailboxes in one place from which on none is made of an unknown name.
const MOST_MADE: usize = 10_000;
/// A mailbox that is to be made is there after so long, as a rule.
const SOON: Duration = Duration::from_secs(60);
/// Mailboxes that are known by their folders. Of more the rest counts as absent.
const MOST_KNOWN: usize = 1_000_000;

/// Who has a mailbox.
#[derive(Debug)]
pub enum Who {
    /// Whoever else is accepted: its mailbox is made when mail comes.
    Accepted,
    /// Who has one already.
    Existing(Existing),
    /// Anybody, as long as there are not too many.
    Anybody(Existing),
}

/// The mailboxes of a domain.
#[derive(Debug)]
pub struct Mailboxes {
    folders: Folders,
    who: Who,
}

/// The mailboxes that there are. The folders are looked at again when they change.
#[derive(Debug)]
pub struct Existing {
    found: ArcSwap<Found>,
    /// Those that were made since, or will be, and when they were asked for.
    made: Mutex<HashMap<PathBuf, Instant>>,
}

/// What a look at the folders found.
#[derive(Debug, Default)]
struct Found {
    mailboxes: HashSet<PathBuf>,
    /// Folders in which one may appear or go.
    watched: Vec<PathBuf>,
    /// They could not be listed.
    is_unknown: bool,
}

impl Mailboxes {
    /// The mailboxes at a template. `listed`: the domain has a list of its recipients; `create`: a mailbox is made of an unknown
    /// name. Blocks.
    #[must_use]
    pub fn load(template: PathBuf, listed: bool, create: bool) -> Self {
        let existing = || {
            Existing {
            found: ArcSwap::from_pointee(look(&template).unwrap_or_else(|(folder, error)| {
                tracing::warn!(folder = %folder.display(), %error, "mailboxes cannot be listed; recipients hear 451 until they can");
                Found {
                    watched: vec![folder],
                    is_unknown: true,
                    ..Found::default()
                }
            })),
            made: Mutex::default(),
        }
        };
        let who = match (listed, create) {
            (true, _) => Who::Accepted,
            (false, false) => Who::Existing(existing()),
            (false, true) => Who::Anybody(existing()),
        };
        Self {
            folders: Folders::new(template),
            who,
        }
    }

    /// Judges a recipient of the domain.
    ///
    /// # Errors
    /// The reply that refuses it.
    pub fn judge(&self, path: &ForwardPath) -> Result<(), Reply> {
        let Some(folder) = self.folders.of(path) else {
            return Err(replies::no_mailbox());
        };
        // RFC 5321 4.5.1: always there.
        if path.key(true).local() == "postmaster" {
            return Ok(());
        }
        match &self.who {
            Who::Accepted => Ok(()),
            Who::Existing(existing) if existing.has(&folder) => Ok(()),
            Who::Existing(existing) if existing.found.load().is_unknown => {
                Err(replies::mailboxes_unknown())
            }
            Who::Existing(_) => Err(replies::unknown_recipient()),
            Who::Anybody(existing) if existing.make(folder) => Ok(()),
            Who::Anybody(_) => Err(replies::too_many_mailboxes()),
        }
    }
}

impl Mailboxes {
    /// Whether the recipient has a mailbox. `None`: whoever is accepted gets one, or it is not known.
    #[must_use]
    pub fn exists(&self, path: &ForwardPath) -> Option<bool> {
        let folder = self.folders.of(path);
        match &self.who {
            Who::Existing(existing) if !existing.found.load().is_unknown => {
                Some(folder.is_some_and(|folder| existing.has(&folder)))
            }
            _ => None,
        }
    }
}

impl Existing {
    fn has(&self, folder: &Path) -> bool {
        self.found.load().mailboxes.contains(folder)
    }

    /// False if there are too many to make another one.
    fn make(&self, folder: PathBuf) -> bool {
        let found = self.found.load();
        let mut made = self.made.lock();
        if found.mailboxes.contains(&folder) || made.contains_key(&folder) {
            return true;
        }
        if found.mailboxes.len() + made.len() >= MOST_MADE {
            // Nothing came of those that are not there by now: a recipient that was named and given up makes no mailbox.
            made.retain(|_, at| at.elapsed() < SOON);
        }
        let room = found.mailboxes.len() + made.len() < MOST_MADE;
        if room {
            made.insert(folder, Instant::now());
        }
        room
    }
}

impl Reload for Mailboxes {
    fn name(&self) -> String {
        format!("mailboxes {}", self.folders.template().display())
    }

    fn stamp(&self) -> Stamp {
        match &self.who {
            Who::Accepted => Stamp::default(),
            Who::Existing(existing) | Who::Anybody(existing) => {
                Stamp::of(existing.found.load().watched.iter().map(PathBuf::as_path))
            }
        }
    }

    fn reload(&self) -> Result<(), String> {
        if let Who::Existing(existing) | Who::Anybody(existing) = &self.who {
            let found = look(self.folders.template()).map_err(|(folder, error)| {
                format!("{} cannot be listed: {error}", folder.display())
            })?;
            let mut made = existing.made.lock();
            made.retain(|folder, _| !found.mailboxes.contains(folder));
            existing.found.store(found.into());
        }
        Ok(())
    }
}

/// Finds the folders that a template stands for. An error has the folder that cannot be listed: who is in it is not known
/// then, which is not the same as nobody.
fn look(template: &Path) -> Result<Found, (PathBuf, io::Error)> {
    let mut found = Found::default();
    let mut bases = vec![PathBuf::new()];
    for component in template.components() {
        let open = matches!(component, Component::Normal(name) if is_open(&name.to_string_lossy()));
        if !open {
            bases.iter_mut().for_each(|base| base.push(component));
            continue;
        }
        let mut next = Vec::new();
        for base in bases {
            if let Err(error) = list(&base, MOST_KNOWN - next.len(), &mut next) {
                return Err((base, error));
            }
            found.watched.push(base);
        }
        bases = next;
    }
    found.mailboxes = bases.into_iter().filter(|path| is_folder(path)).collect();
    Ok(found)
}

/// It stands for many names.
fn is_open(name: &str) -> bool {
    name.contains("{user}") || name.contains("{domain}")
}

/// A folder and no link to one: nothing is delivered behind a link.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

fn list(folder: &Path, most: usize, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if into.len() < most && is_folder(&path) {
            into.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn judge(mailboxes: &Mailboxes, address: &str) -> String {
        let path = ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap();
        match mailboxes.judge(&path) {
            Ok(()) => "ok".to_owned(),
            Err(reply) => format!("{} {}", reply.code(), reply.enhanced().unwrap()),
        }
    }

    #[test]
    fn mailboxes_that_cannot_be_listed_are_no_reason_to_refuse_for_good() {
        let root = tempfile::tempdir().unwrap();
        let volume = root.path().join("mail");
        let load = || Mailboxes::load(volume.join("{user}"), false, false);
        assert_eq!(judge(&load(), "joe@x.test"), "451 4.3.0");
        fs::create_dir_all(volume.join("joe")).unwrap();
        let mailboxes = load();
        assert_eq!(judge(&mailboxes, "joe@x.test"), "ok");
        // The volume goes away: who was there stays known.
        fs::rename(&volume, root.path().join("elsewhere")).unwrap();
        assert!(mailboxes.reload().is_err());
        assert_eq!(judge(&mailboxes, "joe@x.test"), "ok");
        assert_eq!(judge(&mailboxes, "ann@x.test"), "550 5.1.1");
    }

    #[test]
    fn who_has_no_mailbox_is_refused_until_there_is_one() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("x.test/joe/Maildir")).unwrap();
        fs::create_dir_all(root.path().join("x.test/ann")).unwrap();
        let mailboxes = Mailboxes::load(root.path().join("{domain}/{user}/Maildir"), false, false);
        assert_eq!(judge(&mailboxes, "JOE@X.test"), "ok");
        assert_eq!(judge(&mailboxes, "postmaster@x.test"), "ok");
        for absent in ["ann@x.test", "joe@y.test", "bob@x.test"] {
            assert_eq!(judge(&mailboxes, absent), "550 5.1.1", "{absent}");
        }
        let before = mailboxes.stamp();
        fs::create_dir_all(root.path().join("x.test/bob/Maildir")).unwrap();
        assert!(
            mailboxes.stamp() != before,
            "it would not be looked at again"
        );
        mailboxes.reload().unwrap();
        assert_eq!(judge(&mailboxes, "bob@x.test"), "ok");
    }

    #[test]
    fn mailboxes_are_made_of_unknown_names_in_bounds() {
        let root = tempfile::tempdir().unwrap();
        let mailboxes = Mailboxes::load(root.path().join("{user}"), false, true);
        for n in 0..MOST_MADE {
            assert_eq!(judge(&mailboxes, &format!("u{n}@x.test")), "ok");
        }
        assert_eq!(judge(&mailboxes, "one.more@x.test"), "452 4.2.2");
        assert_eq!(judge(&mailboxes, "u0@x.test"), "ok");
        assert_eq!(judge(&mailboxes, "postmaster@x.test"), "ok");
    }

    #[test]
    fn addresses_that_no_mailbox_can_hold_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for (listed, create) in [(true, false), (false, true), (false, false)] {
            let mailboxes = Mailboxes::load(root.path().join("{user}"), listed, create);
            for address in [
                "a/b@x.test",
                "\".\"@x.test",
                "\"..\"@x.test",
                "\"{user}\"@x.test",
            ] {
                assert_eq!(judge(&mailboxes, address), "550 5.1.1", "{address}");
            }
        }
    }
}
