//! Who takes part: the session and its client, the transaction, sender and recipients.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use crate::address::{Address, Domain, Id, ReversePath};
use crate::v1::{self, value::Kind as ValueKind};
use crate::value;

/// The session as it is at the event: client, greeting, TLS, authentication.
///
/// In transport and in outgoing sessions it is the session that brought the message, as it stood when the message was
/// accepted. It gives access to the fields that the protocol has.
#[derive(Clone, Debug)]
pub struct Session {
    pub(crate) session: Arc<v1::Session>,
    pub(crate) sink: Arc<str>,
}

impl Session {
    /// Its id. Empty: there is no session.
    pub fn id(&self) -> Id {
        Id::from(self.session_id.clone())
    }

    /// The client's IP address. None: a Unix socket, or the binding does not read `session`.
    pub fn client_ip(&self) -> Option<IpAddr> {
        self.client.as_ref()?.address.parse().ok()
    }

    /// The client's name, if the reverse name leads back to the address.
    pub fn confirmed_name(&self) -> Option<Domain> {
        let client = self.client.as_ref()?;
        let confirmed = client.reverse_name() == v1::ReverseName::Confirmed;
        let name = client.reverse_names.first().filter(|_| confirmed)?;
        Domain::parse(&String::from_utf8_lossy(name)).ok()
    }

    /// What the client called itself in HELO or EHLO. None: it has not yet.
    pub fn helo_name(&self) -> Option<String> {
        let helo = self.helo.as_ref()?;
        Some(String::from_utf8_lossy(&helo.name).into_owned())
    }

    /// Whether TLS is in use.
    pub fn is_encrypted(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.failure.is_empty())
    }

    /// The authenticated identity. None: the client did not authenticate.
    pub fn identity(&self) -> Option<String> {
        let authentication = self.authentication.as_ref()?;
        Some(String::from_utf8_lossy(&authentication.identity).into_owned())
    }

    /// A property that this sink set on the session.
    pub fn property(&self, key: &str) -> Option<&ValueKind> {
        self.property_of(&self.sink, key)
    }

    /// A property that the sink of this name in the configuration set on the session.
    pub fn property_of(&self, sink: &str, key: &str) -> Option<&ValueKind> {
        value::find(&self.session.properties, sink, key)
    }
}

impl Deref for Session {
    type Target = v1::Session;

    fn deref(&self) -> &v1::Session {
        &self.session
    }
}

/// The sender of the transaction or message, as the bindings before this one left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(pub(crate) ReversePath);

impl Deref for Sender {
    type Target = ReversePath;

    fn deref(&self) -> &ReversePath {
        &self.0
    }
}

impl std::fmt::Display for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The running transaction or the message: its id, envelope and properties.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub(crate) id: Bytes,
    pub(crate) envelope: v1::Envelope,
    pub(crate) properties: Vec<v1::Property>,
    pub(crate) sink: Arc<str>,
}

impl Transaction {
    /// Its id, which the message keeps.
    pub fn id(&self) -> Id {
        Id::from(self.id.clone())
    }

    /// The envelope: sender, SMTPUTF8, BODY, SIZE, RET, ENVID and all parameters.
    pub fn envelope(&self) -> &v1::Envelope {
        &self.envelope
    }

    /// The sender.
    pub fn sender(&self) -> ReversePath {
        ReversePath::of_wire(&self.envelope.reverse_path)
    }

    /// A property that this sink set on the message.
    pub fn property(&self, key: &str) -> Option<&ValueKind> {
        self.property_of(&self.sink, key)
    }

    /// A property that the sink of this name in the configuration set on the message.
    pub fn property_of(&self, sink: &str, key: &str) -> Option<&ValueKind> {
        value::find(&self.properties, sink, key)
    }
}

/// The recipients of the transaction or message, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Recipients(pub(crate) Arc<Vec<v1::Recipient>>);

impl Recipients {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Recipient> {
        self.0.iter().cloned().map(Recipient)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One recipient. It gives access to the fields that the protocol has.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipient(v1::Recipient);

impl Recipient {
    /// Its id, the same for its whole life.
    pub fn id(&self) -> Id {
        Id::from(self.0.recipient_id.clone())
    }

    /// Where its mail goes now.
    pub fn address(&self) -> Address {
        Address::of_wire(&self.0.address)
    }

    /// The address as it was given; notifications name it.
    pub fn given_address(&self) -> Address {
        match self.0.given_address.is_empty() {
            true => self.address(),
            false => Address::of_wire(&self.0.given_address),
        }
    }
}

impl From<v1::Recipient> for Recipient {
    fn from(recipient: v1::Recipient) -> Self {
        Self(recipient)
    }
}

impl Deref for Recipient {
    type Target = v1::Recipient;

    fn deref(&self) -> &v1::Recipient {
        &self.0
    }
}
