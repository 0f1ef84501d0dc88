//! The bytes of one content: a window in memory up to its end, the rest where the store puts it. The receiver
//! appends, any number of readers read at their own pace.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::budget::{Budget, Held};
use crate::{Blob, ContentFacts, ReadAt};

/// Most octets that one read returns.
const MAX_READ: usize = 1024 * 1024;
/// Octets that are gathered in one allocation, at least and at most. Between them it is a part of
/// what is there already: a session that sends little takes little.
const LEAST_CHUNK: usize = 4 * 1024;
const CHUNK: usize = 64 * 1024;
/// Fewer octets than this at the window's end are copied to a reader. Shared with each reader that
/// is quicker than the client they would become a chunk of their own, and there would be many.
const SCRAP: usize = 4096;

pub(crate) struct Arrival {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// Octets that were appended.
    size: u64,
    /// Octets that the blob has.
    filed: u64,
    blob: Option<Arc<dyn Blob>>,
    /// Where the window starts: not behind `filed`, and before it while what is filed is kept.
    start: u64,
    window: VecDeque<Bytes>,
    /// The window's end, still growing.
    tail: BytesMut,
    /// For what stays in memory though it is filed; `None` once there was no room for all of it.
    held: Option<Held>,
    end: End,
    facts: Option<ContentFacts>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Aborted,
}

impl Arrival {
    /// A content of which nothing has arrived yet. What is filed of it stays in memory as far as the
    /// budget allows.
    pub(crate) fn new(budget: &Budget) -> Self {
        Self::with(State {
            size: 0,
            filed: 0,
            blob: None,
            start: 0,
            window: VecDeque::new(),
            tail: BytesMut::new(),
            held: Some(budget.hold()),
            end: End::Open,
            facts: None,
        })
    }

    /// A complete content in memory.
    pub(crate) fn of_memory(content: Bytes, facts: Option<ContentFacts>) -> Self {
        Self::with(State {
            size: content.len() as u64,
            filed: 0,
            blob: None,
            start: 0,
            window: VecDeque::from([content]),
            tail: BytesMut::new(),
            held: None,
            end: End::Complete,
            facts,
        })
    }

    /// A complete content in a blob.
    pub(crate) fn of_blob(blob: Arc<dyn Blob>, size: u64, facts: Option<ContentFacts>) -> Self {
        Self::with(State {
            size,
            filed: size,
            blob: Some(blob),
            start: size,
            window: VecDeque::new(),
            tail: BytesMut::new(),
            held: None,
            end: End::Complete,
            facts,
        })
    }

    fn with(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        }
    }

    /// Appends octets. They are copied, so that no buffer of a connection is held up.
    pub(crate) fn append(&self, bytes: &[u8]) {
        {
            let mut state = self.state.lock();
            let mut rest = bytes;
            while !rest.is_empty() {
                if state.tail.len() == state.tail.capacity() {
                    state.freeze_tail();
                    let gathered = usize::try_from(state.size - state.filed).unwrap_or(CHUNK);
                    let chunk = (gathered / 4).max(rest.len()).next_multiple_of(LEAST_CHUNK);
                    state.tail = BytesMut::with_capacity(chunk.clamp(LEAST_CHUNK, CHUNK));
                }
                let room = state.tail.capacity() - state.tail.len();
                let (piece, after) = rest.split_at(rest.len().min(room));
                state.tail.extend_from_slice(piece);
                state.size += piece.len() as u64;
                rest = after;
            }
        }
        self.changed.notify_waiters();
    }

    /// What is in memory alone, to be written to the blob. It stays until [`Arrival::filed`].
    pub(crate) fn window(&self) -> Vec<Bytes> {
        let mut state = self.state.lock();
        state.freeze_tail();
        let (mut at, filed) = (state.start, state.filed);
        let unfiled = state.window.iter().filter(|chunk| {
            at += chunk.len() as u64;
            at > filed
        });
        unfiled.cloned().collect()
    }

    /// The first octets of what was in memory alone are in the blob now. Writes take whole chunks.
    pub(crate) fn filed(&self, blob: &Arc<dyn Blob>, octets: u64) {
        let mut state = self.state.lock();
        state.blob.get_or_insert_with(|| Arc::clone(blob));
        state.filed += octets;
        if !state.keep(octets) {
            state.let_go();
        }
    }

    /// The content, all of it in memory until now, is in a blob too. It stays in memory if there is
    /// room; if not, `blob` is what is read from now on.
    pub(crate) fn stored(&self, blob: impl FnOnce() -> Arc<dyn Blob>) {
        let mut state = self.state.lock();
        let size = state.size;
        // Messages that were forked say it once more.
        if state.filed == size {
            return;
        }
        state.filed = size;
        if !state.keep(size) {
            state.blob = Some(blob());
            state.freeze_tail();
            state.let_go();
        }
    }

    /// The whole content as one piece, when all of it is in memory.
    pub(crate) fn join(&self) -> Bytes {
        let mut state = self.state.lock();
        state.freeze_tail();
        if state.window.len() > 1 {
            let joined = state.window.iter().fold(BytesMut::new(), |mut all, next| {
                all.extend_from_slice(next);
                all
            });
            state.window = VecDeque::from([joined.freeze()]);
        }
        state.window.front().cloned().unwrap_or_default()
    }

    pub(crate) fn complete(&self, facts: ContentFacts) {
        self.state.lock().facts = Some(facts);
        self.finish(End::Complete);
    }

    /// Gives the content up, unless it is complete.
    pub(crate) fn abort(&self) {
        self.finish(End::Aborted);
    }

    fn finish(&self, end: End) {
        {
            let mut state = self.state.lock();
            if state.end == End::Open {
                state.end = end;
            }
        }
        self.changed.notify_waiters();
    }
}

impl State {
    fn freeze_tail(&mut self) {
        if !self.tail.is_empty() {
            let chunk = self.tail.split().freeze();
            self.window.push_back(chunk);
        }
    }

    /// There is room in memory for so much that is filed.
    fn keep(&mut self, octets: u64) -> bool {
        let kept = self.held.as_mut().is_some_and(|held| held.grow(octets));
        if !kept {
            self.held = None;
        }
        kept
    }

    /// Nothing stays in memory that is filed.
    fn let_go(&mut self) {
        while self.start < self.filed
            && let Some(first) = self.window.pop_front()
        {
            self.start += first.len() as u64;
        }
    }

    /// What is in memory from `offset` on, up to the end of a chunk.
    fn in_window(&mut self, offset: u64, max: usize) -> Bytes {
        if self.tail.len() >= SCRAP {
            self.freeze_tail();
        }
        let mut start = self.start;
        for chunk in &self.window {
            let end = start + chunk.len() as u64;
            if offset < end {
                // Both are within the chunk's length.
                let from = usize::try_from(offset - start).unwrap_or(chunk.len());
                let to = chunk.len().min(from.saturating_add(max));
                return chunk.slice(from..to);
            }
            start = end;
        }
        let from = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
        let rest = self.tail.get(from..).unwrap_or_default();
        Bytes::copy_from_slice(rest.get(..max).unwrap_or(rest))
    }
}

#[async_trait]
impl ReadAt for Arrival {
    async fn read_at(&self, offset: u64, max: usize) -> io::Result<Bytes> {
        let max = max.min(MAX_READ);
        let (blob, length) = {
            let mut state = self.state.lock();
            if state.end == End::Aborted {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the content was given up before it was complete",
                ));
            }
            match &state.blob {
                Some(blob) if offset < state.start => {
                    let there = usize::try_from(state.start - offset).unwrap_or(usize::MAX);
                    (Arc::clone(blob), there.min(max))
                }
                _ => return Ok(state.in_window(offset, max)),
            }
        };
        let read = move || blob.read_at(offset, length);
        tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)?
    }

    fn available(&self) -> u64 {
        self.state.lock().size
    }

    fn is_complete(&self) -> bool {
        self.state.lock().end == End::Complete
    }

    async fn wait_beyond(&self, offset: u64) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = self.state.lock();
                if state.end == End::Aborted {
                    return false;
                }
                if state.size > offset || state.end == End::Complete {
                    return state.size > offset;
                }
            }
            changed.await;
        }
    }

    fn facts(&self) -> Option<ContentFacts> {
        self.state.lock().facts
    }

    fn in_memory(&self) -> u64 {
        let state = self.state.lock();
        state.size - state.start
    }
}
