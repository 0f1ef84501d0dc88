//! The labels of the metrics. Each is an enum, or a name that the operator gave.

use std::fmt;
use std::sync::Arc;

use postern_delivery::{LookedUp, RecordKind};
use postern_events::inbound::Fate;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::front::memory::Short;

/// A name from the configuration: of a virtual server, a binding, a sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Arc<str>);

impl From<&Arc<str>> for Name {
    fn from(name: &Arc<str>) -> Self {
        Self(Arc::clone(name))
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self(Arc::from(name))
    }
}

impl EncodeLabelValue for Name {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        (&*self.0).encode(encoder)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word that stands for it, in metrics and in the log.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
                self.name().encode(encoder)
            }
        }
    };
}

words! {
    /// The first digit of a reply.
    Class {
        /// 2xx
        Positive = "2xx",
        /// 3xx
        Intermediate = "3xx",
        /// 4xx
        Transient = "4xx",
        /// 5xx
        Permanent = "5xx",
    }
}

impl From<u8> for Class {
    fn from(digit: u8) -> Self {
        match digit {
            2 => Self::Positive,
            3 => Self::Intermediate,
            4 => Self::Transient,
            _ => Self::Permanent,
        }
    }
}

words! {
    /// What a client waited for.
    WaitedFor {
        /// The reply to a command.
        Command = "command",
        /// The reply to the end of a message.
        Message = "message",
    }
}

words! {
    /// What became of a transaction, and of the message that it was about.
    MessageEnd {
        /// Durable, and on its way.
        Accepted = "accepted",
        /// Durable, kept by a failure policy.
        Held = "held",
        /// Durable, kept until a person acts.
        Quarantined = "quarantined",
        /// Accepted and dropped by a verdict.
        Discarded = "discarded",
        /// Refused for now.
        Tempfailed = "tempfailed",
        /// Refused for good.
        Rejected = "rejected",
        /// The client was gone before the reply.
        ClientGone = "client_gone",
        /// The client gave the transaction up before its content.
        GivenUp = "given_up",
    }
}

impl From<Fate> for MessageEnd {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Accepted => Self::Accepted,
            Fate::Held => Self::Held,
            Fate::Quarantined => Self::Quarantined,
            Fate::Discarded => Self::Discarded,
            Fate::Tempfailed => Self::Tempfailed,
            Fate::Rejected => Self::Rejected,
            Fate::ClientGone => Self::ClientGone,
            Fate::GivenUp => Self::GivenUp,
        }
    }
}

words! {
    /// The limits of `[server.limits]` that the shell enforces or sees enforced.
    LimitName {
        /// `connections`
        Connections = "connections",
        /// `connections_per_client`
        ConnectionsPerClient = "connections_per_client",
        /// `messages_per_session`
        MessagesPerSession = "messages_per_session",
        /// `recipients`
        Recipients = "recipients",
        /// `errors`
        Errors = "errors",
        /// `failures_per_session`
        FailuresPerSession = "failures_per_session",
        /// `failures_per_client`
        FailuresPerClient = "failures_per_client",
        /// `failures_per_user`
        FailuresPerUser = "failures_per_user",
        /// `messages_per_hour`
        MessagesPerHour = "messages_per_hour",
        /// `recipients_per_hour`
        RecipientsPerHour = "recipients_per_hour",
        /// `junk_commands`
        JunkCommands = "junk_commands",
        /// Steps and octets of a dialogue.
        Dialogue = "dialogue",
        /// `line_length`
        LineLength = "line_length",
        /// `header_size`
        HeaderSize = "header_size",
        /// `header_count`
        HeaderCount = "header_count",
        /// `command_timeout`
        CommandTimeout = "command_timeout",
        /// `data_timeout`
        DataTimeout = "data_timeout",
        /// `body_rate_min`
        BodyRate = "body_rate_min",
        /// `tls_handshake_timeout`
        HandshakeTimeout = "tls_handshake_timeout",
        /// The cap on handshakes at the same time.
        Handshakes = "tls_handshakes",
        /// `max_message_size`
        MessageSize = "max_message_size",
        /// `[spool] min_free`
        SpoolSpace = "min_free",
        /// `[memory] clients`
        Memory = "memory",
        /// `[memory] per_client`
        MemoryPerClient = "memory_per_client",
        /// A listener for proxies, and a peer that is not in `proxy_from`.
        NotAProxy = "proxy_from",
        /// A proxy that sent no header of the PROXY protocol, or none in time.
        ProxyHeader = "proxy_header",
        /// All runtimes have as many new connections waiting as they may.
        Backlog = "backlog",
    }
}

impl From<Short> for LimitName {
    fn from(short: Short) -> Self {
        match short {
            Short::All => Self::Memory,
            Short::Client => Self::MemoryPerClient,
        }
    }
}

words! {
    /// How a client authenticates.
    AuthMechanism {
        /// SCRAM-SHA-256
        ScramSha256 = "scram-sha-256",
        /// PLAIN
        Plain = "plain",
        /// LOGIN
        Login = "login",
        /// What a sink carries on, or knows otherwise.
        Sink = "sink",
    }
}

words! {
    /// What an authentication came to.
    AuthResult {
        /// The client is who it says.
        Ok = "ok",
        /// It is not.
        Failed = "failed",
        /// It gave up when it knew that its proof was right.
        Abandoned = "abandoned",
        /// It broke its mechanism.
        Malformed = "malformed",
        /// Too many have failed before.
        Barred = "barred",
        /// There was too much to check.
        Busy = "busy",
    }
}

words! {
    /// How TLS began.
    TlsMode {
        /// By STARTTLS.
        StartTls = "starttls",
        /// Before the first octet.
        Implicit = "implicit",
    }
}

words! {
    /// What a handshake came to.
    TlsResult {
        /// TLS 1.3
        Tls13 = "tls1.3",
        /// TLS 1.2
        Tls12 = "tls1.2",
        /// The peers did not agree.
        Failed = "failed",
        /// It took too long.
        Timeout = "timeout",
        /// Too many at the same time.
        Shed = "shed",
    }
}

words! {
    /// What was looked up in DNS.
    Record {
        /// The hosts of a domain.
        Mx = "mx",
        /// The IPv4 addresses of a host.
        A = "a",
        /// The IPv6 addresses of a host.
        Aaaa = "aaaa",
    }
}

impl From<RecordKind> for Record {
    fn from(kind: RecordKind) -> Self {
        match kind {
            RecordKind::Mx => Self::Mx,
            RecordKind::A => Self::A,
            RecordKind::Aaaa => Self::Aaaa,
        }
    }
}

words! {
    /// What came of a look-up in DNS.
    LookupResult {
        /// Records.
        Found = "found",
        /// The name has no such record.
        Nothing = "nothing",
        /// The name does not exist.
        NoSuchName = "no_such_name",
        /// The name servers failed or refused.
        Failed = "failed",
        /// No answer came in time.
        TimedOut = "timed_out",
    }
}

impl From<LookedUp> for LookupResult {
    fn from(came_to: LookedUp) -> Self {
        match came_to {
            LookedUp::Found => Self::Found,
            LookedUp::Nothing => Self::Nothing,
            LookedUp::NoSuchName => Self::NoSuchName,
            LookedUp::Failed => Self::Failed,
            LookedUp::TimedOut => Self::TimedOut,
        }
    }
}

words! {
    /// What became of a recipient in an attempt to deliver.
    DeliveryResult {
        /// In its mailbox, or at a server that reports on its own.
        Delivered = "delivered",
        /// To be tried again.
        Deferred = "deferred",
        /// Failed for good.
        Failed = "failed",
        /// Given up after the last retry.
        Expired = "expired",
        /// At a server that does not report on its own.
        Relayed = "relayed",
    }
}

words! {
    /// What a recipient was found to be.
    Found {
        /// Others, for whom it stands.
        Expanded = "expanded",
        /// One of those that another one stands for.
        Member = "member",
        /// Another address.
        Rewritten = "rewritten",
        /// Nobody.
        Failed = "failed",
    }
}

words! {
    /// Which way a replica changed.
    Change {
        /// It can be used.
        Up = "up",
        /// It cannot.
        Down = "down",
    }
}

words! {
    /// Where a message stands in the spool.
    Stage {
        /// To be asked about at `transport.submit`.
        Submit = "submit",
        /// Its recipients are to be resolved, or sinks asked around that.
        Categorize = "categorize",
        /// To be delivered.
        Deliver = "deliver",
        /// Kept by a failure policy.
        Held = "held",
        /// Kept until a person acts.
        Quarantined = "quarantined",
        /// Kept by an operator.
        OnHold = "on_hold",
        /// Set aside because it is damaged.
        Damaged = "damaged",
    }
}

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $kind:ty,)+ })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub struct $name {
                $(#[doc = concat!("The label `", stringify!($field), "`.")] pub $field: $kind,)+
            }
        )+
    };
}

labels! {
    /// By virtual server.
    OfServer { server: Name, }
    /// Replies.
    Replied { server: Name, class: Class, }
    /// Waiting times of clients.
    Waited { server: Name, kind: WaitedFor, }
    /// Messages.
    Messages { server: Name, end: MessageEnd, }
    /// Messages by tenant: a word of a sink's, of which a bounded number is counted.
    OfTenant { server: Name, tenant: Name, }
    /// Limits.
    Limited { server: Name, limit: LimitName, }
    /// Authentications.
    Authenticated { server: Name, mechanism: AuthMechanism, result: AuthResult, }
    /// Handshakes.
    Handshake { server: Name, mode: TlsMode, result: TlsResult, }
    /// Verdicts.
    Ruled { binding: Name, sink: Name, event: &'static str, decision: &'static str, }
    /// Verdicts that give a reason: a word of the sink's, of which a bounded number is counted for each binding.
    Reasoned { binding: Name, sink: Name, event: &'static str, reason: Name, }
    /// Failures of sinks.
    Faulted { binding: Name, sink: Name, event: &'static str, kind: &'static str, }
    /// What sinks did of their own accord.
    ActedLabel { binding: Name, sink: Name, deed: &'static str, status: &'static str, }
    /// Times of sinks.
    OfSink { sink: Name, event: &'static str, }
    /// By sink.
    Endpoint { sink: Name, }
    /// By replica.
    Replica { sink: Name, replica: Name, }
    /// By destination, as the configuration writes it; by `mx` the recipient's domain.
    OfDestination { destination: Name, }
    /// Replicas.
    ReplicaChange { sink: Name, replica: Name, change: Change, }
    /// Attempts by recipient.
    Delivered { server: Name, result: DeliveryResult, }
    /// Recipients that were resolved.
    Categorized { server: Name, result: Found, }
    /// Names looked up.
    Lookup { record: Record, result: LookupResult, }
    /// By what is looked up.
    OfRecord { record: Record, }
    /// By stage.
    StageLabel { stage: Stage, }
}
