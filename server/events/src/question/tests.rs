#![allow(clippy::unwrap_used)]
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{AttemptId, MessageId, Recipient};
use postern_proto::rules;
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;

use super::*;
use crate::attributes::AttributeSource;
use crate::context::{
    DeliveryContext, DestinationContext, InboundContext, OutgoingContext, Remote, ServiceContext,
};
use crate::grant::Reads;
use crate::source::Source;
use crate::{delivery, inbound, outbound, service, testing, transport};

fn reply() -> Reply {
    Reply::parse(250, Some("2.0.0"), "ok").unwrap()
}

fn command(verb: &'static str) -> CommandLine {
    CommandLine {
        verb: Bytes::from_static(verb.as_bytes()),
        line: Bytes::from_static(verb.as_bytes()),
        pipelined: true,
    }
}

/// A session in the middle of a transaction, with a RCPT that is asked about.
fn inbound_context() -> (InboundContext, MessageId, Recipient) {
    let mut context = testing::inbound();
    let id = MessageId::new();
    context.begin(id, testing::envelope("a@x.test"), Vec::new());
    context.begun();
    let kept = Recipient::new(testing::path("b@y.test"));
    context.propose(kept.clone(), Vec::new());
    context.decide(kept.id, true);
    let asked = Recipient::new(testing::path("c@y.test"));
    context.propose(asked.clone(), Vec::new());
    context.content(testing::version(true));
    (context, id, asked)
}

/// One of each event, in its context.
pub(crate) fn all() -> Vec<(Question, Context)> {
    let (inbound, id, asked) = inbound_context();
    let message = testing::message();
    let recipient = message.working().draft().recipients.first().unwrap().id;
    let summary = delivery::MessageSummary::of(message.message(), message.session());
    let mut outgoing = OutgoingContext::new("in".into(), Remote::default());
    outgoing.take(message.clone());
    let server = || "in".into();
    let native = || command("LINE");
    let ids = || vec![recipient];
    let mut all: Vec<(Question, Context)> = Vec::new();
    let mut at = |context: &Context, question| all.push((question, context.clone()));
    let here = Context::from(inbound);
    at(&here, Question::new(inbound::Connect));
    at(&here, Question::new(inbound::Helo::default()));
    at(&here, Question::new(inbound::Tls::default()));
    at(&here, Question::new(inbound::Auth::default()));
    at(
        &here,
        Question::new(inbound::Mail {
            command: command("MAIL"),
            message_id: id,
            envelope: testing::envelope("a@x.test"),
            parameters: Vec::new(),
        }),
    );
    at(
        &here,
        Question::new(inbound::Rcpt {
            command: command("RCPT"),
            recipient: asked,
            parameters: Vec::new(),
            recipient_kind: crate::recipient_kind::RecipientKind::Hosted,
            duplicate_of: None,
        }),
    );
    at(&here, Question::new(inbound::Data::default()));
    at(&here, Question::new(inbound::Headers::new(id)));
    at(&here, Question::new(inbound::Message::new(id)));
    at(
        &here,
        Question::new(inbound::Command {
            command: command("NOOP"),
            ..inbound::Command::default()
        }),
    );
    at(
        &here,
        Question::new(inbound::Response {
            command: command("NOOP"),
            reply: reply(),
            origin: None,
            recipient: None,
        }),
    );
    at(
        &here,
        Question::new(inbound::Outcome {
            message_id: id,
            fate: inbound::Fate::Accepted,
            reply: Some(reply()),
            decided_by: None,
            recipients: Vec::new(),
            size_bytes: 1,
        }),
    );
    at(
        &here,
        Question::new(inbound::Reset {
            message_id: Some(id),
            reason: inbound::ResetReason::Command,
        }),
    );
    at(
        &here,
        Question::new(inbound::Disconnect {
            reason: inbound::DisconnectReason::Quit,
            received_bytes: 1,
            sent_bytes: 2,
        }),
    );
    let here = Context::from(message);
    at(&here, Question::new(transport::Submit));
    at(&here, Question::new(transport::PreCategorize));
    at(
        &here,
        Question::new(transport::Categorize {
            recipients: ids(),
            sender_too: true,
        }),
    );
    at(
        &here,
        Question::new(transport::Expand {
            recipient,
            is_local: true,
            depth: 1,
            page_token: Bytes::new(),
        }),
    );
    at(&here, Question::new(transport::PostCategorize::default()));
    let destination = Context::from(DestinationContext::new(server(), "example.test"));
    at(&destination, Question::new(transport::Route::default()));
    at(
        &here,
        Question::new(transport::MaxSize {
            size_bytes: 2,
            limit_bytes: 1,
            declared_only: false,
        }),
    );
    at(&destination, Question::new(transport::Resolve::default()));
    at(
        &here,
        Question::new(transport::LocalDelivery {
            recipients: ids(),
            attempt: AttemptId::new(),
        }),
    );
    at(
        &here,
        Question::new(transport::Dsn::new(Vec::new(), ReversePath::Null)),
    );
    let here = Context::from(outgoing);
    at(
        &here,
        Question::new(outbound::SessionStart { command: native() }),
    );
    at(
        &here,
        Question::new(outbound::MessageStart {
            attempt: AttemptId::new(),
            recipients: ids(),
            command: native(),
            revisions: vec![outbound::Revision::default()],
        }),
    );
    at(
        &here,
        Question::new(outbound::Recipient {
            recipient,
            is_local: false,
            command: native(),
        }),
    );
    at(
        &here,
        Question::new(outbound::BeforeData {
            recipients: ids(),
            command: native(),
        }),
    );
    at(
        &here,
        Question::new(outbound::SessionEnd { command: native() }),
    );
    at(
        &here,
        Question::new(outbound::Command { command: native() }),
    );
    at(
        &here,
        Question::new(outbound::Response {
            command: command("RCPT"),
            reply: reply(),
            recipient: Some(recipient),
        }),
    );
    at(&here, Question::new(outbound::Tls::default()));
    let here = Context::from(DeliveryContext { server: server() });
    at(
        &here,
        Question::new(delivery::Result {
            summary: summary.clone(),
            attempt: AttemptId::new(),
            remote: None,
            recipients: vec![delivery::RecipientResult {
                id: recipient,
                address: testing::path("b@y.test"),
                given: None,
                status: delivery::DeliveryStatus::Delivered,
                reply: Some(reply()),
                attempts: 1,
                retry_in: None,
                origin: crate::delivery::FailureOrigin::Remote,
            }],
            age: Duration::ZERO,
            elapsed: Duration::ZERO,
        }),
    );
    at(
        &here,
        Question::new(delivery::Link {
            destination: Bytes::from_static(b"example.test"),
            is_up: true,
            failures: 0,
            last_reply: None,
            routing_class: String::new(),
        }),
    );
    at(
        &here,
        Question::new(delivery::Track {
            summary,
            step: delivery::Step::Accepted,
            at: SystemTime::UNIX_EPOCH,
            recipients: Vec::new(),
            addresses: Vec::new(),
            related: None,
            actor: String::new(),
            reason: String::new(),
        }),
    );
    let here = Context::from(ServiceContext { server: server() });
    at(&here, Question::new(service::Start::default()));
    at(&here, Question::new(service::Stop::default()));
    at(&here, Question::new(service::Config::default()));
    all
}

#[test]
fn events_come_as_their_own_arm_and_in_their_own_scope() {
    let all = all();
    let (everything, nothing) = (Reads::everything(), Reads::default());
    for (question, context) in &all {
        let kind = question.kind();
        for reads in [&everything, &nothing] {
            let body = question.event().body(context, None, &testing::view(reads));
            let body = body.unwrap();
            assert_eq!(rules::event_kind(&body) as i32, kind.number(), "{kind}");
        }
        let scope = match context {
            Context::Inbound(_) => pb::Scope::InboundSession,
            Context::Transport(_) => pb::Scope::Transport,
            Context::Outgoing(_) => pb::Scope::OutboundSession,
            Context::Destination(_) => pb::Scope::Destination,
            Context::Delivery(_) => pb::Scope::Delivery,
            Context::Service(_) => pb::Scope::Service,
        };
        assert_eq!(scope, kind.scope(), "{kind}");
    }
}

#[test]
fn an_event_is_not_asked_in_another_scope() {
    let all = all();
    let (connect, _) = all.first().unwrap();
    let (_, service) = all.last().unwrap();
    let reads = Reads::everything();
    let view = testing::view(&reads);
    assert!(connect.event().body(service, None, &view).is_err());
    let max_size = all
        .iter()
        .find(|(own, _)| own.kind() == EventKind::TransportMaxSize);
    let (max_size, _) = max_size.unwrap();
    let (inbound, _, _) = inbound_context();
    // It happens in an inbound session too.
    let inbound = Context::from(inbound);
    assert!(max_size.event().body(&inbound, None, &view).is_ok());
}

#[test]
fn every_attribute_that_exists_at_an_event_has_a_value_there() {
    for (question, context) in &all() {
        let source = Source { context, question };
        for attribute in Attribute::ALL {
            if !attribute.exists_at(question.kind()) {
                continue;
            }
            let value = source.value(*attribute);
            assert!(value.is_some(), "{attribute} at {}", question.kind());
            let fits = match (attribute.kind(), value.unwrap()) {
                (kind, AttributeValue::Bool(_)) => kind.to_string() == "bool",
                (kind, AttributeValue::Int(_)) => kind.to_string() == "int",
                (kind, AttributeValue::Text(_)) => kind.to_string() == "string",
                (kind, AttributeValue::Texts(_)) => kind.to_string() == "list of string",
                (kind, AttributeValue::Map(_)) => kind.to_string().starts_with("map"),
                _ => false,
            };
            assert!(fits, "{attribute} at {}", question.kind());
        }
    }
}

#[test]
fn what_is_not_read_is_empty() {
    let nothing = Reads::default();
    let view = testing::view(&nothing);
    let hidden = ["x.test", "y.test", "192.0.2.7"];
    for (question, context) in &all() {
        // The verb's line is the test's own; what it says of parties is in the parsed fields.
        let body = question.event().body(context, None, &view).unwrap();
        let text = format!("{body:?}");
        for word in hidden {
            assert!(
                !text.contains(word),
                "{} shows {word}: {text}",
                question.kind()
            );
        }
    }
}

#[test]
fn an_answer_counts_from_the_next_body_on() {
    let mut all = all();
    let place = all
        .iter()
        .position(|(own, _)| own.kind() == EventKind::InboundRcpt);
    let (mut question, context) = all.remove(place.unwrap());
    let reads = Reads::everything();
    let kind = |question: &Question| {
        let view = testing::view(&reads);
        match question
            .event()
            .body(&context, question.said(), &view)
            .unwrap()
        {
            pb::event::Kind::InboundRcpt(own) => own.recipient_kind,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kind(&question), i32::from(pb::RecipientKind::Hosted));
    let answer = crate::inbound::RcptAnswer {
        recipient_kind: crate::recipient_kind::RecipientKind::Relayed,
        ..Default::default()
    };
    question.answer(AnyAnswer::new(answer.clone()), &"binding".into());
    assert_eq!(kind(&question), i32::from(pb::RecipientKind::Relayed));
    assert_eq!(question.take_answer(), Some(AnyAnswer::new(answer)));
    let other = Question::new(inbound::Connect);
    assert!(question.is_same_as(&question.clone()) && !question.is_same_as(&other));
}

#[test]
fn each_event_says_in_a_line_what_it_is_about() {
    let all = all();
    let detail = |kind: EventKind| {
        let own = all.iter().find(|(own, _)| own.kind() == kind);
        own.unwrap().0.event().detail().into_owned()
    };
    use EventKind as E;
    for (kind, expected) in [
        (E::InboundConnect, ""),
        (E::InboundMail, "<a@x.test>"),
        (E::InboundRcpt, "c@y.test"),
        (E::InboundCommand, "NOOP"),
        (E::InboundResponse, "250 2.0.0 ok"),
        (E::InboundOutcome, "accepted"),
        (E::InboundDisconnect, "quit"),
        (E::TransportCategorize, "1 recipients"),
        (E::TransportPostCategorize, "0 resolved, 0 unknown"),
        (E::TransportMaxSize, "2 over 1"),
        (E::TransportResolve, "address"),
        (E::TransportLocalDelivery, "1 recipients"),
        (E::TransportDsn, "to <>"),
        (E::OutboundSessionStart, "LINE"),
        (E::OutboundMessageStart, "1 recipients"),
        (E::OutboundBeforeData, "LINE"),
        (E::OutboundCommand, "LINE"),
        (E::OutboundResponse, "250 2.0.0 ok"),
        (E::DeliveryResult, "b@y.test delivered"),
        (E::DeliveryLink, "example.test up"),
        (E::ServiceConfig, "plan 0"),
    ] {
        assert_eq!(detail(kind), expected, "{kind}");
    }
    assert!(detail(E::DeliveryTrack).ends_with(" accepted"));
    for kind in [E::TransportExpand, E::OutboundRecipient] {
        assert!(detail(kind).starts_with("recipient "), "{kind}");
    }
    // What these say themselves.
    let text = |question: Question| question.event().detail().into_owned();
    let named = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    for (question, expected) in [
        (
            Question::new(inbound::Helo {
                helo: crate::context::Helo {
                    name: named("mail.test"),
                    ..Default::default()
                },
                ..Default::default()
            }),
            "mail.test",
        ),
        (
            Question::new(inbound::Tls(crate::context::Tls {
                version: "TLSv1.3".to_owned(),
                ..Default::default()
            })),
            "TLSv1.3",
        ),
        (
            Question::new(inbound::Auth {
                mechanism: named("PLAIN"),
                ..Default::default()
            }),
            "PLAIN",
        ),
        (
            Question::new(inbound::Data {
                command: command("BDAT"),
            }),
            "BDAT",
        ),
        (
            Question::new(transport::Route {
                next_hops: ["mx", "smtp://b"].map(crate::route::NextHop::to).into(),
            }),
            "mx, smtp://b",
        ),
        (
            Question::new(transport::Resolve {
                mail_exchangers: true,
            }),
            "MX",
        ),
        (
            Question::new(outbound::Tls {
                policy: crate::route::TlsPolicy::Dane,
                ..Default::default()
            }),
            "dane",
        ),
        (
            Question::new(outbound::Tls {
                policy: crate::route::TlsPolicy::Dane,
                failure: "no record".to_owned(),
                ..Default::default()
            }),
            "no record",
        ),
        (
            Question::new(delivery::Link {
                destination: named("b.test"),
                is_up: false,
                failures: 1,
                last_reply: None,
                routing_class: String::new(),
            }),
            "b.test down",
        ),
        (
            Question::new(service::Start {
                gateway_version: "1.2".to_owned(),
                ..Default::default()
            }),
            "1.2",
        ),
        (
            Question::new(service::Stop {
                reason: "SIGTERM".to_owned(),
            }),
            "SIGTERM",
        ),
    ] {
        assert_eq!(text(question), expected);
    }
}

/// What the events say of themselves to rules and validation, beyond what every event says.
#[test]
fn each_event_is_to_rules_and_validation_what_it_is() {
    use EventKind as E;
    for (question, _) in &all() {
        let facts = question.event().facts();
        let kind = question.kind();
        let is = |events: &[EventKind]| events.contains(&kind);
        assert_eq!(facts.helo.is_some(), is(&[E::InboundHelo]), "{kind}");
        let one = [
            E::InboundRcpt,
            E::TransportExpand,
            // As long as it is about one alone.
            E::TransportLocalDelivery,
            E::OutboundRecipient,
            E::OutboundResponse,
        ];
        assert_eq!(facts.recipient.is_some(), is(&one), "{kind}");
        let some = [
            E::TransportCategorize,
            E::TransportExpand,
            E::TransportLocalDelivery,
            E::OutboundMessageStart,
            E::OutboundRecipient,
            E::OutboundBeforeData,
            E::OutboundResponse,
        ];
        assert_eq!(!facts.recipients.is_empty(), is(&some), "{kind}");
        let commands = [
            E::InboundCommand,
            E::InboundResponse,
            E::OutboundCommand,
            E::OutboundResponse,
        ];
        assert_eq!(facts.command.is_some(), is(&commands), "{kind}");
        let tells = [E::DeliveryResult, E::DeliveryTrack];
        assert_eq!(facts.parties.is_some(), is(&tells), "{kind}");
        let replayed = [
            E::InboundMail,
            E::InboundRcpt,
            E::InboundData,
            E::InboundHeaders,
        ];
        assert_eq!(facts.of_transaction, is(&replayed), "{kind}");
        assert!(!facts.answerable && !facts.routing_only, "{kind}");
    }
}
