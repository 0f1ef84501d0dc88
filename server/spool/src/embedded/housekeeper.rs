//! What must be done, but not on the path of a reply: checkpoints, and removing files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

use super::schema;
use super::writer::is_failure;
use crate::files::Folder;
use crate::{Health, SpoolError};

/// Tasks that may wait; the writer does what finds no room itself.
const QUEUE: usize = 256;
/// Pages in the WAL from which on the writer is asked to finish the checkpoint: 16 MiB.
const LONG_WAL: i64 = 4096;
/// Pages left over that another round is worth while for: 2 MiB.
const MANY_LEFT: i64 = 512;
/// Rounds of one checkpoint at most; then the writer has to help.
const ROUNDS: usize = 4;

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
    checkpointing: Arc<Mutex<()>>,
}

impl Signals {
    /// Waits until the housekeeper does not checkpoint, and keeps it from beginning.
    pub(super) fn no_checkpoint(&self) -> MutexGuard<'_, ()> {
        self.checkpointing.lock()
    }

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
    checkpointing: Arc<Mutex<()>>,
}

impl Housekeeper {
    pub(super) fn start(
        database: &Path,
        folder: Arc<Folder>,
    ) -> Result<(JoinHandle<()>, Signals), SpoolError> {
        let (tasks, queue) = sync_channel(QUEUE);
        let finish = Arc::new(AtomicBool::new(false));
        let checkpointing = Arc::new(Mutex::new(()));
        let connection = schema::connect_writer(database)?;
        schema::trust(&connection)?;
        let housekeeper = Self {
            connection,
            tasks: queue,
            folder: Arc::clone(&folder),
            finish: Arc::clone(&finish),
            checkpointing: Arc::clone(&checkpointing),
        };
        let thread = thread::Builder::new()
            .name("spool-housekeeper".to_owned())
            .spawn(move || housekeeper.run())
            .map_err(|error| SpoolError::io("starting the housekeeper", error))?;
        let signals = Signals {
            tasks,
            folder,
            finish,
            checkpointing,
        };
        Ok((thread, signals))
    }

    /// Ends when the writer has ended, and everything it asked for is done.
    fn run(&self) {
        while let Ok(task) = self.tasks.recv() {
            match task {
                Task::Remove(files) => remove(&self.folder, &files),
                Task::Checkpoint => {
                    if let Err(error) = self.checkpoint() {
                        checkpoint_failed(&self.folder.health, &error);
                    }
                }
            }
        }
        if self.folder.health.check().is_err() {
            schema::distrust(&self.connection);
        }
    }

    /// What is written meanwhile is left over, and less of it each round.
    fn checkpoint(&self) -> rusqlite::Result<()> {
        if self.folder.health.check().is_err() {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let wal = {
                let _alone = self.checkpointing.lock();
                checkpoint(&self.connection)?
            };
            if wal.left() == 0 {
                return Ok(());
            }
            if wal.left() <= MANY_LEFT {
                self.finish.store(wal.pages > LONG_WAL, Ordering::Release);
                return Ok(());
            }
        }
        self.finish.store(true, Ordering::Release);
        Ok(())
    }
}

/// A checkpoint that found the disk failing may have lost what the log is there to keep: the next one
/// would succeed, and the log would begin anew.
pub(super) fn checkpoint_failed(health: &Health, error: &rusqlite::Error) {
    match is_failure(error) {
        true => health.fail(&format!("checkpoint: {error}")),
        false => tracing::warn!(%error, "the spool could not checkpoint"),
    }
}

/// How much is in the WAL.
pub(super) struct Wal {
    /// Pages written since it began anew.
    pub(super) pages: i64,
    /// How many of them are in the database too.
    pub(super) done: i64,
}

impl Wal {
    pub(super) fn left(&self) -> i64 {
        self.pages - self.done
    }
}

/// Copies what it can from the WAL to the database, without waiting for anyone.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<Wal> {
    wal(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Looks at the WAL and copies nothing.
pub(super) fn look(connection: &Connection) -> rusqlite::Result<Wal> {
    wal(connection, "PRAGMA wal_checkpoint(NOOP)")
}

fn wal(connection: &Connection, pragma: &str) -> rusqlite::Result<Wal> {
    connection.prepare_cached(pragma)?.query_row([], |row| {
        Ok(Wal {
            pages: row.get(1)?,
            done: row.get(2)?,
        })
    })
}

fn remove(folder: &Folder, files: &[String]) {
    for name in files {
        if let Err(error) = folder.remove(name) {
            // The next start sweeps it.
            tracing::warn!(name, %error, "a content file could not be removed");
        }
    }
}
