//! The message as it is kept from acceptance until its last recipient is done.

mod codec;

use std::net::SocketAddr;
use std::time::SystemTime;

use bytes::Bytes;

use crate::{Envelope, MessageId, Properties, Recipient, SessionId, Version};

/// How a message came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Received by SMTP.
    Smtp,
    /// Received by LMTP.
    Lmtp,
    /// A delivery status notification of our own.
    Dsn,
}

/// What is known of the client's TLS, for later events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFacts {
    /// Protocol version, as `TLSv1.3`.
    pub version: String,
    /// Cipher suite, as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name that the client asked for.
    pub server_name: Option<String>,
}

/// What is known of the client that sent the message, for later events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientFacts {
    /// Where it connected from; `None` for messages of our own and for Unix sockets.
    pub peer: Option<SocketAddr>,
    /// The listener's address.
    pub local: Option<SocketAddr>,
    /// What it said in HELO, EHLO or LHLO.
    pub helo: Bytes,
    /// The verb was EHLO (or LHLO).
    pub extended: bool,
    /// Its TLS, if any.
    pub tls: Option<TlsFacts>,
    /// Its reverse name, if it was looked up.
    pub reverse_name: Option<String>,
    /// The reverse name leads back to the address.
    pub forward_confirmed: bool,
    /// It may relay to any domain.
    pub may_relay: bool,
    /// Who it authenticated as.
    pub authenticated: Option<String>,
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
    /// Who sent it.
    pub client: ClientFacts,
    /// What MAIL said, as edited.
    pub envelope: Envelope,
    /// To whom, and how far each delivery has come.
    pub recipients: Vec<Recipient>,
    /// Properties that sinks keep on the message.
    pub properties: Properties,
    /// Properties that sinks kept on the session, as they were at acceptance.
    pub session_properties: Properties,
    /// The content as edited so far.
    pub version: Version,
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
