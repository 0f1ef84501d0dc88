//! An outgoing session.

use std::sync::Arc;

use bytes::Bytes;
use postern_message::needs::{Needs, Original, Way};
use postern_message::{Edit, EditError, EditLimits};

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
    /// What edits of the content are held against.
    fit: Option<Fit>,
}

/// What a remote takes of a content, and what is known of the content that is sent, before it is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// What the remote takes.
    pub way: Way,
    /// What is known of the octets that the version of the content is made of.
    pub original: Original,
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
            fit: None,
        }
    }

    /// The next message is to be sent.
    pub fn take(&mut self, message: MessageContext) {
        self.number += 1;
        self.accepted = false;
        self.fit = None;
        self.message = Some(Box::new(message));
    }

    /// The next message is to be sent, and edits of its content have to fit.
    pub fn take_fitting(&mut self, message: MessageContext, fit: Fit) {
        self.take(message);
        self.fit = Some(fit);
    }

    /// The message is done with.
    pub fn release(&mut self) {
        self.message = None;
        self.fit = None;
    }

    /// Whether the remote takes the content after these edits, as far as that can be told without reading it.
    pub(super) fn check_fit(&self, edits: &[Edit], limits: &EditLimits) -> Result<(), EditError> {
        let version = self
            .message
            .as_deref()
            .and_then(|message| message.working().draft().version.as_ref());
        let (Some(fit), Some(version)) = (&self.fit, version) else {
            return Ok(());
        };
        if !edits.iter().any(Edit::is_of_content) {
            return Ok(());
        }
        let next = version.apply(edits, limits)?;
        let original = match Needs::at_most(version, &fit.original).fits(fit.way) {
            true => fit.original,
            // More may be said of it than holds: what is brought in is looked at alone.
            false => Original {
                longest_line: 0,
                last_eight_bit: None,
                loose: false,
            },
        };
        let needs = Needs::at_most(&next, &original);
        if needs.fits(fit.way) {
            return Ok(());
        }
        let what = if needs.eight_bit() && !fit.way.eight_bit {
            "octets above 127"
        } else if needs.loose && !fit.way.loose {
            "a CR or LF alone"
        } else {
            "lines longer than 998 octets"
        };
        Err(EditError::Unfit { what })
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
    fn what_is_brought_in_has_to_fit_the_remote() {
        use postern_message::needs::{Original, Way};
        use postern_message::{Edit, EditError, EditLimits};

        let plain = Way::default();
        let splice = |insert: &'static [u8]| {
            let insert = bytes::Bytes::from_static(insert);
            let splice = Edit::SpliceBody {
                offset: 0,
                remove: 0,
                insert,
            };
            [splice]
        };
        let limits = EditLimits::default();
        let seven_bit = Original {
            longest_line: 70,
            last_eight_bit: None,
            loose: false,
        };
        // Where nothing is known of the original, what edits bring in counts all the same.
        for original in [seven_bit, Original::UNKNOWN] {
            let mut own = samples::outgoing();
            own.take_fitting(
                testing::message(),
                super::Fit {
                    way: plain,
                    original,
                },
            );
            assert_eq!(own.check_fit(&splice(b"footer\r\n"), &limits), Ok(()));
            let octets = "f\u{fc}r\r\n".as_bytes();
            let unfit = own.check_fit(&splice(octets), &limits);
            let Err(EditError::Unfit { what }) = unfit else {
                panic!("{unfit:?}");
            };
            assert_eq!(what, "octets above 127");
            assert_eq!(own.check_fit(&[], &limits), Ok(()));
            own.release();
            assert_eq!(own.check_fit(&splice(octets), &limits), Ok(()));
        }
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
