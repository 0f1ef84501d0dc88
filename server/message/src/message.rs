//! The message as it is kept from acceptance until its last recipient is done.

mod codec;

use std::time::SystemTime;

use bytes::Bytes;

use crate::{Envelope, Handling, Injected, MessageId, Properties, Recipient, SessionId, Version};

/// How a message came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Received by SMTP.
    Smtp,
    /// Received by LMTP.
    Lmtp,
    /// A delivery status notification of our own.
    Dsn,
    /// Put in by a sink.
    Sink,
}

/// A message without its content, which the spool keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The session that it came in.
    pub session: Option<SessionId>,
    /// The virtual server that accepted it. For a notification: that of the message which caused it.
    pub server: String,
    /// How it came.
    pub origin: Origin,
    /// When it was accepted. Kept to the millisecond.
    pub received_at: SystemTime,
    /// The session that brought it as it stood when the message was accepted, in the encoding of the event model.
    /// Empty: no session did.
    pub context: Bytes,
    /// What MAIL said, as edited.
    pub envelope: Envelope,
    /// To whom, and how far each delivery has come.
    pub recipients: Vec<Recipient>,
    /// Bindings that failed on it and were passed over.
    pub skipped: Vec<String>,
    /// Where it was held or put off by a binding: those that have had their say at that event, and are not asked again.
    pub passed: Vec<String>,
    /// Properties that sinks keep on the message.
    pub properties: Properties,
    /// The content as edited so far.
    pub version: Version,
    /// How it is handled where that is not as configured.
    pub handling: Handling,
    /// The sink that put it in, where one did.
    pub injected: Option<Injected>,
    /// It was on its delivery before it was asked about once more: it goes back there, past what was asked behind that.
    pub walked: bool,
}

impl Message {
    /// When the first of the recipients that are not done is due; those without a time of their
    /// own at `otherwise`. `None` when all are done.
    #[must_use]
    pub fn next_due(&self, otherwise: SystemTime) -> Option<SystemTime> {
        let pending = self.recipients.iter().filter(|r| !r.state.is_done());
        pending.map(|r| r.state.due().unwrap_or(otherwise)).min()
    }
}

#[cfg(test)]
mod tests;
