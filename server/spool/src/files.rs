//! Content in files: `content/XX/ID`, written under the final name from the first octet on.
//!
//! A file without a row that names it is an orphan and is swept at the next start, so a file is
//! only ever made known by a row that is committed after file and folder are synced.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use uuid::Uuid;

use crate::Health;
use crate::disk::Disk;

/// The folder of content files.
pub(crate) struct Folder {
    root: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    /// A sync that fails here fails the store.
    pub(crate) health: Health,
}

impl Folder {
    /// Opens the folder, and makes it if there is none. Its shards are all made here, and synced:
    /// who makes one later could not know that another's file in it is safe.
    pub(crate) fn open(root: PathBuf, disk: Arc<dyn Disk>, health: Health) -> io::Result<Self> {
        make_folder(&root)?;
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700);
        for shard in 0..=u8::MAX {
            match builder.create(root.join(format!("{shard:02x}"))) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
        }
        disk.sync_folder(&root)?;
        disk.sync_folder(parent(&root))?;
        Ok(Self { root, disk, health })
    }

    /// A name for a new file. The file is made by [`FileGuard::create`].
    pub(crate) fn reserve(self: &Arc<Self>) -> Arc<FileGuard> {
        Arc::new(FileGuard {
            folder: Arc::clone(self),
            name: Uuid::now_v7().simple().to_string(),
            kept: AtomicBool::new(false),
            made: AtomicBool::new(false),
        })
    }

    /// Opens a file that a row names.
    pub(crate) fn read(&self, name: &str) -> io::Result<(File, PathBuf)> {
        let path = self.path(name)?;
        Ok((self.disk.open(&path)?, path))
    }

    /// Removes a file that no row names any more. One that is not there is no error.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match self.disk.remove(&self.path(name)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes files that are not in `known`; how many. None if one of those is missing: whichever
    /// is left may be the one.
    pub(crate) fn sweep(&self, known: &HashSet<String>) -> io::Result<u64> {
        let mut orphans = Vec::new();
        let mut found = 0;
        for_each_file(&self.root, |name, path| {
            if known.contains(name) {
                found += 1;
            } else {
                orphans.push(path);
            }
        })?;
        if found < known.len() {
            let missing = known.len() - found;
            tracing::error!(missing, "content files are missing; nothing is swept");
            return Ok(0);
        }
        let mut removed = 0;
        for path in orphans {
            match self.disk.remove(&path) {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "an orphan could not be removed");
                }
            }
        }
        Ok(removed)
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.shard(name)?.join(name))
    }

    /// The last two digits: those of a UUIDv7 are random.
    fn shard(&self, name: &str) -> io::Result<PathBuf> {
        let last = name.get(name.len().saturating_sub(2)..);
        match last {
            Some(last) if is_name(name) => Ok(self.root.join(last)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not the name of a content file",
            )),
        }
    }
}

/// There is a content file in the folder, if there is a folder.
pub(crate) fn has_files(root: &Path) -> io::Result<bool> {
    let mut some = false;
    if root.is_dir() {
        for_each_file(root, |_, _| some = true)?;
    }
    Ok(some)
}

/// Only what we have named ourselves is ours.
fn for_each_file(root: &Path, mut with: impl FnMut(&str, PathBuf)) -> io::Result<()> {
    for shard in fs::read_dir(root)? {
        let shard = shard?.path();
        if !shard.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&shard)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str().filter(|name| is_name(name)) {
                with(name, entry.path());
            }
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|octet| octet.is_ascii_hexdigit())
}

/// A file that is being written, or is not committed yet: it goes away with the last holder,
/// unless it was kept.
pub(crate) struct FileGuard {
    folder: Arc<Folder>,
    name: String,
    made: AtomicBool,
    kept: AtomicBool,
}

impl FileGuard {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the file, for writing and for reading back.
    pub(crate) fn create(&self) -> io::Result<(File, PathBuf)> {
        let shard = self.folder.shard(&self.name)?;
        let path = shard.join(&self.name);
        self.made.store(true, Ordering::Release);
        let disk = &self.folder.disk;
        let file = match disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folder(&shard)?;
                disk.create(&path)?
            }
            other => other?,
        };
        Ok((file, path))
    }

    /// Brings the file and its name to stable storage. When that fails the store has failed.
    pub(crate) fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        let disk = &self.folder.disk;
        let synced = disk
            .sync(file, path)
            .and_then(|()| disk.sync_folder(&self.folder.shard(&self.name)?));
        if let Err(error) = &synced {
            self.folder
                .health
                .fail(&format!("syncing content: {error}"));
        }
        synced
    }

    /// A row names the file now, or may do so: it stays.
    pub(crate) fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }
}

/// Removing a large file takes its time, so a thread of a runtime leaves that to the blocking pool.
impl Drop for FileGuard {
    fn drop(&mut self) {
        if !self.made.load(Ordering::Acquire) || self.kept.load(Ordering::Acquire) {
            return;
        }
        let folder = Arc::clone(&self.folder);
        let name = std::mem::take(&mut self.name);
        let remove = move || {
            if let Err(error) = folder.remove(&name) {
                // The next start sweeps it.
                tracing::warn!(name, %error, "a content file could not be removed");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Makes a folder for its owner alone, with those above it, and syncs each where it was made.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    make_folder(parent(path))?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        // Somebody was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    sync_folder(parent(path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
