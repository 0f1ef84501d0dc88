//! Commands on their way: the group that is being gathered, and the replies that are still to come.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};

use super::command::Own;
use super::outcome::Stage;

/// What was sent, or is about to be, and is not answered.
#[derive(Debug, Default)]
pub(super) struct Flight {
    /// Command lines of the group being gathered; they leave as one piece.
    group: BytesMut,
    /// In the order of their commands.
    awaited: VecDeque<Awaited>,
}

/// A reply that is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Awaited {
    pub(super) to: To,
    /// The line that it answers, without CRLF. Empty where nobody asks.
    pub(super) line: Bytes,
    /// Nothing may be sent before it has come.
    ends_group: bool,
}

/// What a reply is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    Greeting,
    Own(Own),
    /// The content; over LMTP one for each accepted recipient.
    Content,
    /// Content that was ended at once, since no recipient was left.
    Nothing,
    /// A command that an answer put in, for this stage. The octets follow if the reply is 3xx.
    Extra {
        stage: Stage,
        invited: Option<Bytes>,
    },
}

impl To {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Greeting => Stage::Greeting,
            Self::Own(own) => own.stage(),
            Self::Content | Self::Nothing => Stage::ContentReply,
            Self::Extra { stage, .. } => *stage,
        }
    }
}

impl Awaited {
    pub(super) fn new(to: To, line: Bytes, ends_group: bool) -> Self {
        Self {
            to,
            line,
            ends_group,
        }
    }

    /// A reply after which the session goes on, to what is not a command line.
    pub(super) fn alone(to: To) -> Self {
        Self::new(to, Bytes::new(), true)
    }
}

impl Flight {
    /// A connection that was just made: the greeting is to come.
    pub(super) fn begun() -> Self {
        let mut flight = Self::default();
        flight.expect(Awaited::alone(To::Greeting));
        flight
    }

    /// Nothing is unanswered.
    pub(super) fn is_idle(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Whether a command may be added now. `follows`: it may leave in one group with those before it.
    pub(super) fn takes(&self, follows: bool, pipelining: bool) -> bool {
        match self.awaited.back() {
            None => true,
            Some(last) => follows && pipelining && !last.ends_group,
        }
    }

    /// Adds a line, with its CRLF, and the reply to it.
    pub(super) fn add(&mut self, line: &[u8], awaited: Awaited) {
        self.group.put_slice(line);
        self.awaited.push_back(awaited);
    }

    /// Adds octets that have no reply of their own.
    pub(super) fn add_octets(&mut self, octets: &[u8]) {
        self.group.put_slice(octets);
    }

    /// Adds a reply to what leaves in other ways.
    pub(super) fn expect(&mut self, awaited: Awaited) {
        self.awaited.push_back(awaited);
    }

    /// The same reply is to come once more.
    pub(super) fn expect_next(&mut self, awaited: Awaited) {
        self.awaited.push_front(awaited);
    }

    pub(super) fn next(&self) -> Option<&Awaited> {
        self.awaited.front()
    }

    pub(super) fn answered(&mut self) -> Option<Awaited> {
        self.awaited.pop_front()
    }

    /// RCPTs that are not answered.
    pub(super) fn has_recipients(&self) -> bool {
        self.awaited
            .iter()
            .any(|awaited| matches!(awaited.to, To::Own(Own::Rcpt(_))))
    }

    /// The content was said, and is not answered.
    pub(super) fn has_content(&self) -> bool {
        self.awaited.iter().any(|awaited| awaited.to == To::Content)
    }

    /// The group that was gathered, if there is one.
    pub(super) fn take_group(&mut self) -> Option<Bytes> {
        (!self.group.is_empty()).then(|| self.group.split().freeze())
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.group.clear();
        self.awaited.clear();
    }
}
