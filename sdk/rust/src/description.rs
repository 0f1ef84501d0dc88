//! What a sink says of itself.

use bytes::Bytes;

use crate::v1::{self, EventKind, body_depth};

/// How many instances one stream of this SDK carries at a time.
const INSTANCES_PER_STREAM: u32 = 4096;

/// Octets of content that the gateway may send for an event before the handler asks for more. What is pushed
/// and not read waits in memory, so it is small; most messages fit all the same.
pub(crate) const INITIAL_CREDIT: u32 = 64 * 1024;

/// How much of a message an event is to bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The header fields alone.
    Headers,
    /// The header fields and the first octets of the body.
    Prefix(u64),
    /// The header fields and the body.
    Full,
    /// The header fields; of the body what [`Message::read`](crate::Message::read) asks for.
    OnDemand,
}

/// A [`Description`](crate::Description) with the name and version of the crate that it is written in.
#[macro_export]
macro_rules! describe {
    () => {
        $crate::Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
    };
}

/// What a sink is, which events it wants, what it reads and what its verdicts may do.
///
/// Nothing that is asked for here is given unless the operator accepts it.
#[derive(Clone, Debug, PartialEq)]
pub struct Description(v1::DescribeResponse);

impl Description {
    /// A sink of this name (`[a-z0-9][a-z0-9.-]{0,62}`) and version.
    pub fn new(name: &str, version: &str) -> Self {
        Self(v1::DescribeResponse {
            name: name.to_owned(),
            version: version.to_owned(),
            protocol_version: 1,
            instances_per_stream: INSTANCES_PER_STREAM,
            initial_credit_bytes: INITIAL_CREDIT,
            ..Default::default()
        })
    }

    /// What it does, in one sentence.
    pub fn summary(mut self, summary: &str) -> Self {
        self.0.summary = summary.to_owned();
        self
    }

    /// It wants this event, without content.
    pub fn on(mut self, event: EventKind) -> Self {
        self.0.events.push(v1::EventInterest {
            event: event.into(),
            body: None,
        });
        self
    }

    /// It wants this event with so much of the message.
    pub fn on_with(mut self, event: EventKind, body: Body) -> Self {
        let kind = match body {
            Body::Headers => body_depth::Kind::Headers(v1::HeadersOnly {}),
            Body::Prefix(size_bytes) => body_depth::Kind::Prefix(v1::BodyPrefix { size_bytes }),
            Body::Full => body_depth::Kind::Full(v1::FullBody {}),
            Body::OnDemand => body_depth::Kind::OnDemand(v1::BodyOnDemand {}),
        };
        let body = Some(v1::BodyDepth { kind: Some(kind) });
        self.0.events.push(v1::EventInterest {
            event: event.into(),
            body,
        });
        self
    }

    /// It reads this, as in a binding's `reads`: `"body"`, `"headers:Subject"`. Said nowhere: everything that
    /// its events show.
    pub fn reads(mut self, what: &str) -> Self {
        self.0.reads.push(what.to_owned());
        self
    }

    /// Its verdicts may do this, as in a binding's `may`: `"body"`, `"headers:X-*"`, `"finish"`. Refusing needs
    /// no grant.
    pub fn may(mut self, what: &str) -> Self {
        self.0.grants.push(what.to_owned());
        self
    }

    /// Asking it changes something outside: it is asked in its turn, and an event is asked again on another
    /// replica only if `repeatable`.
    pub fn side_effects(mut self, repeatable: bool) -> Self {
        self.0.side_effects = true;
        self.0.repeatable = repeatable;
        self
    }

    /// JSON Schema of its properties.
    pub fn properties_schema(mut self, schema: &serde_json::Value) -> Self {
        self.0.properties_schema = Bytes::from(schema.to_string());
        self
    }

    /// It wants to hear what became of its verdicts: [`Sink::on_settled`](crate::Sink::on_settled).
    pub fn wants_settled(mut self) -> Self {
        self.0.wants_settled = true;
        self
    }

    /// The description as the protocol has it.
    pub fn as_proto(&self) -> &v1::DescribeResponse {
        &self.0
    }

    pub(crate) fn into_proto(self) -> v1::DescribeResponse {
        self.0
    }
}
