//! The body on its way from the gateway to a handler: pushed under credit, or read by range.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use crate::description::INITIAL_CREDIT;
use crate::router::Outbox;
use crate::v1::{self, ContentState, attach_response, body_depth};

/// Octets that a handler which reads may have ahead of it.
const WINDOW: u64 = 512 * 1024;

/// When less credit than this is left, more is given.
const REFILL_BELOW: u64 = 48 * 1024;

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
    /// The client went away, or the message was refused meanwhile.
    #[error("the content broke off")]
    Cut,
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
    granted: u64,
    /// Chunks are thrown away: nobody wants them.
    stopped: bool,
    ended: Option<v1::ContentEnd>,
    read: Option<RangeRead>,
}

struct RangeRead {
    read_id: u64,
    data: BytesMut,
    left: u64,
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

    /// Takes a frame in. An error is a breach of the protocol by the gateway.
    pub(crate) fn push(&self, content: v1::Content) -> Result<(), &'static str> {
        let mut state = self.lock();
        if content.read_id != 0 {
            state.take_range(content)?;
        } else {
            state.take_pushed(content)?;
        }
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedState {
    fn take_pushed(&mut self, content: v1::Content) -> Result<(), &'static str> {
        if self.ended.is_some() {
            return Err("content behind its end");
        }
        let length = content.data.len() as u64;
        if length > 0 {
            if content.offset != self.received {
                return Err("content with a gap");
            }
            self.received += length;
            if self.received > self.granted {
                return Err("content beyond the credit");
            }
            if !self.stopped {
                self.chunks.push_back(content.data);
            }
        }
        self.ended = content.ended;
        Ok(())
    }

    fn take_range(&mut self, content: v1::Content) -> Result<(), &'static str> {
        // A read that was given up with its handler's wait may still be answered.
        let Some(read) = self
            .read
            .as_mut()
            .filter(|read| read.read_id == content.read_id)
        else {
            return Ok(());
        };
        let length = content.data.len() as u64;
        read.left = read
            .left
            .checked_sub(length)
            .ok_or("more content than was read")?;
        read.data.extend_from_slice(&content.data);
        read.ended = content.ended.map(|ended| ended.state());
        Ok(())
    }
}

/// A handler's end of a feed.
pub(crate) struct Pipe {
    feed: Arc<Feed>,
    depth: body_depth::Kind,
    outbox: Outbox,
    instance_id: u64,
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
        outbox: Outbox,
        instance_id: u64,
        event_id: u64,
    ) -> Self {
        Self {
            feed,
            depth,
            outbox,
            instance_id,
            event_id,
            taken: 0,
            partly_taken: false,
            collected: None,
            // Unique in the instance: no event asks for so many.
            next_read_id: (event_id << 32) | 1,
        }
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
                self.send(attach_response::Kind::WantContent(want)).await;
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
            (None, Some(ended)) if ended.state() == ContentState::Complete => Some(None),
            (None, Some(_)) => return Err(ContentError::Cut),
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
            left: length,
            ended: None,
        });
        let read = v1::ReadContent {
            event_id: self.event_id,
            read_id,
            part: v1::ContentPart::Body.into(),
            offset,
            length_bytes: length,
        };
        self.send(attach_response::Kind::ReadContent(read)).await;
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
            ContentState::Cut | ContentState::Unspecified => Err(ContentError::Cut),
        })
    }

    pub(super) async fn ended(&mut self) -> Result<v1::ContentEnd, ContentError> {
        if matches!(self.depth, body_depth::Kind::Nothing(_)) {
            return Err(ContentError::NotShown);
        }
        let mut told = false;
        loop {
            if let Some(ended) = self.poll_end()? {
                return Ok(ended);
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
                self.send(attach_response::Kind::StopContent(stop)).await;
            }
            self.feed.changed.notified().await;
        }
    }

    fn poll_end(&self) -> Result<Option<v1::ContentEnd>, ContentError> {
        match &self.feed.lock().ended {
            Some(ended) if ended.state() == ContentState::Complete => Ok(Some(ended.clone())),
            Some(_) => Err(ContentError::Cut),
            None => Ok(None),
        }
    }

    fn stop(&self) {
        let mut state = self.feed.lock();
        state.stopped = true;
        state.chunks.clear();
    }

    async fn send(&self, kind: attach_response::Kind) {
        self.outbox.send(self.instance_id, kind).await;
    }
}
