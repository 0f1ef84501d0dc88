//! Recipients, each with the state of its own delivery.

use std::collections::HashSet;
use std::time::SystemTime;

use bytes::Bytes;
use postern_smtp::address::ForwardPath;

use crate::{Properties, RecipientId};

/// One recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Stays the same when the address is rewritten.
    pub id: RecipientId,
    /// The forward path as it is now.
    pub address: ForwardPath,
    /// The forward path as the client gave it, or the edit that added the recipient; of one that comes from another one, that
    /// one's. `None`: as it is now.
    pub given: Option<ForwardPath>,
    /// The ORCPT parameter as it came, `addr-type;xtext` (RFC 3461, section 4.2).
    pub orcpt: Option<Bytes>,
    /// The NOTIFY parameter; `None` when it was absent.
    pub notify: Option<Notify>,
    /// Parameters of its RCPT that the service itself gives no meaning to: keyword and value as they came.
    pub parameters: Vec<(Bytes, Option<Bytes>)>,
    /// The recipient that it came from by expansion or by an edit.
    pub parent: Option<RecipientId>,
    /// The tenant that it belongs to; empty where there is none.
    pub tenant: String,
    /// What it stands for has been looked up: mail goes to this address.
    pub resolved: bool,
    /// How far its delivery has come.
    pub state: RecipientState,
    /// Properties that sinks keep on this recipient.
    pub properties: Properties,
}

impl Recipient {
    /// A recipient to whom nothing has been tried yet, due at once.
    #[must_use]
    pub fn new(address: ForwardPath) -> Self {
        Self {
            id: RecipientId::new(),
            address,
            given: None,
            orcpt: None,
            notify: None,
            parameters: Vec::new(),
            parent: None,
            tenant: String::new(),
            resolved: false,
            state: RecipientState::pending(),
            properties: Properties::new(),
        }
    }

    /// The address that notifications name: as it was given.
    #[must_use]
    pub fn given_address(&self) -> &ForwardPath {
        self.given.as_ref().unwrap_or(&self.address)
    }
}

/// Leaves out recipients that are the same mailbox as one before them, of those that are not done: whoever is named twice gets
/// a message once. `hosted` tells which domains are ours.
pub fn without_duplicates(recipients: &mut Vec<Recipient>, hosted: impl Fn(&ForwardPath) -> bool) {
    let mut seen = HashSet::new();
    recipients
        .retain(|one| one.state.is_done() || seen.insert(one.address.key(hosted(&one.address))));
}

/// When the sender wants a notification (RFC 3461, section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notify {
    /// `SUCCESS`
    pub success: bool,
    /// `FAILURE`
    pub failure: bool,
    /// `DELAY`
    pub delay: bool,
}

impl Notify {
    /// `NEVER`: no notification at all.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };
}

/// How far the delivery to one recipient has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipientState {
    /// Not done yet.
    Pending {
        /// Attempts made so far.
        attempts: u32,
        /// When the next attempt is due. `None`: as soon as the message is.
        due: Option<SystemTime>,
        /// What the last attempt came to.
        last: Option<Status>,
    },
    /// Delivered to a store of ours (Maildir), or by LMTP.
    Delivered(Status),
    /// Handed to the next hop, which answers for it now.
    Relayed(Status),
    /// Refused for good.
    Failed(Status),
    /// Put off until its time was over; the last status.
    Expired(Status),
    /// Dropped by a verdict that is on record; the status says whose.
    Discarded(Status),
    /// It stands for others, which are recipients of their own and name it as their parent; the status says how many.
    Expanded(Status),
}

impl RecipientState {
    /// What was said of the recipient last, if anything was.
    #[must_use]
    pub const fn status(&self) -> Option<&Status> {
        match self {
            Self::Pending { last, .. } => last.as_ref(),
            Self::Delivered(status)
            | Self::Relayed(status)
            | Self::Failed(status)
            | Self::Expired(status)
            | Self::Discarded(status)
            | Self::Expanded(status) => Some(status),
        }
    }

    /// Nothing tried yet, due as soon as the message is.
    #[must_use]
    pub fn pending() -> Self {
        Self::Pending {
            attempts: 0,
            due: None,
            last: None,
        }
    }

    /// Nothing more will be tried.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !matches!(self, Self::Pending { .. })
    }

    /// When the next attempt is due, if one is to be made and has a time of its own.
    #[must_use]
    pub fn due(&self) -> Option<SystemTime> {
        match self {
            Self::Pending { due, .. } => *due,
            _ => None,
        }
    }
}

/// What an attempt came to, in the words of whoever decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// When it was said. Kept to the millisecond.
    pub at: SystemTime,
    /// The SMTP reply code, if a reply was received or made.
    pub code: Option<u16>,
    /// The enhanced status code: class, subject, detail (RFC 3463).
    pub enhanced: Option<(u8, u16, u16)>,
    /// The text of the reply, or of our own error. May hold several lines.
    pub text: String,
    /// The host that said so; `None` when it was this gateway.
    pub remote: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whoever_is_named_twice_is_there_once() {
        let one = |address: &str| {
            Recipient::new(ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap())
        };
        let mut all: Vec<_> = [
            "a@ours.test",
            "A@Ours.test",
            "\"a\"@ours.test",
            "b@ours.test",
            "a@other.test",
            "A@other.test",
            "a@OTHER.test",
            "Postmaster",
            "POSTMASTER",
        ]
        .map(one)
        .into();
        let mut done = one("b@ours.test");
        done.state = RecipientState::Discarded(Status {
            at: SystemTime::UNIX_EPOCH,
            code: None,
            enhanced: None,
            text: String::new(),
            remote: None,
        });
        all.insert(0, done);
        let is_ours = |path: &ForwardPath| path.to_string().to_lowercase().contains("ours");
        without_duplicates(&mut all, is_ours);
        let left: Vec<_> = all.iter().map(|one| one.address.to_string()).collect();
        // What was done stays on record; the spelling that came first is kept.
        assert_eq!(
            left,
            [
                "<b@ours.test>",
                "<a@ours.test>",
                "<b@ours.test>",
                "<a@other.test>",
                "<A@other.test>",
                "<Postmaster>"
            ]
        );
    }
}
