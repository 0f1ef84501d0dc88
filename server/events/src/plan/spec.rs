//! What the operator configured, before it is checked.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::FailurePolicy;

/// Priority of a binding that does not say.
pub const DEFAULT_PRIORITY: u32 = 24_575;

/// Highest number that a priority may have.
pub const MAX_PRIORITY: u32 = 32_767;

/// Everything that a plan is made of.
#[derive(Clone, Debug, Default)]
pub struct PlanSpec {
    /// Names of the virtual servers.
    pub servers: Vec<String>,
    /// The sinks.
    pub sinks: Vec<SinkSpec>,
    /// The bindings, in the order of the effective configuration: among equal priorities it decides.
    pub bindings: Vec<BindingSpec>,
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
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            message: Duration::from_secs(60),
            transport: Duration::from_secs(60),
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
}
