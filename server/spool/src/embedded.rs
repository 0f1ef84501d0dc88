//! The embedded store: SQLite in WAL mode, and files for large bodies.
//!
//! ```text
//! PATH/spool.lock      held by the one program that uses the spool; its process id
//! PATH/spool.format    the format number, and which program version reads it
//! PATH/spool.db        messages, recipients' progress, contents up to 32 KiB
//! PATH/content/XX/ID   larger contents
//! ```
//!
//! One thread writes: it commits whatever waits in one transaction and answers when the WAL is
//! synced. A second one checkpoints and removes files, off the path of the reply. Reads go over a
//! few connections of their own, on the blocking pool of whoever reads.

mod housekeeper;
mod open;
mod place;
mod prepare;
mod read;
mod schema;
mod write;
mod writer;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::SystemTime;

use async_trait::async_trait;
use postern_message::MessageId;
use postern_message::encoding::{from_millis, to_millis};
use tokio::sync::{mpsc, oneshot};

use crate::files::Folder;
use crate::stage::Kind;
use crate::{Batch, Durable, Incoming, SpoolError, StageCounts, StoreDriver, StoredMessage};

use place::{Lock, Space};
use prepare::Prepared;
use read::{Loaded, Readers};
use writer::Request;

/// How an embedded store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state folder. Made when it is not there.
    pub path: PathBuf,
    /// Octets that must be free before anything is accepted.
    pub min_free: u64,
}

/// A database that was found damaged at the start: it was renamed, and a new one begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where the damaged database is now.
    pub database: PathBuf,
    /// Where the contents that it names are now.
    pub content: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// A message that was set aside because something of it is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which.
    pub id: MessageId,
    /// What is wrong with it.
    pub why: String,
    /// When it was found.
    pub found: SystemTime,
}

/// The embedded store driver. Dropping it waits for the writer to finish what was asked for.
pub struct Embedded {
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    housekeeper: Option<JoinHandle<()>>,
    readers: Readers,
    folder: Arc<Folder>,
    space: Space,
    counts: Arc<Counts>,
    set_aside: Option<SetAside>,
    swept: u64,
    /// Held until everything else is closed: it is the last field.
    _lock: Lock,
}

impl Embedded {
    /// Opens the spool in a folder, and makes it if there is none. `now` names what is set aside.
    /// Blocks: call it at start, before a runtime runs.
    ///
    /// # Errors
    /// When another process holds it, its format is newer, it is on a network file system, or the
    /// disk fails.
    pub fn open(options: &Options, now: SystemTime) -> Result<Self, SpoolError> {
        open::open(options, now)
    }

    /// The damaged database that was set aside at the start, if there was one. The operator should
    /// hear of it loudly: messages may be in it.
    #[must_use]
    pub fn set_aside(&self) -> Option<&SetAside> {
        self.set_aside.as_ref()
    }

    /// Contents without a message that were removed at the start.
    #[must_use]
    pub fn swept(&self) -> u64 {
        self.swept
    }

    /// Messages that were set aside because something of them is damaged.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn damaged(&self) -> Result<Vec<Damage>, SpoolError> {
        self.readers.run(read::damaged).await
    }

    async fn ask(&self, prepared: Prepared) -> Result<(), SpoolError> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(SpoolError::Closed)?;
        requests
            .send(Request { prepared, reply })
            .await
            .map_err(|_| SpoolError::Closed)?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }
}

#[async_trait]
impl StoreDriver for Embedded {
    fn begin(&self) -> Result<Incoming, SpoolError> {
        self.space.check()?;
        Ok(Incoming::new(Arc::clone(&self.folder)))
    }

    async fn commit_many(&self, batch: Batch) -> Result<Durable, SpoolError> {
        // Results and the notifications that go with them may use what is left.
        if !batch.insert.is_empty() {
            self.space.check()?;
        }
        self.ask(Prepared::of(batch)?).await?;
        Ok(Durable(()))
    }

    async fn due(
        &self,
        now: SystemTime,
        limit: usize,
        exclude: &HashSet<MessageId>,
    ) -> Result<Vec<MessageId>, SpoolError> {
        let exclude = exclude.clone();
        let now = to_millis(now);
        self.readers
            .run(move |connection| read::due(connection, now, limit, &exclude))
            .await
    }

    async fn next_due(
        &self,
        exclude: &HashSet<MessageId>,
    ) -> Result<Option<SystemTime>, SpoolError> {
        let exclude = exclude.clone();
        let next = self
            .readers
            .run(move |connection| read::next_due(connection, &exclude))
            .await?;
        Ok(next.and_then(from_millis))
    }

    async fn load(&self, id: MessageId) -> Result<Option<StoredMessage>, SpoolError> {
        let folder = Arc::clone(&self.folder);
        let loaded = self
            .readers
            .run(move |connection| read::load(connection, &folder, id))
            .await?;
        match loaded {
            Loaded::Gone => Ok(None),
            Loaded::Whole(message) => Ok(Some(*message)),
            Loaded::Damaged { what, known } => {
                if !known {
                    tracing::error!(%id, what, "a damaged message was set aside");
                    let prepared = Prepared::damage(id, what.clone(), SystemTime::now());
                    self.ask(prepared).await?;
                }
                Err(SpoolError::Damaged { id, what })
            }
        }
    }

    async fn counts(&self) -> Result<StageCounts, SpoolError> {
        Ok(self.counts.snapshot())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.requests = None;
        for thread in [self.writer.take(), self.housekeeper.take()] {
            if let Some(thread) = thread
                && thread.join().is_err()
            {
                tracing::error!("a thread of the spool ended by a panic");
            }
        }
    }
}

/// Messages by stage, kept by the writer so that nobody needs to scan for them.
#[derive(Default)]
struct Counts {
    submit: AtomicU64,
    deliver: AtomicU64,
    held: AtomicU64,
    quarantined: AtomicU64,
    damaged: AtomicU64,
}

impl Counts {
    fn of(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Submit => &self.submit,
            Kind::Deliver => &self.deliver,
            Kind::Held => &self.held,
            Kind::Quarantined => &self.quarantined,
            Kind::Damaged => &self.damaged,
        }
    }

    fn add(&self, kind: Kind, by: i64) {
        // Wraps round for what is taken away, and back again.
        self.of(kind).fetch_add(by as u64, Ordering::Relaxed);
    }

    fn snapshot(&self) -> StageCounts {
        let read = |kind| self.of(kind).load(Ordering::Relaxed);
        StageCounts {
            submit: read(Kind::Submit),
            deliver: read(Kind::Deliver),
            held: read(Kind::Held),
            quarantined: read(Kind::Quarantined),
            damaged: read(Kind::Damaged),
        }
    }
}

#[cfg(test)]
mod tests;
