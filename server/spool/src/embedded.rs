//! The embedded store: SQLite in WAL mode, and files for bodies that are too large for it.
//!
//! ```text
//! PATH/spool.lock      held by the one program that uses the spool; its process id
//! PATH/spool.format    the format number, and which program version reads it
//! PATH/spool.db        messages, recipients' progress, contents up to 32 KiB
//! PATH/spool.reserve   octets given up when the disk is full and a delivery has to be recorded
//! PATH/content/extents contents below 256 KiB, in blocks that are used again
//! PATH/content/XX/ID   larger contents
//! ```
//!
//! One thread writes: it commits what waits in one transaction and answers when the WAL is synced.
//! A second one checkpoints and removes files, off the path of the reply. Reads go over a few
//! connections of their own, on the blocking pool of whoever reads.

mod coming;
mod content;
mod extents;
mod housekeeper;
mod keys;
mod ledger;
mod list;
mod migrate;
mod open;
mod place;
mod prepare;
mod read;
mod schema;
mod space;
mod weigh;
mod write;
mod writer;

pub use open::examine;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::SystemTime;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use postern_message::MessageId;
use postern_message::encoding::{from_millis, to_millis};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::disk::{Disk, SystemDisk};
use crate::files::Folder;
use crate::stage::Kind;
use crate::{
    Backlog, Batch, Budget, Claimed, Durable, Entry, Filter, FromSender, Health, Lease, Page,
    Purpose, Receiving, Seized, SpoolError, StageCounts, Store, StoredMessage, UsedKey,
};

use coming::Coming;
use content::Files;
use extents::Extents;
use ledger::{Ledger, Place};
use place::Lock;
use prepare::Prepared;
use read::{Loaded, Readers};
use space::Space;
use writer::Request;

/// Octets of changes that may wait for the writer: of new mail, and of everything else.
const ROOM_FOR_MAIL: usize = 16 * 1024 * 1024;
const ROOM: usize = 4 * 1024 * 1024;
/// Rows that one search for due messages reads at least.
const SEARCH: usize = 256;

/// How an embedded store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state folder. Made when it is not there.
    pub path: PathBuf,
    /// Octets that must be free before anything is accepted.
    pub min_free: u64,
    /// Octets of contents that may stay in memory, although they are on disk, until their first
    /// delivery was tried.
    pub memory: u64,
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

/// The embedded store driver. Dropping it closes it.
pub struct Embedded {
    requests: RwLock<Option<mpsc::Sender<Request>>>,
    running: Mutex<Option<Running>>,
    /// Octets that may still wait for the writer.
    room: Arc<Semaphore>,
    room_for_mail: Arc<Semaphore>,
    /// One search for due messages at a time.
    searching: tokio::sync::Mutex<()>,
    readers: Readers,
    shared: Arc<Shared>,
    set_aside: Option<SetAside>,
    swept: u64,
    /// Held until everything else is closed: it is the last field.
    _lock: Lock,
}

/// The threads of a store.
struct Running {
    writer: JoinHandle<()>,
    housekeeper: JoinHandle<()>,
}

/// What the store and its threads share.
struct Shared {
    counts: Counts,
    ledger: Mutex<Ledger>,
    health: Health,
    space: Space,
    disk: Arc<dyn Disk>,
    folder: Arc<Folder>,
    extents: Arc<Extents>,
    budget: Budget,
    coming: Coming,
}

impl Embedded {
    /// Opens the spool in a folder, and makes it if there is none. `now` names what is set aside.
    /// Blocks: call it at start, before a runtime runs.
    ///
    /// # Errors
    /// When another process holds it, its format is newer, it is on a network file system, or the
    /// disk fails.
    pub fn open(options: &Options, now: SystemTime) -> Result<Self, SpoolError> {
        Self::open_on(options, now, Arc::new(SystemDisk))
    }

    /// As [`Embedded::open`], on a disk of the caller's: for tests of what becomes of its faults.
    ///
    /// # Errors
    /// As [`Embedded::open`].
    pub fn open_on(
        options: &Options,
        now: SystemTime,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, SpoolError> {
        open::open_with(options, now, disk, |_| Ok(()))
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

    /// `prepare` runs once there is room: what waits is not in memory twice.
    async fn ask(
        &self,
        prepare: impl FnOnce() -> Result<Prepared, SpoolError>,
        mail: bool,
        weight: usize,
    ) -> Result<(), SpoolError> {
        let (room, most) = match mail {
            true => (&self.room_for_mail, ROOM_FOR_MAIL),
            false => (&self.room, ROOM),
        };
        // What is larger than all of the room waits until it has all of it.
        let permits = u32::try_from(weight.min(most)).unwrap_or(u32::MAX);
        let room = Arc::clone(room).acquire_many_owned(permits).await;
        let room = room.map_err(|_| SpoolError::Closed)?;
        let requests = self.requests.read().clone().ok_or(SpoolError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let request = Request {
            prepared: prepare()?,
            mail,
            weight,
            reply,
            _room: room,
        };
        requests
            .send(request)
            .await
            .map_err(|_| SpoolError::Closed)?;
        drop(requests);
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Claims by a search of the database, from where the last one ended.
    async fn search(&self, now: i64, limit: usize) -> Result<Vec<Claimed>, SpoolError> {
        let _alone = self.searching.lock().await;
        let mut found = Vec::new();
        while found.len() < limit {
            let wanted = limit - found.len();
            let search = Search::begin(&self.shared);
            let after = search.after;
            let rows = self
                .readers
                .run(move |connection| read::due(connection, now, after, wanted.max(SEARCH)))
                .await?;
            let places: Vec<Place> = rows.iter().map(|(place, _)| *place).collect();
            let taken = search.end(&places, wanted);
            let weights: std::collections::HashMap<_, _> = rows
                .iter()
                .map(|((_, id), weight)| (*id, *weight))
                .collect();
            found.extend(
                taken.into_iter().filter_map(|((due, id), lease)| {
                    claimed(lease, due, weights.get(&id).copied()?)
                }),
            );
            if rows.len() < wanted.max(SEARCH) {
                break;
            }
        }
        Ok(found)
    }

    /// Claims one row, if nobody has it; `only_due`: and if it is due by itself. Given up, it has claimed nothing.
    async fn reach(&self, id: MessageId, only_due: bool) -> Result<Reached, SpoolError> {
        let shared = Arc::clone(&self.shared);
        self.readers
            .run(move |connection| {
                let Some((due, _)) = read::place(connection, id)? else {
                    return Ok(Reached::Gone);
                };
                if only_due && due.is_none() {
                    return Ok(Reached::Gone);
                }
                let Some(lease) = shared.ledger.lock().take(id, due) else {
                    return Ok(Reached::Busy);
                };
                let held = Held::of(shared, lease);
                // Whoever had it until now may have recorded something since it was read.
                let place = read::place(connection, id)?;
                let due = place.and_then(|(due, _)| due);
                let due = held.shared.ledger.lock().settle(lease, due);
                Ok(match place {
                    Some((_, weight)) if !only_due || due.is_some() => {
                        Reached::Taken(held, due, weight)
                    }
                    _ => Reached::Gone,
                })
            })
            .await
    }

    async fn put_aside_as(&self, id: MessageId, why: String) -> Result<(), SpoolError> {
        tracing::error!(%id, why, "a damaged message was set aside");
        let prepared = Prepared::damage(id, why, SystemTime::now());
        self.ask(|| Ok(prepared), false, 1).await
    }
}

/// How far one row was reached.
enum Reached {
    /// Claimed; when it is due, if it is due by itself, and its weight.
    Taken(Held, Option<i64>, u64),
    Busy,
    Gone,
}

/// A claim that is given back unless it is kept.
struct Held {
    shared: Arc<Shared>,
    lease: Lease,
    kept: bool,
}

impl Held {
    fn of(shared: Arc<Shared>, lease: Lease) -> Self {
        Self {
            shared,
            lease,
            kept: false,
        }
    }

    fn keep(mut self) -> Lease {
        self.kept = true;
        self.lease
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.kept {
            self.shared.ledger.lock().release(self.lease, None);
        }
    }
}

fn claimed(lease: Lease, due: i64, weight: u64) -> Option<Claimed> {
    Some(Claimed {
        lease,
        due: from_millis(due)?,
        weight,
    })
}

/// A search under way. What it might have seen in an old state is sorted out at its end, also when
/// it is given up.
struct Search<'a> {
    shared: &'a Shared,
    after: Option<Place>,
    ended: bool,
}

impl<'a> Search<'a> {
    fn begin(shared: &'a Shared) -> Self {
        Self {
            after: shared.ledger.lock().begin_search(),
            shared,
            ended: false,
        }
    }

    fn end(mut self, rows: &[Place], limit: usize) -> Vec<(Place, Lease)> {
        self.ended = true;
        self.shared.ledger.lock().end_search(rows, limit)
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.ledger.lock().give_up_search();
        }
    }
}

#[async_trait]
impl Store for Embedded {
    fn receive(&self, purpose: Purpose) -> Result<Receiving, SpoolError> {
        self.shared.health.check()?;
        self.shared.space.check(purpose)?;
        let files = Files {
            folder: Arc::clone(&self.shared.folder),
            budget: self.shared.budget.clone(),
            _coming: self.shared.coming.begin(purpose),
        };
        Ok(Receiving::new(Arc::new(files), purpose))
    }

    async fn commit(&self, batch: Batch, leases: &[Lease]) -> Result<Durable, SpoolError> {
        self.shared.health.check()?;
        {
            let ledger = self.shared.ledger.lock();
            if let Some(lost) = leases.iter().find(|lease| !ledger.holds(**lease)) {
                return Err(SpoolError::LeaseLost(lost.message));
            }
        }
        let (weight, mail) = (weigh::weigh(&batch), weigh::is_mail(&batch));
        // Results and the notifications that go with them may use what is left.
        if mail {
            self.shared.space.check(Purpose::Mail)?;
        }
        self.ask(|| Prepared::of(batch), mail, weight).await?;
        Ok(Durable(()))
    }

    async fn claim(
        &self,
        now: SystemTime,
        limit: usize,
        _holder: &str,
    ) -> Result<Vec<Claimed>, SpoolError> {
        let now = to_millis(now);
        let known = self.shared.ledger.lock().take_behind(now, limit);
        let mut found = Vec::with_capacity(known.len());
        if !known.is_empty() {
            let ids: Vec<_> = known.iter().map(|((_, id), _)| *id).collect();
            let weights = self
                .readers
                .run(move |connection| read::weights(connection, &ids))
                .await;
            let weights = match weights {
                Ok(weights) => weights,
                Err(error) => {
                    for (_, lease) in known {
                        self.release(lease, None);
                    }
                    return Err(error);
                }
            };
            for ((due, id), lease) in known {
                match weights.get(&id) {
                    Some(weight) => found.extend(claimed(lease, due, *weight)),
                    None => {
                        let mut ledger = self.shared.ledger.lock();
                        ledger.removed(id);
                        ledger.release(lease, None);
                    }
                }
            }
        }
        let left = limit.saturating_sub(found.len());
        found.extend(self.search(now, left).await?);
        Ok(found)
    }

    fn adopt(&self, id: MessageId, due: SystemTime) -> Option<Lease> {
        self.shared.ledger.lock().adopt(id, to_millis(due))
    }

    async fn take(&self, id: MessageId) -> Result<Option<Claimed>, SpoolError> {
        Ok(match self.reach(id, true).await? {
            Reached::Taken(held, Some(due), weight) => {
                let lease = held.keep();
                let claimed = claimed(lease, due, weight);
                if claimed.is_none() {
                    self.release(lease, None);
                }
                claimed
            }
            _ => None,
        })
    }

    async fn seize(&self, id: MessageId) -> Result<Seized, SpoolError> {
        Ok(match self.reach(id, false).await? {
            Reached::Taken(held, _, weight) => Seized::Taken {
                lease: held.keep(),
                weight,
            },
            Reached::Busy => Seized::Busy,
            Reached::Gone => Seized::Gone,
        })
    }

    async fn used(&self, owner: &str, key: &[u8]) -> Result<Option<UsedKey>, SpoolError> {
        let (owner, key) = (owner.to_owned(), key.to_vec());
        self.readers
            .run(move |connection| keys::read(connection, &owner, &key))
            .await
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Lease>, SpoolError> {
        let ledger = self.shared.ledger.lock();
        let lost = leases.iter().filter(|lease| !ledger.holds(**lease));
        Ok(lost.copied().collect())
    }

    fn release(&self, lease: Lease, not_before: Option<SystemTime>) {
        let mut ledger = self.shared.ledger.lock();
        ledger.release(lease, not_before.map(to_millis));
    }

    async fn next_due(&self) -> Result<Option<SystemTime>, SpoolError> {
        let (behind, cursor) = self.shared.ledger.lock().next();
        let shared = Arc::clone(&self.shared);
        let searched = self
            .readers
            .run(move |connection| {
                read::next_due(connection, cursor, |id| shared.ledger.lock().knows(id))
            })
            .await?;
        let first = behind.into_iter().chain(searched).min();
        Ok(first.and_then(from_millis))
    }

    async fn load(&self, id: MessageId) -> Result<Option<StoredMessage>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        let loaded = self
            .readers
            .run(move |connection| read::load(connection, &shared, id))
            .await?;
        match loaded {
            Loaded::Gone => Ok(None),
            Loaded::Whole(message) => Ok(Some(*message)),
            Loaded::Damaged { what, known } => {
                if !known {
                    self.put_aside_as(id, what.clone()).await?;
                }
                Err(SpoolError::Damaged { id, what })
            }
        }
    }

    async fn put_aside(&self, id: MessageId, why: String) -> Result<Durable, SpoolError> {
        self.put_aside_as(id, why).await?;
        Ok(Durable(()))
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Entry>, SpoolError> {
        let filter = filter.clone();
        self.readers
            .run(move |connection| list::list(connection, &filter, page))
            .await
    }

    async fn backlogs(&self, limit: usize) -> Result<Vec<Backlog>, SpoolError> {
        self.readers
            .run(move |connection| list::backlogs(connection, limit))
            .await
    }

    async fn senders(&self, limit: usize) -> Result<Vec<FromSender>, SpoolError> {
        self.readers
            .run(move |connection| list::senders(connection, limit))
            .await
    }

    async fn counts(&self) -> Result<StageCounts, SpoolError> {
        Ok(self.shared.counts.snapshot())
    }

    fn health(&self) -> &Health {
        &self.shared.health
    }

    fn close(&self) {
        self.readers.close();
        self.requests.write().take();
        let Some(running) = self.running.lock().take() else {
            return;
        };
        for thread in [running.writer, running.housekeeper] {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool ended by a panic");
            }
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.close();
    }
}

/// Messages by stage, kept by the writer so that nobody needs to scan for them.
#[derive(Default)]
struct Counts {
    submit: AtomicU64,
    categorize: AtomicU64,
    deliver: AtomicU64,
    held: AtomicU64,
    quarantined: AtomicU64,
    on_hold: AtomicU64,
    damaged: AtomicU64,
}

impl Counts {
    fn of(&self, kind: Kind) -> &AtomicU64 {
        match kind {
            Kind::Submit => &self.submit,
            Kind::Categorize => &self.categorize,
            Kind::Deliver => &self.deliver,
            Kind::Held => &self.held,
            Kind::Quarantined => &self.quarantined,
            Kind::OnHold => &self.on_hold,
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
            categorize: read(Kind::Categorize),
            deliver: read(Kind::Deliver),
            held: read(Kind::Held),
            quarantined: read(Kind::Quarantined),
            on_hold: read(Kind::OnHold),
            damaged: read(Kind::Damaged),
        }
    }
}

#[cfg(test)]
mod tests;
