//! The bytes of one content: a window in memory, the rest in a file. The receiver appends, any
//! number of readers read at their own pace.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::ReadAt;

/// Most octets that one read returns.
const MAX_READ: usize = 1024 * 1024;
/// Octets that are gathered in one allocation.
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
    /// Octets that are in the file; the window starts here.
    filed: u64,
    file: Option<Arc<File>>,
    window: VecDeque<Bytes>,
    /// The window's end, still growing.
    tail: BytesMut,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Complete,
    Aborted,
}

impl Arrival {
    /// A content of which nothing has arrived yet.
    pub(crate) fn new() -> Self {
        Self::with(State {
            size: 0,
            filed: 0,
            file: None,
            window: VecDeque::new(),
            tail: BytesMut::new(),
            end: End::Open,
        })
    }

    /// A complete content in memory.
    pub(crate) fn of_memory(content: Bytes) -> Self {
        Self::with(State {
            size: content.len() as u64,
            filed: 0,
            file: None,
            window: VecDeque::from([content]),
            tail: BytesMut::new(),
            end: End::Complete,
        })
    }

    /// A complete content in a file.
    pub(crate) fn of_file(file: File, size: u64) -> Self {
        Self::with(State {
            size,
            filed: size,
            file: Some(Arc::new(file)),
            window: VecDeque::new(),
            tail: BytesMut::new(),
            end: End::Complete,
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
            if state.tail.len() + bytes.len() > CHUNK {
                state.freeze_tail();
            }
            state.tail.extend_from_slice(bytes);
            state.size += bytes.len() as u64;
        }
        self.changed.notify_waiters();
    }

    /// The window's octets, to be written to the file. They stay until [`Arrival::filed`].
    pub(crate) fn window(&self) -> Vec<Bytes> {
        let mut state = self.state.lock();
        state.freeze_tail();
        state.window.iter().cloned().collect()
    }

    /// The first octets of the window are in the file now.
    pub(crate) fn filed(&self, file: &Arc<File>, mut octets: u64) {
        let mut state = self.state.lock();
        state.file.get_or_insert_with(|| Arc::clone(file));
        state.filed += octets;
        while octets > 0 {
            let Some(mut first) = state.window.pop_front() else {
                return;
            };
            let size = first.len() as u64;
            if size > octets {
                // Writes take whole chunks, so this is the last one.
                let cut = usize::try_from(octets).unwrap_or(first.len());
                state.window.push_front(first.split_off(cut));
                return;
            }
            octets -= size;
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

    pub(crate) fn complete(&self) {
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

    /// What is in memory from `offset` on, up to the end of a chunk.
    fn in_window(&mut self, offset: u64, max: usize) -> Bytes {
        if self.tail.len() >= SCRAP {
            self.freeze_tail();
        }
        let mut start = self.filed;
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
        let (file, length) = {
            let mut state = self.state.lock();
            if state.end == End::Aborted {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the content was given up before it was complete",
                ));
            }
            match &state.file {
                Some(file) if offset < state.filed => {
                    let there = usize::try_from(state.filed - offset).unwrap_or(usize::MAX);
                    (Arc::clone(file), there.min(max))
                }
                _ => return Ok(state.in_window(offset, max)),
            }
        };
        let read = move || read_exact_at(&file, offset, length);
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
}

/// Reads octets that must be there.
pub(crate) fn read_exact_at(file: &File, offset: u64, length: usize) -> io::Result<Bytes> {
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, offset)?;
    Ok(buffer.into())
}
