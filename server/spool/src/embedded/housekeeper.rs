//! What must be done, but not on the path of a reply: checkpoints, and removing files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::schema;
use crate::SpoolError;
use crate::files::Folder;

/// Tasks that may wait; the writer does what finds no room itself.
const QUEUE: usize = 256;
/// Pages in the WAL from which on the writer must finish the checkpoint: 32 MiB.
const LONG_WAL: i64 = 8192;

enum Task {
    Checkpoint,
    Remove(Vec<String>),
}

/// How the writer tells the housekeeper.
pub(super) struct Signals {
    tasks: SyncSender<Task>,
    folder: Arc<Folder>,
    /// The housekeeper asks the writer to do the rest of a checkpoint.
    pub(super) finish: Arc<AtomicBool>,
}

impl Signals {
    /// Asks for a checkpoint. When the housekeeper is behind, one is waiting already.
    pub(super) fn checkpoint(&self) {
        if self.tasks.try_send(Task::Checkpoint).is_err() {
            tracing::debug!("the housekeeper is behind");
        }
    }

    /// Has files removed whose rows are gone.
    pub(super) fn remove(&self, files: Vec<String>) {
        if files.is_empty() {
            return;
        }
        if let Err(back) = self.tasks.try_send(Task::Remove(files))
            && let std::sync::mpsc::TrySendError::Full(Task::Remove(files))
            | std::sync::mpsc::TrySendError::Disconnected(Task::Remove(files)) = back
        {
            remove(&self.folder, &files);
        }
    }
}

pub(super) struct Housekeeper {
    connection: Connection,
    tasks: Receiver<Task>,
    folder: Arc<Folder>,
    finish: Arc<AtomicBool>,
}

impl Housekeeper {
    pub(super) fn start(
        database: &Path,
        folder: Arc<Folder>,
    ) -> Result<(JoinHandle<()>, Signals), SpoolError> {
        let (tasks, queue) = sync_channel(QUEUE);
        let finish = Arc::new(AtomicBool::new(false));
        let housekeeper = Self {
            connection: schema::connect_writer(database)?,
            tasks: queue,
            folder: Arc::clone(&folder),
            finish: Arc::clone(&finish),
        };
        let thread = thread::Builder::new()
            .name("spool-housekeeper".to_owned())
            .spawn(move || housekeeper.run())
            .map_err(|error| SpoolError::io("starting the housekeeper", error))?;
        let signals = Signals {
            tasks,
            folder,
            finish,
        };
        Ok((thread, signals))
    }

    /// Ends when the writer has ended, and everything it asked for is done.
    fn run(&self) {
        while let Ok(task) = self.tasks.recv() {
            match task {
                Task::Remove(files) => remove(&self.folder, &files),
                Task::Checkpoint => match checkpoint(&self.connection) {
                    Ok((pages, done)) if done < pages && pages > LONG_WAL => {
                        self.finish.store(true, Ordering::Release);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the spool could not checkpoint"),
                },
            }
        }
    }
}

/// Copies what it can from the WAL to the database, without waiting for anyone: pages in the WAL,
/// and how many of them are copied.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
}

fn remove(folder: &Folder, files: &[String]) {
    for name in files {
        if let Err(error) = folder.remove(name) {
            // The next start sweeps it.
            tracing::warn!(name, %error, "a content file could not be removed");
        }
    }
}
