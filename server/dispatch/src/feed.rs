//! How a sink steers the content of one event: credit, stop, reads by range.

use std::collections::VecDeque;

use parking_lot::Mutex;
use postern_proto::v1::ReadContent;
use tokio::sync::Notify;

/// Reads of one event that may wait at a time.
const OPEN_READS: usize = 32;

/// Credit that a sink may be ahead by, in octets.
const CREDIT_MAX: u64 = 16 << 20;

/// What the sink wants of one event's content. The stream's reader writes it, the pump acts on it.
#[derive(Debug)]
pub(crate) struct Feed {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    /// Octets that may be pushed; `None`: as many as the network takes.
    credit: Option<u64>,
    stopped: bool,
    ended: bool,
    reads: VecDeque<ReadContent>,
}

/// What a pump is to do next.
#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    /// Nobody waits for the content any more.
    Ended,
    /// Answer this read.
    Read(ReadContent),
    /// Push up to so many octets.
    Push(u64),
    /// Nothing more is to be pushed, but the end is.
    Stopped,
    /// Nothing now.
    Nothing,
}

impl Feed {
    /// A feed with this much credit at first; `None`: HTTP/2's flow control is enough.
    pub(crate) fn new(credit: Option<u64>) -> Self {
        let inner = Inner {
            credit,
            stopped: false,
            ended: false,
            reads: VecDeque::new(),
        };
        Self {
            inner: Mutex::new(inner),
            changed: Notify::new(),
        }
    }

    /// More octets may be pushed.
    pub(crate) fn grant(&self, octets: u64) {
        if let Some(credit) = &mut self.inner.lock().credit {
            *credit = credit.saturating_add(octets).min(CREDIT_MAX);
        }
        self.changed.notify_one();
    }

    /// Nothing more is to be pushed.
    pub(crate) fn stop(&self) {
        self.inner.lock().stopped = true;
        self.changed.notify_one();
    }

    /// A range is asked for. False if too many are waiting.
    pub(crate) fn ask(&self, read: ReadContent) -> bool {
        {
            let mut inner = self.inner.lock();
            if inner.reads.len() == OPEN_READS {
                return false;
            }
            inner.reads.push_back(read);
        }
        self.changed.notify_one();
        true
    }

    /// The event is decided: nobody waits for the content any more.
    pub(crate) fn end(&self) {
        self.inner.lock().ended = true;
        self.changed.notify_one();
    }

    /// What is to be done now. A read is taken off the list.
    pub(crate) fn wish(&self) -> Wish {
        let mut inner = self.inner.lock();
        if inner.ended {
            return Wish::Ended;
        }
        if let Some(read) = inner.reads.pop_front() {
            return Wish::Read(read);
        }
        match inner.credit {
            _ if inner.stopped => Wish::Stopped,
            Some(0) => Wish::Nothing,
            Some(credit) => Wish::Push(credit),
            None => Wish::Push(u64::MAX),
        }
    }

    /// The sink wants nothing more pushed.
    pub(crate) fn is_stopped(&self) -> bool {
        self.inner.lock().stopped
    }

    /// Waits until the event is decided.
    pub(crate) async fn ended(&self) {
        while !self.inner.lock().ended {
            self.changed().await;
        }
    }

    /// So many octets were pushed.
    pub(crate) fn spend(&self, octets: u64) {
        if let Some(credit) = &mut self.inner.lock().credit {
            *credit = credit.saturating_sub(octets);
        }
    }

    /// Waits until the sink says something new.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}
