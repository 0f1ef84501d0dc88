//! What the operator configured, before it is checked.

use std::path::PathBuf;
use std::time::Duration;

use postern_message::EditLimits;
use postern_proto::rules::Group;
use postern_proto::v1 as pb;
use serde::{Deserialize, Serialize};

use crate::fault::FailurePolicy;

/// Priority of a binding that does not say.
pub const DEFAULT_PRIORITY: u32 = 24_575;

/// Highest number that a priority may have.
pub const MAX_PRIORITY: u32 = 32_767;

/// Everything that a plan is made of.
#[derive(Clone, Debug, Default)]
pub struct PlanSpec {
    /// The virtual servers.
    pub servers: Vec<ServerSpec>,
    /// The sinks.
    pub sinks: Vec<SinkSpec>,
    /// The bindings, in the order of the effective configuration: among equal priorities it decides.
    pub bindings: Vec<BindingSpec>,
}

/// A virtual server, as far as its bindings' verdicts are measured by it.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Its name.
    pub name: String,
    /// What edits may come to: the limits of messages that it accepts.
    pub limits: EditLimits,
}

impl ServerSpec {
    /// A server with the limits that hold where nothing is configured.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            limits: EditLimits::default(),
        }
    }
}

/// A sink as configured.
#[derive(Clone, Debug, Default)]
pub struct SinkSpec {
    /// Its name.
    pub name: String,
    /// `http://…`, `https://…`, `dns://host:port`, `dns+https://host:port`, `unix:/path`.
    pub endpoints: Vec<String>,
    /// TLS files.
    pub tls: SinkTls,
    /// Plain text is allowed beyond loopback.
    pub plaintext: bool,
    /// Questions that may be open at the same time, all replicas together. Left out: as many as there are.
    pub concurrency: Option<u32>,
}

/// TLS towards a sink: PEM files, read when a connection is made so that new ones are taken up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SinkTls {
    /// Authorities that the sink's certificate must lead to. Left out: the usual ones of the web.
    pub ca: Option<PathBuf>,
    /// Our certificate.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The name that the sink's certificate must have. Left out: that of the endpoint.
    pub server_name: Option<String>,
}

/// A binding as configured.
#[derive(Clone, Debug)]
pub struct BindingSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The virtual servers that it is for. Empty: all.
    pub servers: Vec<String>,
    /// The name of its sink.
    pub sink: String,
    /// Its events. Left out: as accepted.
    pub events: Option<Vec<String>>,
    /// The rule. Empty: always.
    pub rule: String,
    /// The condition, CEL.
    pub when: Option<String>,
    /// 0 to [`MAX_PRIORITY`], lower first.
    pub priority: u32,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// What is done when it fails.
    pub on_failure: FailurePolicy,
    /// How much of the content it is shown. Left out: as accepted; else what `reads` asks for.
    pub body: Option<BodyDepth>,
    /// What it is shown. Left out: as accepted; else everything that its events show.
    pub reads: Option<Vec<String>>,
    /// What its verdicts may do. Left out: as accepted.
    pub may: Option<Vec<String>>,
    /// When it is asked, by event, where that is not as the sink describes; under no event: at all events. What the
    /// sink only wants to be told stays told.
    pub ask: Vec<(Option<String>, Ask)>,
    /// Asking it has effects outside. Left out: as the sink describes; the more careful of both counts.
    pub side_effects: Option<bool>,
    /// It is asked about messages, too, that its own sink put in.
    pub asks_about_own: bool,
    /// Attributes that are shown to it with each event: name and CEL expression.
    pub attributes: Vec<(String, String)>,
    /// Handed to the sink when an instance opens: a JSON object, or empty.
    pub properties_json: Vec<u8>,
    /// False: checked, but not asked.
    pub enabled: bool,
}

impl BindingSpec {
    /// A binding of `sink` that says nothing else.
    #[must_use]
    pub fn new(name: impl Into<String>, sink: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: String::new(),
            servers: Vec::new(),
            sink: sink.into(),
            events: None,
            rule: String::new(),
            when: None,
            priority: DEFAULT_PRIORITY,
            timeouts: Timeouts::default(),
            on_failure: FailurePolicy::default(),
            body: None,
            reads: None,
            may: None,
            ask: Vec::new(),
            side_effects: None,
            asks_about_own: false,
            attributes: Vec::new(),
            properties_json: Vec::new(),
            enabled: true,
        }
    }
}

/// How long a binding may take, by stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Events of the command group.
    pub command: Duration,
    /// `inbound.headers`.
    pub headers: Duration,
    /// `inbound.message`, counted from the end of the content.
    pub message: Duration,
    /// Transport events.
    pub transport: Duration,
    /// Stages of an outgoing session.
    pub outgoing: Duration,
}

impl Timeouts {
    /// The same time-out at every stage.
    #[must_use]
    pub const fn uniform(timeout: Duration) -> Self {
        Self {
            command: timeout,
            headers: timeout,
            message: timeout,
            transport: timeout,
            outgoing: timeout,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let of = |group: Group| Duration::from_secs(group.default_timeout_seconds());
        Self {
            command: of(Group::Command),
            headers: of(Group::Headers),
            message: of(Group::Message),
            transport: of(Group::Transport),
            outgoing: of(Group::Outgoing),
        }
    }
}

/// When a binding is asked about an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// When it happens.
    #[default]
    AtOnce,
    /// Together with the first RCPT after it.
    AtRcpt,
    /// Never: it is told, with the next question.
    Told,
}

impl Ask {
    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::AtRcpt => "at-rcpt",
            Self::Told => "told",
        }
    }

    /// The word of the wire.
    #[must_use]
    pub const fn wire(self) -> pb::AskMode {
        match self {
            Self::AtOnce => pb::AskMode::AtOnce,
            Self::AtRcpt => pb::AskMode::AtRcpt,
            Self::Told => pb::AskMode::Told,
        }
    }

    /// The mode that a sink described.
    #[must_use]
    pub fn described(mode: pb::AskMode) -> Self {
        match mode {
            pb::AskMode::AtRcpt => Self::AtRcpt,
            pb::AskMode::Told => Self::Told,
            pb::AskMode::Unspecified | pb::AskMode::AtOnce => Self::AtOnce,
        }
    }
}

/// How much of the content a binding is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyDepth {
    /// Neither header fields nor body.
    #[default]
    None,
    /// The header fields.
    Headers,
    /// The header fields and this many octets of the body, pushed.
    Prefix(u64),
    /// The header fields and the whole body, pushed.
    Full,
    /// The header fields; of the body what the sink asks for.
    OnDemand,
}

impl BodyDepth {
    /// Header fields are shown.
    #[must_use]
    pub const fn shows_headers(self) -> bool {
        !matches!(self, Self::None)
    }

    /// Something of the body is shown.
    #[must_use]
    pub const fn shows_body(self) -> bool {
        matches!(self, Self::Prefix(_) | Self::Full | Self::OnDemand)
    }
}

impl BodyDepth {
    /// The word of the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Headers => "headers",
            Self::Prefix(_) => "prefix",
            Self::Full => "full",
            Self::OnDemand => "on-demand",
        }
    }

    /// As the wire says it.
    #[must_use]
    pub fn wire(self) -> pb::BodyDepth {
        use pb::body_depth::Kind;
        let kind = match self {
            Self::None => Kind::Nothing(pb::NoContent {}),
            Self::Headers => Kind::Headers(pb::HeadersOnly {}),
            Self::Prefix(size_bytes) => Kind::Prefix(pb::BodyPrefix { size_bytes }),
            Self::Full => Kind::Full(pb::FullBody {}),
            Self::OnDemand => Kind::OnDemand(pb::BodyOnDemand {}),
        };
        pb::BodyDepth { kind: Some(kind) }
    }

    /// The depth that a sink described. Absent: none.
    #[must_use]
    pub fn described(depth: Option<&pb::BodyDepth>) -> Self {
        use pb::body_depth::Kind;
        match depth.and_then(|depth| depth.kind.as_ref()) {
            None | Some(Kind::Nothing(_)) => Self::None,
            Some(Kind::Headers(_)) => Self::Headers,
            Some(Kind::Prefix(prefix)) => Self::Prefix(prefix.size_bytes),
            Some(Kind::Full(_)) => Self::Full,
            Some(Kind::OnDemand(_)) => Self::OnDemand,
        }
    }

    /// Gives all that `wanted` asks for.
    #[must_use]
    pub const fn gives(self, wanted: Self) -> bool {
        match (self, wanted) {
            (_, Self::None) | (Self::Full, _) => true,
            (own, Self::Headers) => own.shows_headers(),
            (Self::Prefix(own), Self::Prefix(wanted)) => own >= wanted,
            // What can be read in pieces can be read whole.
            (Self::OnDemand, Self::OnDemand) => true,
            _ => false,
        }
    }
}
