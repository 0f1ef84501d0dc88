//! What the tests of events happen in: a message, sessions in and out, a destination.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{
    Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties, Recipient,
    Version,
};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;
use prost::Message as _;

use crate::answer::AnyAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{
    CommandLine, Context, DeliveryContext, DestinationContext, MessageContext, OutgoingContext,
    Remote, ServiceContext, Tls,
};
use crate::encode::EncodedEvent;
use crate::fault::Fault;
use crate::grant::Reads;
use crate::question::{AnyEvent, Event, Question};
use crate::testing;
pub(crate) use crate::testing::{inbound, path};
use crate::validate::{Asked, NoUploads, validate};

/// A binding that reads everything there is.
pub(crate) fn all() -> Reads {
    Reads {
        digest: true,
        history: true,
        credentials: true,
        ..Reads::everything()
    }
}

pub(crate) fn sender() -> ReversePath {
    ReversePath::parse(b"<sender@example.test>", false).unwrap()
}

pub(crate) fn reply(code: u16, text: &str) -> Reply {
    Reply::parse(code, None, text).unwrap()
}

pub(crate) fn wire_reply(code: u32, text: &'static str) -> pb::Reply {
    pb::Reply {
        code,
        lines: vec![Bytes::from_static(text.as_bytes())],
        ..pb::Reply::default()
    }
}

/// Subject has id 1, X-Other 2.
pub(crate) fn version() -> Version {
    let octets = b"Subject: one\r\nX-Other: two\r\n\r\n0123456789";
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(octets).unwrap().unwrap();
    Version::original(&section, Some(octets.len() as u64))
}

/// Two recipients: `to@example.test`, and `list@other.test` of the tenant `acme`.
pub(crate) fn message() -> MessageContext {
    let mut list = Recipient::new(path("list@other.test"));
    list.tenant = "acme".to_owned();
    let message = Message {
        id: MessageId::new(),
        session: None,
        server: "inbound".to_owned(),
        origin: Origin::Smtp,
        received_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000),
        context: Bytes::new(),
        envelope: Envelope::new(sender()),
        recipients: vec![Recipient::new(path("to@example.test")), list],
        skipped: Vec::new(),
        passed: Vec::new(),
        properties: Properties::new(),
        version: version(),
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    };
    MessageContext::new(Arc::new(message)).unwrap()
}

pub(crate) fn handshake() -> Tls {
    Tls {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        server_name: Some("mx.example.test".to_owned()),
        peer_certificates: vec![Bytes::from_static(b"certificate")],
        peer_verified: true,
        failure: "none".to_owned(),
    }
}

pub(crate) fn wire_handshake() -> pb::Tls {
    pb::Tls {
        version: "TLSv1.3".to_owned(),
        cipher_suite: "TLS_AES_128_GCM_SHA256".to_owned(),
        server_name: Bytes::from_static(b"mx.example.test"),
        peer_certificates: vec![Bytes::from_static(b"certificate")],
        peer_verified: true,
        failure: "none".to_owned(),
    }
}

/// A session that sends [`message`].
pub(crate) fn outgoing() -> OutgoingContext {
    let remote = Remote {
        destination: Bytes::from_static(b"example.test"),
        host: Bytes::from_static(b"mx.example.test"),
        address: "192.0.2.25".to_owned(),
        port: 25,
        source_address: "192.0.2.1".to_owned(),
        tls: Some(handshake()),
        extensions: vec![Bytes::from_static(b"PIPELINING")],
    };
    let mut context = OutgoingContext::new(Arc::from("inbound"), remote);
    context.take(message());
    context
}

pub(crate) fn wire_remote() -> pb::Remote {
    pb::Remote {
        destination: Bytes::from_static(b"example.test"),
        host: Bytes::from_static(b"mx.example.test"),
        address: "192.0.2.25".to_owned(),
        port: 25,
        source_address: "192.0.2.1".to_owned(),
        tls: Some(wire_handshake()),
        extensions: vec![Bytes::from_static(b"PIPELINING")],
    }
}

pub(crate) fn destination() -> DestinationContext {
    DestinationContext {
        routing_class: "bulk".to_owned(),
        failures: 4,
        last_reply: Some(reply(450, "later")),
        queued: 7,
        ..DestinationContext::new(Arc::from("inbound"), "example.test")
    }
}

pub(crate) fn delivery() -> DeliveryContext {
    DeliveryContext {
        server: Arc::from("inbound"),
    }
}

pub(crate) fn service(server: &str) -> ServiceContext {
    ServiceContext {
        server: Arc::from(server),
    }
}

/// The body as a binding gets it that reads everything: encoded, put together and decoded.
pub(crate) fn body(event: impl Event, said: Option<AnyAnswer>, context: &Context) -> Kind {
    viewed(&event, said.as_ref(), context, &all())
}

/// The body as a binding gets it that reads nothing.
pub(crate) fn blind_body(event: impl Event, context: &Context) -> Kind {
    viewed(&event, None, context, &Reads::default())
}

/// The body as a binding gets it that reads this.
pub(crate) fn viewed(
    event: &dyn AnyEvent,
    said: Option<&AnyAnswer>,
    context: &Context,
    reads: &Reads,
) -> Kind {
    let view = testing::view(reads);
    let body = event.body(context, said, &view).unwrap();
    let arm = postern_proto::rules::event_kind(&body) as i32;
    assert_eq!(arm, event.kind().number(), "the arm of another event");
    let whole = pb::Event {
        kind: Some(body),
        ..pb::Event::default()
    };
    let encoded = EncodedEvent::new(event.kind(), &whole).unwrap();
    let decoded = pb::Event::decode(encoded.whole()).unwrap();
    decoded.kind.unwrap()
}

/// The value of an attribute that exists at the event and is of its type.
pub(crate) fn attribute(
    event: &dyn AnyEvent,
    attribute: Attribute,
    said: Option<&AnyAnswer>,
    context: &Context,
) -> AttributeValue {
    use crate::attributes::AttributeType as T;
    assert!(attribute.exists_at(event.kind()), "{attribute}");
    let value = event.attribute(attribute, context, said).unwrap();
    let fits = matches!(
        (attribute.kind(), &value),
        (T::Bool, AttributeValue::Bool(_))
            | (T::Int, AttributeValue::Int(_))
            | (T::Text, AttributeValue::Text(_))
            | (T::Texts, AttributeValue::Texts(_))
    );
    assert!(fits, "{attribute}: {value:?}");
    value
}

/// A command line as it came, with more behind it.
pub(crate) fn line(verb: &'static str, line: &'static str) -> CommandLine {
    CommandLine {
        verb: Bytes::from_static(verb.as_bytes()),
        line: Bytes::from_static(line.as_bytes()),
        pipelined: true,
    }
}

pub(crate) fn wire_line(verb: &'static str, line: &'static str) -> Option<pb::Command> {
    Some(pb::Command {
        verb: Bytes::from_static(verb.as_bytes()),
        line: Bytes::from_static(line.as_bytes()),
        pipelined: true,
    })
}

/// The answer to an event, as a sink gave it with `proceed` whose binding may do this: checked, or refused.
pub(crate) fn answered<E: Event>(
    event: E,
    context: &Context,
    may: &[&str],
    answer: pb::answer::Kind,
) -> Result<E::Answer, Fault> {
    let question = Question::new(event);
    let asked = Asked {
        question: &question,
        context,
        binding: &testing::binding(may),
        version: None,
    };
    let verdict = pb::Verdict {
        decision: Some(pb::Decision {
            kind: Some(pb::decision::Kind::Proceed(pb::Proceed {})),
        }),
        answer: Some(Box::new(pb::Answer { kind: Some(answer) })),
        ..pb::Verdict::default()
    };
    let verdict = validate(verdict, &asked, &mut NoUploads)?;
    Ok(verdict.answer.unwrap().get().cloned().unwrap())
}
