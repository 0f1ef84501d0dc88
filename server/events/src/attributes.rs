//! The documented schema of the attributes that conditions (`when`) are written over.
//!
//! It has a version of its own. Attributes are added, never renamed and never given another type.
//! `docs/attributes.md` is made from it.

mod docs;

use std::fmt;

use postern_proto::v1 as pb;
use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox};

use crate::event::EventKind;
use crate::grant::{HeaderSet, Namespaces, Reads};

pub use docs::render;

/// Version of the schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `string`
    Text,
    /// `list(string)`
    Texts,
    /// `map(string, string)`: header field names in lower case to the value of the first field of that name.
    Headers,
    /// `map(string, map(string, value))`: sink to key to value.
    Properties,
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Text => "string",
            Self::Texts => "list of string",
            Self::Headers => "map of string to string",
            Self::Properties => "map of string to map of string to value",
        })
    }
}

/// At which events an attribute exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Everywhere,
    Destination,
    Session,
    SessionFromHelo,
    Command,
    Response,
    Transaction,
    Recipients,
    Recipient,
    Headers,
    Size,
    Message,
    Auth,
    Remote,
    RemoteTls,
    Resolve,
    Expand,
    Categorized,
    MaxSize,
    Notification,
    Link,
    Track,
}

impl Scope {
    fn holds(self, event: EventKind) -> bool {
        use EventKind as E;
        let scope = event.scope();
        let inbound = scope == pb::Scope::InboundSession;
        // Between messages an outgoing session has none: commands and replies need not belong to one.
        let sends = matches!(
            event,
            E::OutboundMessageStart | E::OutboundRecipient | E::OutboundBeforeData
        );
        let outgoing = scope == pb::Scope::OutboundSession;
        let message = scope == pb::Scope::Transport || sends;
        // A size limit can be asked about before there is any content.
        let content = message && event != E::TransportMaxSize;
        let size = content || event == E::InboundMessage;
        let headers = size || event == E::InboundHeaders;
        let recipients = headers || matches!(event, E::InboundData | E::TransportMaxSize);
        let transaction = recipients || matches!(event, E::InboundMail | E::InboundRcpt);
        match self {
            Self::Everywhere => true,
            Self::Destination => scope == pb::Scope::Destination,
            Self::Session => inbound || message,
            Self::SessionFromHelo => {
                transaction || matches!(event, E::InboundHelo | E::InboundAuth)
            }
            Self::Command => {
                matches!(event, E::InboundCommand | E::InboundResponse)
                    || outgoing && event != E::OutboundTls
            }
            Self::Response => matches!(event, E::InboundResponse | E::OutboundResponse),
            Self::Transaction => transaction,
            Self::Recipients => recipients,
            Self::Recipient => matches!(
                event,
                E::InboundRcpt | E::TransportExpand | E::OutboundRecipient
            ),
            Self::Headers => headers,
            Self::Size => size,
            Self::Message => content,
            Self::Auth => event == E::InboundAuth,
            Self::Remote => outgoing,
            Self::RemoteTls => event == E::OutboundTls,
            Self::Resolve => event == E::TransportResolve,
            Self::Expand => event == E::TransportExpand,
            Self::Categorized => event == E::TransportPostCategorize,
            Self::MaxSize => event == E::TransportMaxSize,
            Self::Notification => event == E::TransportDsn,
            Self::Link => event == E::DeliveryLink,
            Self::Track => event == E::DeliveryTrack,
        }
    }
}

macro_rules! attributes {
    ($($name:ident = $path:literal, $kind:ident, $scope:ident, $doc:literal;)+) => {
        /// One attribute. `Display` is its path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Attribute {
            $(#[doc = $doc] $name,)+
        }

        impl Attribute {
            /// All attributes, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its path, as conditions write it: root and name.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$name => $path,)+ }
            }

            /// Its type.
            #[must_use]
            pub const fn kind(self) -> AttributeType {
                match self { $(Self::$name => AttributeType::$kind,)+ }
            }

            const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ }
            }

            /// What it is, in one sentence.
            #[must_use]
            pub const fn doc(self) -> &'static str {
                match self { $(Self::$name => $doc,)+ }
            }
        }
    };
}

attributes! {
    ServerName = "server.name", Text, Everywhere, "Name of the virtual server.";
    DestinationDomain = "destination.domain", Text, Destination, "The domain, or the name that is to be resolved: lower case, A-labels.";
    DestinationRoutingClass = "destination.routing_class", Text, Destination, "The routing class; empty for the default class.";
    DestinationFailureCount = "destination.failure_count", Int, Destination, "Failed attempts in a row.";
    DestinationQueuedCount = "destination.queued_count", Int, Destination, "Messages waiting for it.";
    DestinationMailExchangers = "destination.mail_exchangers", Bool, Resolve, "Mail exchangers are wanted, not the addresses of a host.";
    SessionId = "session.id", Text, Session, "The session's id; empty for messages that came without one.";
    SessionServer = "session.server", Text, Session, "Name of the virtual server.";
    SessionProtocol = "session.protocol", Text, Session, "`smtp`, `submission`, `lmtp` or `milter`; empty for messages that came without a session.";
    SessionClientAddress = "session.client_address", Text, Session, "The client's address; empty on a Unix socket.";
    SessionClientPort = "session.client_port", Int, Session, "The client's port; 0 on a Unix socket.";
    SessionClientName = "session.client_name", Text, Session, "The client's name by reverse lookup; empty if there is none.";
    SessionClientNameConfirmed = "session.client_name_confirmed", Bool, Session, "That name leads back to the client's address.";
    SessionMayRelay = "session.may_relay", Bool, Session, "The client may send to any domain.";
    SessionAuthenticated = "session.authenticated", Bool, Session, "The client proved who it is.";
    SessionIdentity = "session.identity", Text, Session, "Who the client proved to be; empty if it did not.";
    SessionTenant = "session.tenant", Text, Session, "The tenant that the session belongs to; empty if there is none.";
    SessionTls = "session.tls", Bool, Session, "The connection is encrypted.";
    SessionTlsVersion = "session.tls_version", Text, Session, "`TLSv1.2` or `TLSv1.3`; empty without TLS.";
    SessionTlsCipher = "session.tls_cipher", Text, Session, "IANA's name of the cipher suite; empty without TLS.";
    SessionHelo = "session.helo", Text, SessionFromHelo, "The argument of HELO, EHLO or LHLO; empty if none was given. At `inbound.helo` the one that is asked about.";
    SessionHeloValid = "session.helo_valid", Bool, SessionFromHelo, "That argument is a domain or an address literal, as RFC 5321 wants it. Many printers and telephones have no such name.";
    SessionListener = "session.listener", Text, Session, "The listener, as the configuration writes it.";
    SessionTalkedEarly = "session.talked_early", Bool, Session, "Octets came before the banner.";
    SessionPipelinedEarly = "session.pipelined_early", Bool, Session, "Commands came in one go where that was not allowed.";
    SessionCommandCount = "session.command_count", Int, Session, "Command lines read so far.";
    SessionErrorCount = "session.error_count", Int, Session, "Replies of the 4xx and 5xx classes so far.";
    SessionSyntaxErrorCount = "session.syntax_error_count", Int, Session, "Lines so far that were no known command or broke the grammar, too long ones included.";
    SessionRefusedRecipientCount = "session.refused_recipient_count", Int, Session, "RCPT commands refused so far.";
    SessionConnectionCount = "session.connection_count", Int, Session, "Connections that the client has open to the virtual server, this one included. An IPv6 client is its /64, one on a Unix socket its user.";
    SessionMessageCount = "session.message_count", Int, Session, "Messages accepted in this session so far.";
    SessionProperties = "session.properties", Properties, Session, "Properties that sinks left on the session.";
    CommandVerb = "command.verb", Text, Command, "The command's verb in upper case. For replies to the content `.`, to the connection `CONNECT`. In an outgoing session the verb that the service would send.";
    CommandLine = "command.line", Text, Command, "The whole line; at `inbound.response` empty. In an outgoing session with what earlier bindings made of it, empty if one of them dropped it; of AUTH only the mechanism.";
    ReplyCode = "reply.code", Int, Response, "The reply's code.";
    ReplyText = "reply.text", Text, Response, "The reply's lines, joined by line feeds.";
    AuthMechanism = "auth.mechanism", Text, Auth, "The SASL mechanism in upper case.";
    AuthStep = "auth.step", Int, Auth, "Number of the step of the exchange, from 1.";
    MessageId = "message.id", Text, Transaction, "The message's id, which is also that of its transaction.";
    MessageSender = "message.sender", Text, Transaction, "The sender without angle brackets; empty for the null sender.";
    MessageSenderDomain = "message.sender_domain", Text, Transaction, "The sender's domain in lower case, A-labels; empty for the null sender.";
    MessageSmtpUtf8 = "message.smtp_utf8", Bool, Transaction, "SMTPUTF8 was given.";
    MessageDeclaredSize = "message.declared_size", Int, Transaction, "Octets that the client declared with SIZE; 0 if it did not.";
    MessagePriority = "message.priority", Int, Transaction, "-9 to 9; 0 is normal.";
    MessageProperties = "message.properties", Properties, Transaction, "Properties that sinks left on the message.";
    MessageRecipients = "message.recipients", Texts, Recipients, "The recipients without angle brackets, as they are now.";
    MessageRecipientDomains = "message.recipient_domains", Texts, Recipients, "Their domains in lower case, A-labels, each once.";
    MessageRecipientCount = "message.recipient_count", Int, Recipients, "How many recipients there are.";
    MessageTenant = "message.tenant", Text, Recipients, "The tenant that the session belongs to, else the one that all recipients belong to; empty if there is none, or several.";
    RecipientAddress = "recipient.address", Text, Recipient, "The recipient that is asked about, without angle brackets.";
    RecipientDomain = "recipient.domain", Text, Recipient, "Its domain in lower case, A-labels.";
    RecipientIsLocal = "recipient.is_local", Bool, Recipient, "The domain is one of this server's own.";
    RecipientKind = "recipient.kind", Text, Recipient, "`hosted`, `relayed`, `forbidden` or `unknown`; empty where it is not known before it is looked up, and in outgoing sessions.";
    RecipientTenant = "recipient.tenant", Text, Recipient, "The tenant that it belongs to; empty if there is none.";
    MessageHeaders = "message.headers", Headers, Headers, "Header fields: name in lower case to the value of the first field of that name.";
    MessageHeaderCount = "message.header_count", Int, Headers, "How many header fields there are.";
    MessageSize = "message.size", Int, Size, "Octets of the message as it is now. At `inbound.message` the binding is asked only when all of it has arrived.";
    MessageOrigin = "message.origin", Text, Message, "`smtp`, `lmtp`, `dsn` or `sink`.";
    MessageAttempt = "message.attempt", Int, Message, "How often this stage was begun for the message, from 1.";
    ExpansionDepth = "expansion.depth", Int, Expand, "How many expansions led to the recipient.";
    CategorizationResolvedCount = "categorization.resolved_count", Int, Categorized, "Recipients to be delivered.";
    CategorizationUnresolvedCount = "categorization.unresolved_count", Int, Categorized, "Recipients that nobody knows.";
    CategorizationExpandedCount = "categorization.expanded_count", Int, Categorized, "Recipients that stand for others.";
    CategorizationRoutingOnly = "categorization.routing_only", Bool, Categorized, "It is asked again for the sake of routes alone.";
    MaxSizeSize = "max_size.size", Int, MaxSize, "Octets that the message has, or that MAIL declared.";
    MaxSizeLimit = "max_size.limit", Int, MaxSize, "Octets that it may have.";
    MaxSizeDeclaredOnly = "max_size.declared_only", Bool, MaxSize, "The size is only declared; no content was read yet.";
    NotificationAddress = "notification.address", Text, Notification, "Who gets the notification, without angle brackets; empty for the null sender.";
    NotificationActions = "notification.actions", Texts, Notification, "What it tells, each once: `failed`, `delayed`, `delivered`, `relayed`, `expanded`.";
    NotificationIsMade = "notification.is_made", Bool, Notification, "The notification has been made; it is only told.";
    NotificationIsUndeliverable = "notification.is_undeliverable", Bool, Notification, "Nobody could be notified: none would be made.";
    RemoteDestination = "remote.destination", Text, Remote, "The destination that the outgoing session is for: a domain, or the name of a next hop.";
    RemoteHost = "remote.host", Text, Remote, "Name of the remote host.";
    RemoteAddress = "remote.address", Text, Remote, "Its address; for a Unix socket its path.";
    RemotePort = "remote.port", Int, Remote, "Its port; 0 on a Unix socket.";
    RemoteTls = "remote.tls", Bool, Remote, "The connection to it is encrypted.";
    RemoteTlsVersion = "remote.tls_version", Text, Remote, "`TLSv1.2` or `TLSv1.3`; empty without TLS.";
    RemoteTlsPolicy = "remote.tls_policy", Text, RemoteTls, "The policy that ruled: `none`, `opportunistic`, `encrypt`, `verify`, `dane` or `implicit`; empty: as configured.";
    RemoteTlsPolicySource = "remote.tls_policy_source", Text, RemoteTls, "Where the policy came from: `dane`, `mta-sts`, `route` or `default`.";
    RemoteTlsFailure = "remote.tls_failure", Text, RemoteTls, "Why the policy is not met; empty if it is.";
    LinkDestination = "link.destination", Text, Link, "The destination: a domain, or the name of a next hop.";
    LinkRoutingClass = "link.routing_class", Text, Link, "The routing class; empty for the default class.";
    LinkIsUp = "link.is_up", Bool, Link, "The destination can be reached.";
    LinkFailureCount = "link.failure_count", Int, Link, "Failures in a row.";
    TrackStep = "track.step", Text, Track, "The step: `accepted`, `injected`, `categorized`, `forked`, `queued`, `rerouted`, `attempted`, `held`, `released`, `quarantined`, `discarded`, `notified`, `removed`, `expired` or `finished`.";
    TrackActor = "track.actor", Text, Track, "Who did it: a binding, `operator`, or empty for the gateway.";
}

impl Attribute {
    /// Whether it exists at this event.
    #[must_use]
    pub fn exists_at(self, event: EventKind) -> bool {
        self.scope().holds(event)
    }

    /// The attribute of this path.
    #[must_use]
    pub fn find(path: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|attribute| attribute.path() == path)
    }

    /// The first part of its path.
    #[must_use]
    pub fn root(self) -> &'static str {
        self.path()
            .split_once('.')
            .map_or(self.path(), |(root, _)| root)
    }

    /// The second part of its path.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.path().split_once('.').map_or("", |(_, name)| name)
    }

    /// It can hold many elements.
    #[must_use]
    pub const fn is_collection(self) -> bool {
        matches!(
            self.kind(),
            AttributeType::Texts | AttributeType::Headers | AttributeType::Properties
        )
    }

    /// What of that which bindings can change it depends on.
    #[must_use]
    pub fn reads(self) -> Reads {
        let mut reads = Reads::default();
        match self {
            Self::MessageSender | Self::MessageSenderDomain | Self::MessagePriority => {
                reads.sender = true;
            }
            Self::MessageRecipients
            | Self::MessageRecipientDomains
            | Self::MessageRecipientCount
            | Self::MessageTenant
            | Self::RecipientAddress
            | Self::RecipientDomain
            | Self::RecipientIsLocal
            | Self::RecipientKind
            | Self::RecipientTenant => reads.recipients = true,
            Self::SessionMayRelay | Self::SessionAuthenticated | Self::SessionIdentity => {
                reads.session = true;
            }
            Self::MessageHeaders | Self::MessageHeaderCount => reads.headers = HeaderSet::all(),
            Self::MessageSize => {
                reads.headers = HeaderSet::all();
                reads.body = true;
            }
            Self::SessionProperties | Self::MessageProperties => reads.properties = Namespaces::All,
            _ => {}
        }
        reads
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number that need not be whole.
    Number(f64),
    /// Text; what is not UTF-8 in it is replaced.
    Text(String),
    /// Octets (of a property).
    Octets(Vec<u8>),
    /// A list of texts.
    Texts(Vec<String>),
    /// Names to values. On a name that comes twice the first stands.
    Map(Vec<(String, AttributeValue)>),
}

impl AttributeValue {
    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// Octets as text; what is not UTF-8 in them is replaced.
    #[must_use]
    pub fn lossy(octets: &[u8]) -> Self {
        Self::Text(String::from_utf8_lossy(octets).into_owned())
    }

    /// The domain of an address in lower case, A-labels; empty for the postmaster without one.
    #[must_use]
    pub fn domain_of(path: &ForwardPath) -> Self {
        Self::Text(path.mailbox().map(domain).unwrap_or_default())
    }

    /// A count or a size; what is over the range of `int` is its largest value.
    #[must_use]
    pub fn count(count: impl TryInto<i64>) -> Self {
        Self::Int(count.try_into().unwrap_or(i64::MAX))
    }

    /// Properties as conditions see them.
    #[must_use]
    pub fn properties(properties: &postern_message::Properties) -> Self {
        let mut sinks: Vec<(String, Self)> = Vec::new();
        for (namespace, key, value) in properties.iter() {
            let value = match value {
                postern_message::Value::String(text) => Self::Text(text.clone()),
                postern_message::Value::Bytes(octets) => Self::Octets(octets.to_vec()),
                postern_message::Value::Int(number) => Self::Int(*number),
                postern_message::Value::Bool(flag) => Self::Bool(*flag),
                postern_message::Value::Number(number) => Self::Number((*number).into()),
                postern_message::Value::Texts(texts) => Self::Texts(texts.clone()),
            };
            match sinks.iter_mut().find(|(name, _)| name == namespace) {
                Some((_, Self::Map(entries))) => entries.push((key.to_owned(), value)),
                _ => sinks.push((
                    namespace.to_owned(),
                    Self::Map(vec![(key.to_owned(), value)]),
                )),
            }
        }
        Self::Map(sinks)
    }
}

/// The domain of a mailbox in lower case, A-labels.
pub(crate) fn domain(mailbox: &Mailbox) -> String {
    match mailbox.domain() {
        DomainOrLiteral::Domain(domain) => domain.key().to_owned(),
        literal => literal.to_string(),
    }
}

/// Where conditions take their attributes from. Only those that a condition names are asked for.
pub trait AttributeSource {
    /// The value of an attribute that exists at the event. `None` makes the evaluation fail.
    fn value(&self, attribute: Attribute) -> Option<AttributeValue>;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_unique_and_of_two_parts() {
        for attribute in Attribute::ALL {
            assert_eq!(Attribute::find(attribute.path()), Some(*attribute));
            assert_eq!(attribute.path().split('.').count(), 2, "{attribute}");
        }
    }

    #[test]
    fn every_attribute_exists_at_some_event() {
        for attribute in Attribute::ALL {
            assert!(
                EventKind::ALL
                    .into_iter()
                    .any(|event| attribute.exists_at(event)),
                "{attribute}"
            );
        }
    }

    #[test]
    fn sizes_are_known_only_at_the_end() {
        assert!(!Attribute::MessageSize.exists_at(EventKind::InboundHeaders));
        assert!(Attribute::MessageSize.exists_at(EventKind::InboundMessage));
        assert!(!Attribute::SessionHelo.exists_at(EventKind::InboundConnect));
        // What a held message is judged by is stored with it.
        assert!(Attribute::SessionErrorCount.exists_at(EventKind::TransportSubmit));
        assert!(!Attribute::SessionErrorCount.exists_at(EventKind::TransportRoute));
        assert!(Attribute::DestinationDomain.exists_at(EventKind::TransportRoute));
        assert!(!Attribute::DestinationDomain.exists_at(EventKind::TransportSubmit));
        // A size limit is asked about where only the sender is known, a command where there is no message.
        assert!(Attribute::MessageSender.exists_at(EventKind::TransportMaxSize));
        assert!(!Attribute::MessageSize.exists_at(EventKind::TransportMaxSize));
        assert!(!Attribute::MessageSender.exists_at(EventKind::OutboundCommand));
        assert!(Attribute::RemoteHost.exists_at(EventKind::OutboundCommand));
    }

    #[test]
    fn what_other_bindings_can_change_is_read() {
        let names = |attribute: Attribute| attribute.reads().words().join(" ");
        for (attribute, reads) in [
            (Attribute::MessageSender, "sender"),
            (Attribute::MessagePriority, "sender"),
            (Attribute::MessageRecipientCount, "recipients"),
            (Attribute::RecipientTenant, "recipients"),
            (Attribute::SessionMayRelay, "session"),
            (Attribute::SessionIdentity, "session"),
            (Attribute::MessageHeaders, "headers"),
            (Attribute::MessageHeaderCount, "headers"),
            (Attribute::MessageSize, "headers body"),
            (Attribute::MessageProperties, "properties"),
            (Attribute::SessionProperties, "properties"),
            (Attribute::SessionHelo, ""),
        ] {
            assert_eq!(names(attribute), reads, "{attribute}");
        }
    }

    #[test]
    fn properties_are_grouped_by_sink_whatever_their_type() {
        use postern_message::{Properties, PropertyLimits, Value};
        let limits = PropertyLimits::default();
        let mut own = Properties::new();
        for (sink, key, value) in [
            ("a", "text", Value::String("x".to_owned())),
            ("b", "octets", Value::Bytes(vec![1, 2].into())),
            ("a", "number", Value::Int(3)),
            ("a", "flag", Value::Bool(true)),
            ("b", "texts", Value::Texts(vec!["y".to_owned()])),
        ] {
            own.set(sink, key, value, &limits).unwrap();
        }
        let entry = |key: &str, value| (key.to_owned(), value);
        let AttributeValue::Map(mut sinks) = AttributeValue::properties(&own) else {
            panic!("no map");
        };
        sinks.sort_by(|one, other| one.0.cmp(&other.0));
        let names: Vec<&str> = sinks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let AttributeValue::Map(of_a) = &sinks[0].1 else {
            panic!("no map");
        };
        assert_eq!(of_a.len(), 3);
        assert!(of_a.contains(&entry("text", AttributeValue::text("x"))));
        assert!(of_a.contains(&entry("number", AttributeValue::Int(3))));
        assert!(of_a.contains(&entry("flag", AttributeValue::Bool(true))));
        let of_b = vec![
            entry("octets", AttributeValue::Octets(vec![1, 2])),
            entry("texts", AttributeValue::Texts(vec!["y".to_owned()])),
        ];
        assert_eq!(sinks[1].1, AttributeValue::Map(of_b));
    }
}
