//! Files that are read again when they change: certificates, lists of recipients, users.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is known of some files without reading them. Two that differ mean that a file was changed or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Option<Look>>);

/// One file. Its times say little where a copy brings them along, and nothing of who may read it: its number and the time
/// of its last change of any kind do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    number: (u64, u64),
}

impl Stamp {
    /// Looks at the files. One that is not there counts as such.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let one = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            Some(Look {
                length: data.len(),
                modified: (data.mtime(), data.mtime_nsec()),
                changed: (data.ctime(), data.ctime_nsec()),
                number: (data.dev(), data.ino()),
            })
        };
        Self(paths.into_iter().map(one).collect())
    }
}

/// Something made from files that can be made anew from them while the gateway runs.
pub trait Reload: Send + Sync {
    /// What it is, for the log.
    fn name(&self) -> String;

    /// The present state of its files.
    fn stamp(&self) -> Stamp;

    /// Reads the files and takes over what they say. Blocks.
    ///
    /// # Errors
    /// One line for the operator. What was loaded before stays in use then.
    fn reload(&self) -> Result<(), String>;
}

/// What is known of a target since it was looked at last.
struct Seen {
    stamp: Stamp,
    /// Why it could not be taken over. What is in the way need not be in its files: it is tried again each time.
    failed: Option<String>,
}

impl Seen {
    fn now(target: &Arc<dyn Reload>) -> Self {
        Self {
            stamp: target.stamp(),
            failed: None,
        }
    }
}

/// Watches files until it is dropped; `at_once` makes it look without waiting.
pub async fn watch(targets: Vec<Arc<dyn Reload>>, at_once: Arc<Notify>) {
    let mut seen: Vec<Seen> = targets.iter().map(Seen::now).collect();
    loop {
        let asked = tokio::time::timeout(LOOK_EVERY, at_once.notified())
            .await
            .is_ok();
        let round = targets.clone();
        let before = std::mem::take(&mut seen);
        let looked = tokio::task::spawn_blocking(move || look(&round, before, asked)).await;
        match looked {
            Ok(looked) => seen = looked,
            Err(error) => {
                tracing::error!(%error, "looking for changed files failed");
                seen = targets.iter().map(Seen::now).collect();
            }
        }
    }
}

/// Reloads what changed or failed before, or everything if `all`, and returns what to compare with next time.
fn look(targets: &[Arc<dyn Reload>], before: Vec<Seen>, all: bool) -> Vec<Seen> {
    let check = |(target, before): (&Arc<dyn Reload>, Seen)| {
        // Taken before reading: a change while we read is found again next time.
        let stamp = target.stamp();
        let is_new = all || stamp != before.stamp;
        if !is_new && before.failed.is_none() {
            return before;
        }
        let failed = target.reload().err();
        match &failed {
            None => tracing::info!(what = target.name(), "read again"),
            // Who tries again for the same reason as before need not say so.
            Some(error) if is_new || failed != before.failed => {
                tracing::error!(
                    what = target.name(),
                    error,
                    "not taken over, the old one stays in use"
                );
            }
            Some(_) => {}
        }
        Seen { stamp, failed }
    };
    targets.iter().zip(before).map(check).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    struct Counted {
        path: PathBuf,
        reloads: AtomicUsize,
        fails: AtomicBool,
    }

    impl Reload for Counted {
        fn name(&self) -> String {
            "test".to_owned()
        }

        fn stamp(&self) -> Stamp {
            Stamp::of([self.path.as_path()])
        }

        fn reload(&self) -> Result<(), String> {
            self.reloads.fetch_add(1, Ordering::Relaxed);
            match self.fails.load(Ordering::Relaxed) {
                true => Err("no".to_owned()),
                false => Ok(()),
            }
        }
    }

    /// One target with a file of its own, which it has been looked at.
    struct Watched {
        folder: tempfile::TempDir,
        target: Arc<Counted>,
        seen: Vec<Seen>,
    }

    impl Watched {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("list");
            std::fs::write(&path, "a").unwrap();
            let target = Arc::new(Counted {
                path,
                reloads: AtomicUsize::new(0),
                fails: AtomicBool::new(false),
            });
            let seen = Seen::now(&(target.clone() as Arc<dyn Reload>));
            Self {
                folder,
                target,
                seen: vec![seen],
            }
        }

        /// Looks once more, and says how often the file has been read in all.
        fn look(&mut self, all: bool) -> usize {
            let targets: Vec<Arc<dyn Reload>> = vec![self.target.clone()];
            self.seen = look(&targets, std::mem::take(&mut self.seen), all);
            self.target.reloads.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn only_a_changed_file_is_read_again() {
        let mut watched = Watched::new();
        assert_eq!(watched.look(false), 0);
        std::fs::write(&watched.target.path, "ab").unwrap();
        assert_eq!(watched.look(false), 1);
        assert_eq!(watched.look(false), 1);
        assert_eq!(watched.look(true), 2);
    }

    #[test]
    fn a_file_in_the_place_of_another_is_read_whatever_its_time() {
        let mut watched = Watched::new();
        let path = watched.target.path.clone();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        let other = watched.folder.path().join("other");
        std::fs::write(&other, "b").unwrap();
        let file = std::fs::File::options().write(true).open(&other).unwrap();
        file.set_modified(modified).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(watched.look(false), 1);
        assert_eq!(watched.look(false), 1);
    }

    #[test]
    fn what_failed_is_tried_again_until_it_is_taken_over() {
        let mut watched = Watched::new();
        watched.target.fails.store(true, Ordering::Relaxed);
        std::fs::write(&watched.target.path, "ab").unwrap();
        assert_eq!(watched.look(false), 1);
        // Its folder may be opened to us: nothing of that is to be seen on the file.
        assert_eq!(watched.look(false), 2);
        watched.target.fails.store(false, Ordering::Relaxed);
        assert_eq!(watched.look(false), 3);
        assert_eq!(watched.look(false), 3);
    }
}
