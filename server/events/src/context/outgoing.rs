//! An outgoing session.

use std::sync::Arc;

use bytes::Bytes;

use super::message::MessageContext;
use super::session::Tls;

/// An outgoing session: the remote end, and the message that is being sent in it.
#[derive(Clone, Debug)]
pub struct OutgoingContext {
    /// The virtual server that accepted the message.
    pub server: Arc<str>,
    /// The remote end.
    pub remote: Remote,
    /// The message; absent between two.
    pub message: Option<Box<MessageContext>>,
    /// Number of the message in this session, from 1. Counts when [`OutgoingContext::take`] is called.
    number: u64,
    /// The remote has accepted the content: no failure policy touches the message any more.
    pub accepted: bool,
}

/// The remote end of an outgoing session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// The destination that the session is for: a domain, or the name of a next hop.
    pub destination: Bytes,
    /// Name of the host.
    pub host: Bytes,
    /// Its address as text; for a Unix socket its path.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Our own address, as text.
    pub source_address: String,
    /// TLS, if it is in use.
    pub tls: Option<Tls>,
    /// What its EHLO offers, one line each.
    pub extensions: Vec<Bytes>,
}

impl OutgoingContext {
    /// A session to this remote, with no message yet.
    #[must_use]
    pub const fn new(server: Arc<str>, remote: Remote) -> Self {
        Self {
            server,
            remote,
            message: None,
            number: 0,
            accepted: false,
        }
    }

    /// The next message is to be sent.
    pub fn take(&mut self, message: MessageContext) {
        self.number += 1;
        self.accepted = false;
        self.message = Some(Box::new(message));
    }

    /// The message is done with.
    pub fn release(&mut self) {
        self.message = None;
    }

    pub(super) fn session_at(&self) -> u64 {
        match &self.message {
            Some(message) if message.session().is_some() => self.number,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Context;
    use crate::samples;
    use crate::testing;

    #[test]
    fn each_message_of_a_known_session_brings_that_session_anew() {
        let mut own = samples::outgoing();
        own.release();
        let at = |own: &super::OutgoingContext| Context::from(own.clone()).session_at();
        assert_eq!(at(&own), 0, "there is no message");
        own.take(samples::message());
        assert_eq!(at(&own), 0, "nobody knows who brought it");
        own.take(testing::message());
        assert_eq!(at(&own), 3);
        own.take(testing::message());
        assert_eq!(at(&own), 4);
        own.release();
        assert!(own.message.is_none());
        assert_eq!(at(&own), 0);
    }

    #[test]
    fn a_new_message_has_not_been_accepted() {
        let mut own = samples::outgoing();
        assert!(!own.accepted);
        own.accepted = true;
        own.take(samples::message());
        assert!(!own.accepted && own.message.is_some());
    }
}
