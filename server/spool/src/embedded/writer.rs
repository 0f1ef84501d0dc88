//! The one thread that writes. It takes whatever waits, commits it in one transaction and answers
//! all of it: concurrent messages share a sync, a lone one waits for nobody.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::Counts;
use super::housekeeper::{self, Signals};
use super::prepare::{Content, Prepared};
use super::write::{self, Effects};
use crate::SpoolError;

/// Requests that may wait for the writer; those who ask wait for room.
pub(super) const QUEUE: usize = 1024;
/// Octets that one transaction may gather.
const GROUP: usize = 16 * 1024 * 1024;
/// After so many octets in the WAL the housekeeper is asked to checkpoint.
const CHECKPOINT: usize = 4 * 1024 * 1024;
/// Pages that the WAL may have at most before the writer itself checkpoints: 48 MiB.
const LONGEST_WAL: i64 = 12_288;

/// Changes, and who waits for them.
pub(super) struct Request {
    pub(super) prepared: Prepared,
    pub(super) reply: oneshot::Sender<Result<(), SpoolError>>,
}

pub(super) struct Writer {
    connection: Connection,
    queue: mpsc::Receiver<Request>,
    signals: Signals,
    counts: Arc<Counts>,
    /// Octets written to the WAL since the housekeeper was asked.
    grown: usize,
    /// The disk failed a commit: what it holds now is not known.
    failed: Option<String>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        queue: mpsc::Receiver<Request>,
        signals: Signals,
        counts: Arc<Counts>,
    ) -> Result<JoinHandle<()>, SpoolError> {
        let mut writer = Self {
            connection,
            queue,
            signals,
            counts,
            grown: 0,
            failed: None,
        };
        thread::Builder::new()
            .name("spool-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| SpoolError::io("starting the writer", error))
    }

    fn run(&mut self) {
        let mut group = Vec::new();
        while let Some(first) = self.queue.blocking_recv() {
            let mut weight = first.prepared.weight();
            group.push(first);
            while weight < GROUP
                && group.len() < QUEUE
                && let Ok(next) = self.queue.try_recv()
            {
                weight += next.prepared.weight();
                group.push(next);
            }
            self.finish_checkpoint();
            self.commit_group(&mut group);
            self.grown += weight;
            if self.grown >= CHECKPOINT {
                self.grown = 0;
                self.ask_for_checkpoint();
            }
        }
    }

    /// Commits all of a group at once. When that fails each request is tried alone, so that only
    /// those fail that cannot be done.
    fn commit_group(&mut self, group: &mut Vec<Request>) {
        if let Some(why) = &self.failed {
            for request in group.drain(..) {
                answer(request, Err(SpoolError::Failed(why.clone())));
            }
            return;
        }
        match self.commit(group) {
            Ok(()) => {
                for request in group.drain(..) {
                    answer(request, Ok(()));
                }
            }
            Err(error) if group.len() == 1 || self.failed.is_some() => {
                let mut error = Some(error);
                for request in group.drain(..) {
                    let again = self.failed.clone().map(SpoolError::Failed);
                    let error = error.take().or(again).unwrap_or(SpoolError::Closed);
                    answer(request, Err(error));
                }
            }
            Err(_) => {
                for request in group.drain(..) {
                    self.commit_group(&mut vec![request]);
                }
            }
        }
    }

    fn commit(&mut self, group: &[Request]) -> Result<(), SpoolError> {
        let mut effects = Effects::default();
        let done = self
            .connection
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut begin| begin.execute([]))
            .map_err(SpoolError::from)
            .and_then(|_| {
                for request in group {
                    effects.merge(write::apply(&self.connection, &request.prepared)?);
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
            return Err(self.commit_failed(error, group));
        }
        keep_files(group);
        effects.count(&self.counts);
        self.signals.remove(effects.files);
        Ok(())
    }

    /// After a full disk the transaction is gone and the next may do. After any other failure of
    /// the disk nobody knows what of it is there: no more is written, and files that a row might
    /// name are left to the sweep of the next start.
    fn commit_failed(&mut self, error: rusqlite::Error, group: &[Request]) -> SpoolError {
        self.roll_back();
        if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
            let why = error.to_string();
            tracing::error!(
                error = why,
                "the spool's disk failed; nothing more is taken"
            );
            keep_files(group);
            self.failed = Some(why.clone());
            return SpoolError::Failed(why);
        }
        let error = error.into();
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
            tracing::error!(%error, "the spool could not roll back");
            self.failed = Some(error.to_string());
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
                tracing::warn!(%error, "the spool could not checkpoint");
            }
        }
    }
}

fn keep_files(group: &[Request]) {
    for insert in group.iter().flat_map(|request| &request.prepared.inserts) {
        if let Content::File(guard) = &insert.content {
            guard.keep();
        }
    }
}

/// Who asked may have gone away meanwhile; what was done stays done.
fn answer(request: Request, result: Result<(), SpoolError>) {
    drop(request.reply.send(result));
}
