//! Files that are read again when they change: certificates, lists of recipients.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is known of some files without reading them. Two that differ mean that a file was changed or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Vec<Option<(u64, SystemTime)>>);

impl Stamp {
    /// Looks at the files. One that is not there counts as such.
    #[must_use]
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let one = |path: &Path| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.len(), data.modified().ok()?))
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

/// Watches files until it is dropped; `at_once` makes it look without waiting.
pub async fn watch(targets: Vec<Arc<dyn Reload>>, at_once: Arc<Notify>) {
    let mut seen: Vec<Stamp> = targets.iter().map(|target| target.stamp()).collect();
    loop {
        let asked = tokio::time::timeout(LOOK_EVERY, at_once.notified())
            .await
            .is_ok();
        let round = targets.clone();
        let before = std::mem::take(&mut seen);
        let looked = tokio::task::spawn_blocking(move || look(&round, before, asked)).await;
        match looked {
            Ok(stamps) => seen = stamps,
            Err(error) => {
                tracing::error!(%error, "looking for changed files failed");
                seen = targets.iter().map(|target| target.stamp()).collect();
            }
        }
    }
}

/// Reloads what changed, or everything if `all`, and returns the stamps to compare with next time.
fn look(targets: &[Arc<dyn Reload>], before: Vec<Stamp>, all: bool) -> Vec<Stamp> {
    let check = |(target, before): (&Arc<dyn Reload>, Stamp)| {
        // Taken before reading: a change while we read is found again next time.
        let now = target.stamp();
        if all || now != before {
            match target.reload() {
                Ok(()) => tracing::info!(what = target.name(), "read again"),
                Err(error) => {
                    tracing::error!(
                        what = target.name(),
                        error,
                        "not taken over, the old one stays in use"
                    );
                }
            }
        }
        now
    };
    targets.iter().zip(before).map(check).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counted(PathBuf, AtomicUsize);

    impl Reload for Counted {
        fn name(&self) -> String {
            "test".to_owned()
        }

        fn stamp(&self) -> Stamp {
            Stamp::of([self.0.as_path()])
        }

        fn reload(&self) -> Result<(), String> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    #[test]
    fn only_a_changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        std::fs::write(&path, "a").unwrap();
        let target = Arc::new(Counted(path.clone(), AtomicUsize::new(0)));
        let targets: Vec<Arc<dyn Reload>> = vec![target.clone()];
        let seen = look(&targets, vec![target.stamp()], false);
        assert_eq!(target.1.load(Ordering::Relaxed), 0);
        std::fs::write(&path, "ab").unwrap();
        let seen = look(&targets, seen, false);
        assert_eq!(target.1.load(Ordering::Relaxed), 1);
        look(&targets, seen, true);
        assert_eq!(target.1.load(Ordering::Relaxed), 2);
    }
}
