//! The body on its way from the gateway to a handler: pushed under credit, or read by range.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::call::Context;
use crate::commands::Command;
use crate::v1::{self, ContentState, body_depth};

/// Octets of content that the gateway may send for an event before the handler asks for more. What is pushed and not
/// read waits in memory, so it is small; most messages fit all the same.
pub(crate) const INITIAL_CREDIT: u32 = 64 * 1024;

/// Octets that a handler which reads may have ahead of it.
const WINDOW: u64 = 1024 * 1024;

/// When less credit than this is left, more is given: the gateway's largest frame is still on its way then.
const REFILL_BELOW: u64 = 256 * 1024;

/// Octets of one read when a body is collected on demand.
const READ_SIZE: u64 = 256 * 1024;

/// The most that one read may ask for.
const READ_MAX: u64 = 1024 * 1024;

/// Why the content could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The binding's body depth does not go so far.
    #[error("the binding does not show the body here")]
    NotShown,
    /// The body is larger than the handler allows.
    #[error("the body is larger than {0} octets")]
    TooLarge(u64),
    /// A part was taken by `next_chunk` or given up by `ended` before.
    #[error("a part of the body was taken or given up before")]
    Taken,
    /// The body is no UTF-8.
    #[error("the body is no UTF-8 text")]
    NotText,
    /// The range lies behind the end, or is longer than 1 MiB.
    #[error("no such range of the body")]
    Range,
}

/// Where the frames of one event's content are put until the handler takes them.
pub(crate) struct Feed {
    state: Mutex<FeedState>,
    changed: Notify,
}

#[derive(Default)]
struct FeedState {
    chunks: VecDeque<Bytes>,
    received: u64,
    /// As `received`, with ranges that were read.
    seen: u64,
    granted: u64,
    /// Chunks are thrown away: nobody wants them.
    stopped: bool,
    ended: Option<Box<v1::ContentEnd>>,
    read: Option<RangeRead>,
}

struct RangeRead {
    read_id: u64,
    data: BytesMut,
    ended: Option<ContentState>,
}

impl Feed {
    pub(crate) fn new() -> Arc<Self> {
        let state = FeedState {
            granted: u64::from(INITIAL_CREDIT),
            ..Default::default()
        };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Takes a frame in, whose order and credit the link has checked.
    pub(crate) fn push(&self, content: v1::Content) {
        let mut state = self.lock();
        match content.read_id {
            0 => state.take_pushed(content),
            _ => state.take_range(content),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Octets of the whole content, once its end has come.
    pub(crate) fn size_bytes(&self) -> Option<u64> {
        Some(self.lock().ended.as_ref()?.size_bytes)
    }

    /// Octets that have come for the handler so far, pushed and read.
    pub(crate) fn seen(&self) -> u64 {
        self.lock().seen
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedState {
    fn take_pushed(&mut self, content: v1::Content) {
        self.received += content.octets.len() as u64;
        self.seen += content.octets.len() as u64;
        if !self.stopped && !content.octets.is_empty() {
            self.chunks.push_back(content.octets);
        }
        self.ended = content.ended;
    }

    fn take_range(&mut self, content: v1::Content) {
        // A read that was given up with its handler's wait may still be answered.
        if let Some(read) = &mut self.read
            && read.read_id == content.read_id
        {
            read.data.extend_from_slice(&content.octets);
            self.seen += content.octets.len() as u64;
            read.ended = content.ended.map(|ended| ended.state());
        }
    }
}

/// A handler's end of a feed.
pub(crate) struct Pipe {
    feed: Arc<Feed>,
    depth: body_depth::Kind,
    context: Arc<Context>,
    event_id: u64,
    taken: u64,
    partly_taken: bool,
    collected: Option<Bytes>,
    next_read_id: u64,
}

impl Pipe {
    pub(crate) fn new(
        feed: Arc<Feed>,
        depth: body_depth::Kind,
        context: Arc<Context>,
        event_id: u64,
    ) -> Self {
        Self {
            feed,
            depth,
            context,
            event_id,
            taken: 0,
            partly_taken: false,
            collected: None,
            // Unique in the instance: no event asks for so many.
            next_read_id: (event_id << 32) | 1,
        }
    }

    /// Octets of the whole content, once its end has come.
    pub(super) fn size_bytes(&self) -> Option<u64> {
        self.feed.size_bytes()
    }

    /// The whole body as it was shown, if it was collected.
    pub(super) fn collected(&self) -> Option<&Bytes> {
        // A prefix is not the body.
        match self.depth {
            body_depth::Kind::Full(_) | body_depth::Kind::OnDemand(_) => self.collected.as_ref(),
            _ => None,
        }
    }

    pub(super) async fn next_chunk(&mut self) -> Result<Option<Bytes>, ContentError> {
        if !matches!(
            self.depth,
            body_depth::Kind::Full(_) | body_depth::Kind::Prefix(_)
        ) {
            return Err(ContentError::NotShown);
        }
        if self.collected.is_some() {
            return Err(ContentError::Taken);
        }
        self.partly_taken = true;
        self.pushed().await
    }

    async fn pushed(&mut self) -> Result<Option<Bytes>, ContentError> {
        loop {
            let (chunk, credit) = self.poll_pushed()?;
            if credit > 0 {
                let want = v1::WantContent {
                    event_id: self.event_id,
                    credit_bytes: credit,
                };
                self.send(Command::WantContent(want)).await;
            }
            match chunk {
                Some(chunk) => return Ok(chunk),
                None => self.feed.changed.notified().await,
            }
        }
    }

    /// A chunk or the end, if one is there; and how much credit is to be given.
    fn poll_pushed(&mut self) -> Result<(Option<Option<Bytes>>, u64), ContentError> {
        let mut state = self.feed.lock();
        if state.stopped {
            return Err(ContentError::Taken);
        }
        let chunk = match (state.chunks.pop_front(), &state.ended) {
            (Some(chunk), _) => {
                self.taken += chunk.len() as u64;
                Some(Some(chunk))
            }
            (None, Some(_)) => Some(None),
            (None, None) => None,
        };
        let left = state.granted.saturating_sub(state.received);
        let mut credit = 0;
        if state.ended.is_none() && left < REFILL_BELOW {
            credit = (self.taken + WINDOW).saturating_sub(state.granted);
            state.granted += credit;
        }
        Ok((chunk, credit))
    }

    pub(super) async fn collect(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        if let Some(collected) = &self.collected {
            return Ok(collected.clone());
        }
        if self.partly_taken {
            return Err(ContentError::Taken);
        }
        let body = match self.depth {
            body_depth::Kind::Full(_) | body_depth::Kind::Prefix(_) => {
                self.collect_pushed(limit).await?
            }
            body_depth::Kind::OnDemand(_) => self.collect_read(limit).await?,
            _ => return Err(ContentError::NotShown),
        };
        self.collected = Some(body.clone());
        Ok(body)
    }

    async fn collect_pushed(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        self.partly_taken = true;
        let mut only = Bytes::new();
        let mut several = BytesMut::new();
        while let Some(chunk) = self.pushed().await? {
            if self.taken > limit {
                return Err(ContentError::TooLarge(limit));
            }
            // Most bodies are one chunk, which needs no copy.
            if only.is_empty() && several.is_empty() {
                only = chunk;
            } else {
                if several.is_empty() {
                    several.extend_from_slice(&std::mem::take(&mut only));
                }
                several.extend_from_slice(&chunk);
            }
        }
        self.partly_taken = false;
        Ok(if several.is_empty() {
            only
        } else {
            several.freeze()
        })
    }

    async fn collect_read(&mut self, limit: u64) -> Result<Bytes, ContentError> {
        let mut body = BytesMut::new();
        loop {
            let data = self.read(body.len() as u64, READ_SIZE).await?;
            body.extend_from_slice(&data);
            if body.len() as u64 > limit {
                return Err(ContentError::TooLarge(limit));
            }
            if (data.len() as u64) < READ_SIZE {
                return Ok(body.freeze());
            }
        }
    }

    pub(super) async fn read(&mut self, offset: u64, length: u64) -> Result<Bytes, ContentError> {
        if !matches!(
            self.depth,
            body_depth::Kind::OnDemand(_) | body_depth::Kind::Full(_)
        ) {
            return Err(ContentError::NotShown);
        }
        if length == 0 || length > READ_MAX {
            return Err(ContentError::Range);
        }
        let read_id = self.next_read_id;
        self.next_read_id += 1;
        self.feed.lock().read = Some(RangeRead {
            read_id,
            data: BytesMut::new(),
            ended: None,
        });
        let read = v1::ReadContent {
            event_id: self.event_id,
            read_id,
            part: v1::ContentPart::Body.into(),
            offset,
            length_bytes: length,
            revision: 0,
        };
        self.send(Command::ReadContent(read)).await;
        loop {
            if let Some(result) = self.poll_range() {
                return result;
            }
            self.feed.changed.notified().await;
        }
    }

    fn poll_range(&self) -> Option<Result<Bytes, ContentError>> {
        let mut state = self.feed.lock();
        let ended = state.read.as_ref()?.ended?;
        let data = state.read.take()?.data.freeze();
        Some(match ended {
            ContentState::Complete => Ok(data),
            // Reading on at the very end is how a reader finds it.
            ContentState::OutOfRange => Ok(Bytes::new()),
            ContentState::Unspecified => Err(ContentError::Range),
        })
    }

    pub(super) async fn ended(&mut self) -> Result<v1::ContentEnd, ContentError> {
        if matches!(self.depth, body_depth::Kind::Nothing(_)) {
            return Err(ContentError::NotShown);
        }
        let mut told = false;
        loop {
            if let Some(ended) = &self.feed.lock().ended {
                return Ok((**ended).clone());
            }
            // Without this the end could wait for credit that nobody gives.
            if !told
                && matches!(
                    self.depth,
                    body_depth::Kind::Full(_) | body_depth::Kind::Prefix(_)
                )
            {
                told = true;
                self.stop();
                let stop = v1::StopContent {
                    event_id: self.event_id,
                };
                self.send(Command::StopContent(stop)).await;
            }
            self.feed.changed.notified().await;
        }
    }

    fn stop(&self) {
        let mut state = self.feed.lock();
        state.stopped = true;
        state.chunks.clear();
    }

    async fn send(&self, command: Command) {
        self.context
            .commands
            .send(self.context.instance_id, command)
            .await;
    }
}
