//! An event together with how it is wanted: how much content, and when the sink is asked.

use std::marker::PhantomData;

use super::kinds::{MayWait, OnlyTold, ShowsBody};
use crate::v1::{self, EventKind, body_depth};

/// The handler's verdict is awaited.
#[derive(Clone, Copy, Debug)]
pub enum Asked {}

/// The handler hears of the event and answers nothing.
#[derive(Clone, Copy, Debug)]
pub enum Told {}

/// The handler judges a whole group of pipelined RCPTs at once.
#[derive(Clone, Copy, Debug)]
pub enum Grouped {}

/// An event and how a sink wants it. Registering a handler for it is asking for it.
///
/// `B` is the event's body, `M` says what its handler returns.
pub struct Interest<B, M = Asked> {
    pub(crate) event: EventKind,
    pub(crate) depth: Option<body_depth::Kind>,
    pub(crate) ask: v1::AskMode,
    types: PhantomData<fn() -> (B, M)>,
}

impl<B, M> Clone for Interest<B, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B, M> Copy for Interest<B, M> {}

impl<B, M> Interest<B, M> {
    pub(super) const fn of(event: EventKind, depth: Option<body_depth::Kind>) -> Self {
        Self {
            event,
            depth,
            ask: v1::AskMode::Unspecified,
            types: PhantomData,
        }
    }

    const fn with_depth(mut self, depth: Option<body_depth::Kind>) -> Self {
        self.depth = depth;
        self
    }

    const fn asked_as<N>(self, ask: v1::AskMode) -> Interest<B, N> {
        Interest {
            event: self.event,
            depth: self.depth,
            ask,
            types: PhantomData,
        }
    }
}

impl<B: ShowsBody, M> Interest<B, M> {
    /// With neither header fields nor body. Edits by name can be made all the same.
    pub const fn nothing(self) -> Self {
        self.with_depth(None)
    }

    /// With the header fields alone. This is what an event of a message brings unless said otherwise.
    pub const fn headers(self) -> Self {
        self.with_depth(Some(body_depth::Kind::Headers(v1::HeadersOnly {})))
    }

    /// With the header fields and the first octets of the body.
    pub const fn prefix(self, size_bytes: u64) -> Self {
        self.with_depth(Some(body_depth::Kind::Prefix(v1::BodyPrefix {
            size_bytes,
        })))
    }

    /// With the header fields and the whole body, as it arrives.
    pub const fn full(self) -> Self {
        self.with_depth(Some(body_depth::Kind::Full(v1::FullBody {})))
    }

    /// With the header fields; of the body what the handler reads.
    pub const fn on_demand(self) -> Self {
        self.with_depth(Some(body_depth::Kind::OnDemand(v1::BodyOnDemand {})))
    }
}

impl<B: MayWait> Interest<B, Asked> {
    /// Asked together with the first RCPT that follows: fewer wake-ups on both sides. A refusal is the reply to that RCPT
    /// and to every later one.
    pub const fn at_rcpt(self) -> Self {
        self.asked_as(v1::AskMode::AtRcpt)
    }
}

impl<B: OnlyTold> Interest<B, Asked> {
    /// Told, not asked: the event travels with the next question, and nobody waits. An instance is not opened only to
    /// tell; who must hear of every session takes [`inbound::DISCONNECT`](super::inbound::DISCONNECT).
    pub const fn told(self) -> Interest<B, Told> {
        self.asked_as(v1::AskMode::Told)
    }
}

impl Interest<v1::InboundRcpt, Asked> {
    /// All RCPTs that the client pipelined in one handler: it is given a [`RcptGroup`](super::RcptGroup) and returns a
    /// verdict for each.
    pub const fn grouped(self) -> Interest<v1::InboundRcpt, Grouped> {
        self.asked_as(v1::AskMode::Unspecified)
    }
}
