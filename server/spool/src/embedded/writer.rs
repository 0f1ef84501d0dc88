//! The one thread that writes. It takes what waits, commits it in one transaction, syncs the log and
//! answers all of it: concurrent messages share a sync, a lone one waits for nobody.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::Shared;
use super::extents::Lent;
use super::housekeeper::{self, Signals};
use super::prepare::{Content, Insert, Prepared};
use super::schema;
use super::write::{self, Effects};
use crate::SpoolError;
use crate::error::is_no_space;

/// Requests that may wait for the writer; those who ask wait for room.
pub(super) const QUEUE: usize = 1024;
/// What one transaction may gather of new mail, and of everything else. Its time is what a client
/// waits for at most whose message came a moment too late.
const GROUP: usize = 4 * 1024 * 1024;
const GROUP_OF_RESULTS: usize = 1024 * 1024;
/// After so many octets in the WAL the housekeeper is asked to checkpoint.
const CHECKPOINT: usize = 4 * 1024 * 1024;
/// Pages that the WAL may have at most before the writer itself checkpoints: 48 MiB.
const LONGEST_WAL: i64 = 12_288;
/// Pages without use that the database keeps for what comes next: 16 MiB.
const KEPT_PAGES: u64 = 4096;
/// Pages that are given back to the file system in one go.
const GIVEN_BACK: u32 = 256;
const PAGE: u64 = 4096;
/// With so many contents on their way a commit waits for some of them to come, for so long.
const CROWD: usize = 8;
const LINGER: Duration = Duration::from_micros(700);

/// Changes, and who waits for them.
pub(super) struct Request {
    pub(super) prepared: Prepared,
    /// New mail: it overtakes everything else.
    pub(super) mail: bool,
    pub(super) weight: usize,
    pub(super) reply: oneshot::Sender<Result<(), SpoolError>>,
    /// Its share of the memory for what waits.
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    /// The WAL, to be synced.
    pub(super) log: File,
    pub(super) log_path: PathBuf,
    pub(super) queue: mpsc::Receiver<Request>,
    pub(super) signals: Signals,
    pub(super) shared: Arc<Shared>,
    pub(super) waiting: Waiting,
    /// Octets written to the WAL since the housekeeper was asked.
    pub(super) grown: usize,
}

/// What was taken from the queue and is in no transaction yet.
#[derive(Default)]
pub(super) struct Waiting {
    mail: VecDeque<Request>,
    others: VecDeque<Request>,
}

impl Waiting {
    fn push(&mut self, request: Request) {
        match request.mail {
            true => self.mail.push_back(request),
            false => self.others.push_back(request),
        }
    }

    /// What the next transaction commits: the new mail, and a share of the rest.
    fn group(&mut self) -> (Vec<Request>, usize) {
        let mut group = Vec::new();
        let mail = take(&mut self.mail, GROUP, &mut group);
        let others = take(&mut self.others, GROUP_OF_RESULTS, &mut group);
        (group, mail + others)
    }
}

fn take(from: &mut VecDeque<Request>, most: usize, group: &mut Vec<Request>) -> usize {
    let mut weight = 0;
    while weight < most
        && let Some(next) = from.pop_front()
    {
        weight += next.weight;
        group.push(next);
    }
    weight
}

impl Writer {
    pub(super) fn start(mut self) -> Result<JoinHandle<()>, SpoolError> {
        thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || self.run())
            .map_err(|error| SpoolError::io("starting the writer", error))
    }

    fn run(&mut self) {
        while self.gather() {
            let (mut group, weight) = self.waiting.group();
            // Contents in extents are in no log.
            let lumps = inserts(&group).filter_map(Insert::lump);
            let beside: usize = lumps.map(|lump| lump.octets.len()).sum();
            self.finish_checkpoint();
            self.commit_group(&mut group);
            self.grown += weight.saturating_sub(beside);
            self.give_back();
            if self.grown >= CHECKPOINT {
                self.grown = 0;
                self.ask_for_checkpoint();
            }
        }
        self.settle();
    }

    /// Takes what waits; blocks while nothing does. False at the end.
    fn gather(&mut self) -> bool {
        if self.waiting.mail.is_empty() && self.waiting.others.is_empty() {
            match self.queue.blocking_recv() {
                Some(first) => self.waiting.push(first),
                None => return false,
            }
            // A sync for each of them would cost each of them more than this wait does.
            if self.shared.coming.count() >= CROWD && !self.queue.is_closed() {
                thread::sleep(LINGER);
            }
        }
        while let Ok(next) = self.queue.try_recv() {
            self.waiting.push(next);
        }
        true
    }

    /// Commits all of a group at once. When that fails each request is tried alone, so that only
    /// those fail that cannot be done.
    fn commit_group(&mut self, group: &mut Vec<Request>) {
        let done = self.shared.health.check().and_then(|()| self.commit(group));
        match done {
            Ok(()) => {
                for request in group.drain(..) {
                    answer(request, Ok(()));
                }
            }
            Err(error) if group.len() == 1 => {
                if let Some(request) = group.pop() {
                    let result = match self.try_again(&request, &error) {
                        true => self.commit(std::slice::from_ref(&request)),
                        false => Err(error),
                    };
                    answer(request, result);
                }
            }
            Err(_) => {
                for request in group.drain(..) {
                    self.commit_group(&mut vec![request]);
                }
            }
        }
    }

    /// A result found no room: with the log emptied, and the reserve given up, it may find some.
    fn try_again(&mut self, request: &Request, error: &SpoolError) -> bool {
        if request.mail || !error.is_no_space() || self.shared.health.check().is_err() {
            return false;
        }
        let more = self.shared.space.give_up_reserve();
        self.finish_checkpoint();
        more || !request.prepared.removes.is_empty()
    }

    fn commit(&mut self, group: &[Request]) -> Result<(), SpoolError> {
        // Before a row can name them: the log may reach the disk before anyone syncs it.
        let mut lent = Lent::write(&self.shared.extents, inserts(group))
            .map_err(|error| self.write_failed(error))?;
        let mut effects = Effects::default();
        let done = self
            .connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(SpoolError::from)
            .and_then(|_| {
                for request in group {
                    effects.merge(write::apply(&self.connection, &request.prepared, &lent)?);
                }
                Ok(())
            });
        if let Err(error) = done {
            self.roll_back();
            self.make_room(&error);
            return Err(error);
        }
        let committed = self
            .connection
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]));
        if let Err(error) = committed {
            return Err(self.commit_failed(&error, group, &mut lent));
        }
        // From here on a row may name them, whatever becomes of the sync.
        keep(group, &mut lent);
        if let Err(error) = self.shared.disk.sync(&self.log, &self.log_path) {
            let why = format!("syncing the log: {error}");
            self.shared.health.fail(&why);
            return Err(SpoolError::Failed(why));
        }
        lent.committed(inserts(group));
        effects.count(&self.shared.counts);
        self.note(&effects);
        for place in effects.places {
            self.shared.extents.removed(place);
        }
        self.signals.remove(effects.files);
        Ok(())
    }

    fn write_failed(&self, error: std::io::Error) -> SpoolError {
        // It may have been the sync.
        let failed = self.shared.health.check().err();
        let error = failed.unwrap_or_else(|| SpoolError::io("writing content", error));
        self.make_room(&error);
        error
    }

    /// Tells those who claim what is due when now.
    fn note(&self, effects: &Effects) {
        let mut ledger = self.shared.ledger.lock();
        for &(id, due) in &effects.due {
            ledger.changed(id, due);
        }
        for &id in &effects.gone {
            ledger.removed(id);
        }
    }

    /// After a full disk the transaction is gone and the next may do. After any other failure of
    /// the disk nobody knows what of it is there: no more is written, and files that a row might
    /// name are left to the sweep of the next start.
    fn commit_failed(
        &mut self,
        error: &rusqlite::Error,
        group: &[Request],
        lent: &mut Lent,
    ) -> SpoolError {
        self.roll_back();
        if is_failure(error) {
            keep(group, lent);
            let why = error.to_string();
            self.shared.health.fail(&why);
            return SpoolError::Failed(why);
        }
        let error = match is_no_space(error) {
            true => SpoolError::NoSpace,
            false => SpoolError::Database(error.to_string()),
        };
        self.make_room(&error);
        error
    }

    /// On a full disk a checkpoint lets the WAL begin anew, so that removals find room in it.
    fn make_room(&self, error: &SpoolError) {
        if error.is_no_space() {
            self.signals.finish.store(true, Ordering::Release);
        }
    }

    fn roll_back(&mut self) {
        // SQLite may have done it by itself.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            let why = format!("it could not roll back: {error}");
            self.shared.health.fail(&why);
        }
    }

    fn ask_for_checkpoint(&self) {
        self.signals.checkpoint();
        match housekeeper::look(&self.connection) {
            Ok(wal) if wal.pages < LONGEST_WAL => {}
            // The disk is slower than those who write: they have to wait for it.
            _ => self.signals.finish.store(true, Ordering::Release),
        }
    }

    /// A checkpoint beside a busy writer never catches up with it, and the WAL would grow without
    /// end. So the last bit is done here, where nobody writes; then the WAL starts anew.
    fn finish_checkpoint(&self) {
        if self.signals.finish.swap(false, Ordering::AcqRel) {
            let _alone = self.signals.no_checkpoint();
            if let Err(error) = housekeeper::checkpoint(&self.connection) {
                housekeeper::checkpoint_failed(&self.shared.health, &error);
            }
        }
    }

    /// Gives pages and blocks back to the file system that are of no use, a few at a time and only
    /// while nobody waits.
    fn give_back(&mut self) {
        loop {
            let Some(unused) = self.count_unused() else {
                return;
            };
            let busy = !self.waiting.mail.is_empty()
                || !self.waiting.others.is_empty()
                || !self.queue.is_empty();
            if busy || self.shared.health.check().is_err() {
                return;
            }
            if self.shared.extents.give_back() {
                continue;
            }
            if unused <= KEPT_PAGES {
                return;
            }
            let step = format!("PRAGMA incremental_vacuum({GIVEN_BACK})");
            if let Err(error) = self.connection.execute_batch(&step) {
                tracing::debug!(%error, "the spool could not give pages back");
                return;
            }
            self.grown += GIVEN_BACK as usize * PAGE as usize;
            if self.grown >= CHECKPOINT {
                self.grown = 0;
                self.signals.finish.store(true, Ordering::Release);
                self.finish_checkpoint();
            }
        }
    }

    fn count_unused(&self) -> Option<u64> {
        let unused: u32 = self
            .connection
            .prepare_cached("PRAGMA freelist_count")
            .and_then(|mut count| count.query_row([], |row| row.get(0)))
            .ok()?;
        let unused = u64::from(unused);
        let octets = unused.saturating_mul(PAGE) + self.shared.extents.unused();
        self.shared.space.unused.store(octets, Ordering::Relaxed);
        Some(unused)
    }

    /// At a clean end nothing is left in the log.
    fn settle(&self) {
        if self.shared.health.check().is_err() {
            return schema::distrust(&self.connection);
        }
        let _alone = self.signals.no_checkpoint();
        if let Err(error) = schema::settle(&self.connection) {
            tracing::warn!(%error, "the spool could not empty its log; the next start does");
        }
        self.shared.extents.close();
    }
}

/// The disk failed, and not for want of room.
pub(super) fn is_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) && !is_no_space(error)
}

fn inserts(group: &[Request]) -> impl Iterator<Item = &Insert> {
    group.iter().flat_map(|request| &request.prepared.inserts)
}

fn keep(group: &[Request], lent: &mut Lent) {
    lent.keep();
    for insert in inserts(group) {
        if let Content::File(guard) = &insert.content {
            guard.keep();
        }
    }
}

/// Who asked may have gone away meanwhile; what was done stays done.
fn answer(request: Request, result: Result<(), SpoolError>) {
    drop(request.reply.send(result));
}
