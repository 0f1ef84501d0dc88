#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::{MessageId, Properties, PropertyLimits, RecipientId, SessionId, Value};

use super::*;
use crate::attributes::AttributeType;
use crate::context::{
    Authentication, Client, Conduct, Helo, InboundContext, MessageContext, OutgoingContext,
    Protocol, Remote, ReverseName, SessionContext, Tls,
};
use crate::event::EventKind;
use crate::question::tests::all;
use crate::{inbound, outbound, samples, testing, transport};

type Value_ = AttributeValue;

fn text(text: &str) -> AttributeValue {
    AttributeValue::text(text)
}

fn texts(texts: &[&str]) -> AttributeValue {
    Value_::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn value(context: &Context, question: &Question, attribute: Attribute) -> Option<AttributeValue> {
    Source { context, question }.value(attribute)
}

fn properties() -> Properties {
    let mut own = Properties::new();
    let limits = PropertyLimits::default();
    own.set("spam", "score", Value::Int(7), &limits).unwrap();
    own
}

fn of_properties() -> AttributeValue {
    let own = Value_::Map(vec![("score".to_owned(), Value_::Int(7))]);
    Value_::Map(vec![("spam".to_owned(), own)])
}

/// A session in which every fact is another than that of a new one, and each another than its neighbours.
fn session() -> SessionContext {
    let client = Client {
        address: Some("192.0.2.7".parse().unwrap()),
        port: 4711,
        reverse_name: ReverseName::Confirmed(vec!["client.test".to_owned()]),
        ..Client::default()
    };
    SessionContext {
        listener: Arc::from("[::]:587"),
        protocol: Protocol::Submission,
        helo: Some(Helo {
            verb: Bytes::from_static(b"EHLO"),
            name: Bytes::from_static(b"greets.test"),
        }),
        tls: Some(Tls {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
            ..Tls::default()
        }),
        authentication: Some(Authentication {
            identity: Bytes::from_static(b"anna"),
            ..Authentication::default()
        }),
        may_relay: true,
        tenant: "acme".to_owned(),
        conduct: Conduct {
            commands: 1,
            errors: 2,
            syntax_errors: 3,
            talked_early: true,
            pipelined_early: true,
            messages: 4,
            refused_recipients: 5,
            connections: 6,
            ..Conduct::default()
        },
        properties: properties(),
        ..SessionContext::new(
            Arc::from("in"),
            Arc::from("mx.test"),
            client,
            SystemTime::UNIX_EPOCH,
        )
    }
}

/// What conditions see of [`session`].
fn of_session(id: SessionId) -> BTreeMap<Attribute, AttributeValue> {
    use Attribute as A;
    let int = Value_::Int;
    let yes = Value_::Bool(true);
    BTreeMap::from([
        (A::SessionId, text(&id.to_string())),
        (A::SessionServer, text("in")),
        (A::SessionProtocol, text("submission")),
        (A::SessionClientAddress, text("192.0.2.7")),
        (A::SessionClientPort, int(4711)),
        (A::SessionClientName, text("client.test")),
        (A::SessionClientNameConfirmed, yes.clone()),
        (A::SessionMayRelay, yes.clone()),
        (A::SessionAuthenticated, yes.clone()),
        (A::SessionIdentity, text("anna")),
        (A::SessionTenant, text("acme")),
        (A::SessionTls, yes.clone()),
        (A::SessionTlsVersion, text("TLSv1.3")),
        (A::SessionTlsCipher, text("TLS_AES_128_GCM_SHA256")),
        (A::SessionHelo, text("greets.test")),
        (A::SessionHeloValid, yes.clone()),
        (A::SessionListener, text("[::]:587")),
        (A::SessionTalkedEarly, yes.clone()),
        (A::SessionPipelinedEarly, yes),
        (A::SessionCommandCount, int(1)),
        (A::SessionErrorCount, int(2)),
        (A::SessionSyntaxErrorCount, int(3)),
        (A::SessionMessageCount, int(4)),
        (A::SessionRefusedRecipientCount, int(5)),
        (A::SessionConnectionCount, int(6)),
        (A::SessionProperties, of_properties()),
    ])
}

fn rooted(root: &str) -> impl Iterator<Item = Attribute> {
    let all = Attribute::ALL.iter().copied();
    all.filter(move |attribute| attribute.root() == root)
}

/// A message in transport that was brought by this session.
fn message(session: Option<SessionContext>) -> MessageContext {
    let mut stored = testing::stored();
    stored.session = session.as_ref().map(|session| session.id);
    MessageContext::with_session(Arc::new(stored), session)
}

fn outgoing(message: MessageContext) -> Context {
    let mut own = OutgoingContext::new(Arc::from("in"), Remote::default());
    own.take(message);
    own.into()
}

#[test]
fn each_fact_of_the_session_is_an_attribute_wherever_the_session_is_known() {
    let own = session();
    let table = of_session(own.id);
    assert!(rooted("session").eq(table.keys().copied()));
    let data = Question::new(inbound::Data::default());
    let submit = Question::new(transport::Submit);
    let end = Question::new(outbound::SessionEnd {
        command: samples::line("QUIT", "QUIT"),
    });
    let brought = message(Some(own.clone()));
    for (context, question) in [
        (Context::from(InboundContext::new(own)), data),
        (Context::from(brought.clone()), submit),
        (outgoing(brought), end),
    ] {
        for (attribute, expected) in &table {
            let seen = value(&context, &question, *attribute);
            assert_eq!(seen.as_ref(), Some(expected), "{attribute}");
        }
    }
}

#[test]
fn each_fact_of_a_new_session_is_the_least_of_its_kind() {
    let plain = SessionContext::new(
        Arc::from("in"),
        Arc::from("mx.test"),
        Client::default(),
        SystemTime::UNIX_EPOCH,
    );
    let id = plain.id.to_string();
    let context = Context::from(InboundContext::new(plain));
    let question = Question::new(inbound::Data::default());
    for attribute in rooted("session") {
        let least = match (attribute, attribute.kind()) {
            (Attribute::SessionId, _) => text(&id),
            (Attribute::SessionServer, _) => text("in"),
            (Attribute::SessionProtocol, _) => text("smtp"),
            (_, AttributeType::Bool) => Value_::Bool(false),
            (_, AttributeType::Int) => Value_::Int(0),
            (_, AttributeType::Properties) => Value_::Map(Vec::new()),
            _ => text(""),
        };
        assert_eq!(
            value(&context, &question, attribute),
            Some(least),
            "{attribute}"
        );
    }
}

#[test]
fn of_a_message_without_a_session_only_server_and_id_are_known() {
    let id = SessionId::new();
    let mut stored = testing::stored();
    stored.server = "other".to_owned();
    for session in [Some(id), None] {
        stored.session = session;
        let own = MessageContext::with_session(Arc::new(stored.clone()), None);
        let context = Context::from(own);
        let question = Question::new(transport::Submit);
        for attribute in rooted("session") {
            let least = match (attribute, attribute.kind()) {
                (Attribute::SessionId, _) => {
                    Value_::Text(session.map(|id| id.to_string()).unwrap_or_default())
                }
                (Attribute::SessionServer, _) => text("other"),
                (_, AttributeType::Bool) => Value_::Bool(false),
                (_, AttributeType::Int) => Value_::Int(0),
                (_, AttributeType::Properties) => Value_::Map(Vec::new()),
                _ => text(""),
            };
            assert_eq!(
                value(&context, &question, attribute),
                Some(least),
                "{attribute}"
            );
        }
    }
}

#[test]
fn a_name_is_told_with_whether_it_is_confirmed_and_valid() {
    let names = || vec!["client.test".to_owned(), "second.test".to_owned()];
    let question = Question::new(inbound::Data::default());
    for (reverse_name, name, confirmed) in [
        (ReverseName::NotAsked, "", false),
        (ReverseName::None, "", false),
        (ReverseName::Failed, "", false),
        (ReverseName::Unconfirmed(names()), "client.test", false),
        (ReverseName::Confirmed(names()), "client.test", true),
        (ReverseName::Confirmed(Vec::new()), "", true),
        (ReverseName::Unconfirmed(Vec::new()), "", false),
    ] {
        let mut own = session();
        own.client.reverse_name = reverse_name;
        let context = Context::from(InboundContext::new(own));
        let of = |attribute| value(&context, &question, attribute);
        assert_eq!(of(Attribute::SessionClientName), Some(text(name)));
        assert_eq!(
            of(Attribute::SessionClientNameConfirmed),
            Some(Value_::Bool(confirmed))
        );
    }
    for (name, valid) in [
        ("a.test", true),
        ("[192.0.2.1]", true),
        ("my printer", false),
    ] {
        let mut own = session();
        own.helo = Some(Helo {
            verb: Bytes::from_static(b"HELO"),
            name: Bytes::copy_from_slice(name.as_bytes()),
        });
        let context = Context::from(InboundContext::new(own));
        let seen = value(&context, &question, Attribute::SessionHeloValid);
        assert_eq!(seen, Some(Value_::Bool(valid)), "{name}");
        // At the greeting itself the one that is asked about counts.
        let helo = Question::new(inbound::Helo {
            helo: Helo {
                name: Bytes::from_static(b"asked.test"),
                ..Helo::default()
            },
            ..inbound::Helo::default()
        });
        let seen = |attribute| value(&context, &helo, attribute);
        assert_eq!(seen(Attribute::SessionHelo), Some(text("asked.test")));
        assert_eq!(seen(Attribute::SessionHeloValid), Some(Value_::Bool(true)));
    }
}

#[test]
fn each_fact_of_a_message_is_an_attribute() {
    use Attribute as A;
    let int = Value_::Int;
    let mut stored = testing::stored();
    stored.origin = Origin::Lmtp;
    stored.envelope = testing::envelope("Anna@Sender.TEST");
    stored.envelope.smtp_utf8 = true;
    stored.envelope.declared_size = Some(99);
    stored.envelope.priority = -3;
    stored.properties = properties();
    let addresses = ["one@Y.test", "two@y.test", "three@[192.0.2.1]"];
    stored.recipients = addresses
        .iter()
        .map(|address| Recipient::new(testing::path(address)))
        .chain([Recipient::new(ForwardPath::Postmaster)])
        .collect();
    for recipient in &mut stored.recipients {
        recipient.tenant = "acme".to_owned();
    }
    let id = stored.id;
    let mut own = MessageContext::with_session(Arc::new(stored), None);
    own.attempt = 5;
    let headers = [("subject", "one"), ("received", "from a")];
    let headers = headers.map(|(name, value)| (name.to_owned(), text(value)));
    let table = BTreeMap::from([
        (A::MessageId, text(&id.to_string())),
        (A::MessageSender, text("Anna@Sender.TEST")),
        (A::MessageSenderDomain, text("sender.test")),
        (A::MessageSmtpUtf8, Value_::Bool(true)),
        (A::MessageDeclaredSize, int(99)),
        (A::MessagePriority, int(-3)),
        (A::MessageProperties, of_properties()),
        (
            A::MessageRecipients,
            texts(&[
                "one@Y.test",
                "two@y.test",
                "three@[192.0.2.1]",
                "postmaster",
            ]),
        ),
        (
            A::MessageRecipientDomains,
            texts(&["y.test", "[192.0.2.1]"]),
        ),
        (A::MessageRecipientCount, int(4)),
        (A::MessageTenant, text("acme")),
        (A::MessageHeaders, Value_::Map(headers.to_vec())),
        (A::MessageHeaderCount, int(2)),
        (A::MessageSize, Value_::count(testing::MAIL.len())),
        (A::MessageOrigin, text("lmtp")),
        (A::MessageAttempt, int(5)),
    ]);
    assert!(rooted("message").eq(table.keys().copied()));
    let submit = Question::new(transport::Submit);
    let end = Question::new(outbound::SessionEnd {
        command: samples::line("QUIT", "QUIT"),
    });
    let sent = outgoing(own.clone());
    for (context, question) in [(Context::from(own), submit), (sent, end)] {
        for (attribute, expected) in &table {
            let seen = value(&context, &question, *attribute);
            assert_eq!(seen.as_ref(), Some(expected), "{attribute}");
        }
    }
}

#[test]
fn a_message_without_a_sender_or_with_open_content_says_so() {
    let mut stored = testing::stored();
    stored.envelope = postern_message::Envelope::new(ReversePath::Null);
    stored.version = testing::version(false);
    for (origin, word) in [
        (Origin::Smtp, "smtp"),
        (Origin::Lmtp, "lmtp"),
        (Origin::Dsn, "dsn"),
    ] {
        stored.origin = origin;
        let own = MessageContext::with_session(Arc::new(stored.clone()), None);
        let context = Context::from(own);
        let question = Question::new(transport::Submit);
        let of = |attribute| value(&context, &question, attribute);
        assert_eq!(of(Attribute::MessageOrigin), Some(text(word)));
        assert_eq!(of(Attribute::MessageSender), Some(text("")));
        assert_eq!(of(Attribute::MessageSenderDomain), Some(text("")));
        assert_eq!(of(Attribute::MessageDeclaredSize), Some(Value_::Int(0)));
        // How large it is nobody knows yet.
        assert_eq!(of(Attribute::MessageSize), None);
    }
    // There is no message, or none that is stored.
    let question = Question::new(inbound::Data::default());
    let mut own = testing::inbound();
    let none = Context::from(own.clone());
    assert_eq!(value(&none, &question, Attribute::MessageId), None);
    own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    let context = Context::from(own);
    assert!(value(&context, &question, Attribute::MessageId).is_some());
    for attribute in [
        Attribute::MessageOrigin,
        Attribute::MessageAttempt,
        Attribute::MessageHeaders,
        Attribute::MessageHeaderCount,
    ] {
        assert_eq!(value(&context, &question, attribute), None, "{attribute}");
    }
}

#[test]
fn each_fact_of_a_destination_is_an_attribute_there_alone() {
    use Attribute as A;
    let context = Context::from(samples::destination());
    let question = Question::new(transport::Resolve {
        mail_exchangers: true,
    });
    let table = BTreeMap::from([
        (A::DestinationDomain, text("example.test")),
        (A::DestinationRoutingClass, text("bulk")),
        (A::DestinationFailureCount, Value_::Int(4)),
        (A::DestinationQueuedCount, Value_::Int(7)),
        (A::DestinationMailExchangers, Value_::Bool(true)),
    ]);
    assert!(rooted("destination").eq(table.keys().copied()));
    for (attribute, expected) in &table {
        let seen = value(&context, &question, *attribute);
        assert_eq!(seen.as_ref(), Some(expected), "{attribute}");
    }
    let elsewhere = Context::from(samples::message());
    let submit = Question::new(transport::Submit);
    assert_eq!(value(&elsewhere, &submit, A::DestinationDomain), None);
    for (context, server) in [(context, "inbound"), (testing::inbound().into(), "in")] {
        assert_eq!(value(&context, &submit, A::ServerName), Some(text(server)));
    }
}

/// The attributes that events know themselves, or better than their context.
const OWN: &[(&str, &str)] = &[
    ("inbound.helo", "session.helo session.helo_valid"),
    (
        "inbound.tls",
        "session.tls session.tls_version session.tls_cipher",
    ),
    ("inbound.auth", "auth.mechanism auth.step"),
    ("inbound.rcpt", RECIPIENT),
    ("inbound.command", COMMAND),
    (
        "inbound.response",
        "command.verb command.line reply.code reply.text",
    ),
    ("transport.expand", "expansion.depth + recipient"),
    (
        "transport.post_categorize",
        "categorization.resolved_count categorization.unresolved_count categorization.expanded_count \
         categorization.routing_only",
    ),
    (
        "transport.max_size",
        "max_size.size max_size.limit max_size.declared_only",
    ),
    ("transport.resolve", "destination.mail_exchangers"),
    (
        "transport.dsn",
        "notification.address notification.actions notification.is_made notification.is_undeliverable",
    ),
    ("outbound.session_start", "+ command + remote"),
    ("outbound.message_start", "+ command + remote"),
    ("outbound.recipient", "+ command + remote + recipient"),
    ("outbound.before_data", "+ command + remote"),
    ("outbound.session_end", "+ command + remote"),
    ("outbound.command", "+ command + remote"),
    (
        "outbound.response",
        "+ command + remote reply.code reply.text",
    ),
    (
        "outbound.tls",
        "+ remote remote.tls_policy remote.tls_policy_source remote.tls_failure",
    ),
    (
        "delivery.link",
        "link.destination link.routing_class link.is_up link.failure_count",
    ),
    ("delivery.track", "track.step track.actor"),
];
const RECIPIENT: &str =
    "recipient.address recipient.domain recipient.is_local recipient.kind recipient.tenant";
const COMMAND: &str = "command.verb command.line";
const REMOTE: &str =
    "remote.destination remote.host remote.address remote.port remote.tls remote.tls_version";

#[test]
fn each_event_knows_its_own_attributes_and_no_others() {
    for (question, context) in &all() {
        let event = question.kind();
        let own = OWN.iter().find(|(name, _)| *name == event.name());
        let listed = own.map_or("", |(_, listed)| listed);
        let listed = listed
            .replace("+ command", COMMAND)
            .replace("+ remote", REMOTE)
            .replace("+ recipient", RECIPIENT);
        let mut expected: Vec<&str> = listed.split_whitespace().collect();
        expected.sort_unstable();
        let known = Attribute::ALL.iter().copied().filter(|attribute| {
            let value = question.event().attribute(*attribute, context, None);
            value.is_some()
        });
        let mut known: Vec<&str> = known.map(Attribute::path).collect();
        known.sort_unstable();
        assert_eq!(known, expected, "{event}");
        for path in known {
            assert!(Attribute::find(path).unwrap().exists_at(event), "{path}");
        }
    }
    for (name, _) in OWN {
        assert!(name.parse::<EventKind>().is_ok(), "{name}");
    }
}

fn facts_of(
    context: &Context,
    question: &Question,
) -> (Option<String>, Option<String>, Vec<String>) {
    let source = Source { context, question };
    let mut seen = Vec::new();
    let found = source.any_recipient(&mut |address| {
        seen.push(address.to_owned());
        false
    });
    assert!(!found, "none was what was looked for");
    if let Some(first) = seen.first().cloned() {
        let mut calls = 0;
        assert!(source.any_recipient(&mut |address| {
            calls += 1;
            address == first
        }));
        assert_eq!(calls, 1, "it stops where it is found");
    }
    let own = |text: Option<&str>| text.map(str::to_owned);
    (own(source.helo()), own(source.sender()), seen)
}

#[test]
fn rules_see_the_greeting_and_the_parties_that_the_event_is_about() {
    let some = |text: &str| Some(text.to_owned());
    let plain = Question::new(inbound::Data::default());
    let helo = Question::new(inbound::Helo {
        helo: Helo {
            name: Bytes::from_static(b"asked.test"),
            ..Helo::default()
        },
        ..inbound::Helo::default()
    });
    // Before MAIL there are no parties.
    let mut own = InboundContext::new(session());
    let none = || (some("greets.test"), None, Vec::new());
    assert_eq!(facts_of(&own.clone().into(), &plain), none());
    let asked = (some("asked.test"), None, Vec::new());
    assert_eq!(facts_of(&own.clone().into(), &helo), asked);
    own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    let mut ids: Vec<RecipientId> = Vec::new();
    for address in ["b@y.test", "c@y.test"] {
        let one = Recipient::new(testing::path(address));
        ids.push(one.id);
        own.propose(one, Vec::new());
    }
    own.decide(ids[0], true);
    let rcpt = Question::new(inbound::Rcpt {
        command: samples::line("RCPT", "RCPT TO:<c@y.test>"),
        recipient: own
            .transaction()
            .unwrap()
            .recipient(ids[1])
            .unwrap()
            .clone(),
        parameters: Vec::new(),
        recipient_kind: crate::recipient_kind::RecipientKind::Hosted,
        duplicate_of: None,
    });
    let context = Context::from(own.clone());
    let of = |recipient: &str| {
        let recipients = vec![recipient.to_owned()];
        (some("greets.test"), some("a@x.test"), recipients)
    };
    assert_eq!(facts_of(&context, &rcpt), of("c@y.test"));
    assert_eq!(facts_of(&context, &plain), of("b@y.test"));
    own.begin(
        MessageId::new(),
        postern_message::Envelope::new(ReversePath::Null),
        Vec::new(),
    );
    let null = (some("greets.test"), some(""), Vec::new());
    assert_eq!(facts_of(&own.into(), &plain), null);
    // Who is asked about and is gone matches nothing.
    let other = Question::new(outbound::Recipient {
        recipient: RecipientId::new(),
        is_local: false,
        command: samples::line("RCPT", "RCPT TO:<d@y.test>"),
    });
    let sent = outgoing(message(Some(session())));
    let gone = (some("greets.test"), some("a@x.test"), Vec::new());
    assert_eq!(facts_of(&sent, &other), gone);
    // A delivery is told outside of its message, and knows the parties itself.
    for (question, context) in &all() {
        let event = question.kind();
        if event == EventKind::DeliveryResult {
            let parties = (None, some("a@x.test"), vec!["b@y.test".to_owned()]);
            assert_eq!(facts_of(context, question), parties);
        }
    }
}

#[test]
fn a_greeting_that_is_no_text_matches_as_an_empty_one() {
    let mut own = session();
    own.helo = Some(Helo {
        verb: Bytes::from_static(b"EHLO"),
        name: Bytes::from_static(b"\xff"),
    });
    let context = Context::from(InboundContext::new(own));
    let plain = Question::new(inbound::Data::default());
    assert_eq!(facts_of(&context, &plain).0, Some(String::new()));
}

#[test]
fn rules_see_the_verb_and_what_the_line_says() {
    let context = Context::from(InboundContext::new(session()));
    let of = |verb: &'static str, line: &'static str| {
        let question = Question::new(inbound::Command {
            command: samples::line(verb, line),
            ..inbound::Command::default()
        });
        let source = Source {
            context: &context,
            question: &question,
        };
        let own = |text: Option<&str>| text.map(str::to_owned);
        (own(source.verb()), own(source.argument()))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("MAIL", "MAIL FROM:<a@b>"), (some("MAIL"), some("a@b")));
    assert_eq!(of(".", ""), (some("EOD"), None));
    let plain = Question::new(inbound::Data::default());
    let source = Source {
        context: &context,
        question: &plain,
    };
    assert_eq!((source.verb(), source.argument()), (None, None));
}

#[test]
fn what_a_command_says() {
    for (verb, line, said) in [
        ("EHLO", "ehlo mail.example.com", Some("mail.example.com")),
        ("HELO", " HELO  a.test more", Some("a.test")),
        ("LHLO", "LHLO a.test", Some("a.test")),
        ("EHLO", "EHLO", None),
        ("EHLO", "HELO a.test", None),
        ("MAIL", "MAIL FROM:<a@b> SIZE=1", Some("a@b")),
        ("MAIL", "mail from: <>", Some("")),
        ("MAIL", "MAIL FROM :<a@b>", Some("a@b")),
        ("MAIL", "MAIL TO:<a@b>", None),
        ("RCPT", "RCPT FROM:<a@b>", None),
        ("RCPT", "RCPT TO<a@b>", None),
        ("RCPT", "RCPT TO:<@x,@y:a@b>", Some("a@b")),
        ("RCPT", "RCPT TO:<@x>", Some("@x")),
        (
            "RCPT",
            "RCPT TO:<\"a>b\\\">\"@c> NOTIFY=NEVER",
            Some("\"a>b\\\">\"@c"),
        ),
        ("RCPT", "RCPT TO:<a\\>@b>", Some("a\\")),
        ("RCPT", "RCPT TO:<\"a\\\\\"@b>", Some("\"a\\\\\"@b")),
        ("RCPT", "RCPT TO:a@b NOTIFY=NEVER", Some("a@b")),
        ("RCPT", "RCPT TO:", None),
        ("RCPT", "RCPT TO:<a@b", None),
        ("RSET", "RSET", None),
        ("VRFY", "VRFY a@b", None),
        ("MAIL", "", None),
        ("MAIL", "MAIL", None),
    ] {
        assert_eq!(argument(verb.as_bytes(), line), said, "{line}");
    }
}
