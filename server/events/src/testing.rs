//! What tests of several events share.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{
    Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties, Recipient,
    Version,
};
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::context::{Client, Helo, InboundContext, MessageContext, SessionContext};
use crate::grant::{Grants, Reads};
use crate::plan::{Binding, BindingSpec, Plan, PlanSpec, ServerSpec, SinkSpec};
use crate::wire::View;

/// A view of a sink called `sink`.
pub(crate) fn view(reads: &Reads) -> View<'_> {
    View {
        reads,
        sink: "sink",
    }
}

/// A session that has greeted.
pub(crate) fn session() -> SessionContext {
    let client = Client {
        address: Some("192.0.2.7".parse().unwrap()),
        port: 4711,
        ..Client::default()
    };
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    SessionContext {
        listener: Arc::from("[::]:25"),
        helo: Some(Helo {
            verb: Bytes::from_static(b"EHLO"),
            name: Bytes::from_static(b"client.example.test"),
        }),
        ..SessionContext::new(Arc::from("in"), Arc::from("mx.example.test"), client, at)
    }
}

/// An inbound session.
pub(crate) fn inbound() -> InboundContext {
    InboundContext::new(session())
}

/// A forward path.
pub(crate) fn path(address: &str) -> ForwardPath {
    ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap()
}

/// An envelope with this sender.
pub(crate) fn envelope(sender: &str) -> Envelope {
    Envelope::new(ReversePath::parse(format!("<{sender}>").as_bytes(), true).unwrap())
}

/// Content: Subject has id 1, Received 2; the body has ten octets.
pub(crate) const MAIL: &[u8] = b"Subject: one\r\nReceived: from a\r\n\r\n0123456789";

/// The version of [`MAIL`].
pub(crate) fn version(is_closed: bool) -> Version {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(MAIL).unwrap().unwrap();
    Version::original(&section, is_closed.then_some(MAIL.len() as u64))
}

/// A stored message from `a@x.test` to `b@y.test` and `c@y.test`.
pub(crate) fn stored() -> Message {
    let session = session();
    Message {
        id: MessageId::new(),
        session: Some(session.id),
        server: "in".to_owned(),
        origin: Origin::Smtp,
        received_at: session.started_at,
        context: session.encode(),
        envelope: envelope("a@x.test"),
        recipients: ["b@y.test", "c@y.test"]
            .map(|address| Recipient::new(path(address)))
            .into(),
        skipped: Vec::new(),
        passed: Vec::new(),
        properties: Properties::new(),
        version: version(true),
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    }
}

/// A message in transport.
pub(crate) fn message() -> MessageContext {
    MessageContext::new(Arc::new(stored())).unwrap()
}

/// A binding that may do this, in words of any version.
pub(crate) fn binding(may: &[&str]) -> Binding {
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: vec![SinkSpec {
            name: "sink".to_owned(),
            endpoints: vec!["unix:/s".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: Some(vec!["inbound.message".to_owned()]),
            may: Some(Vec::new()),
            ..BindingSpec::new("binding", "sink")
        }],
    };
    let plan = Plan::build(spec, &HashMap::new()).unwrap();
    let own = Arc::clone(plan.bindings().first().unwrap());
    drop(plan);
    let mut own = Arc::into_inner(own).unwrap();
    own.grants = Grants::parse_all(may).unwrap();
    own
}
