#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod answers;
mod bounds;
mod branches;
mod fuzz;
mod grants;
mod replies;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pb::decision::Kind as D;
use pb::edit::Kind as E;
use postern_message::{
    BodyKind, Edit, HeaderPlace, MessageId, PropertyScope, Recipient, RecipientId, Version,
};
use postern_proto::v1 as pb;
use postern_smtp::reply::Reply;

use super::*;
use crate::context::{CommandLine, Context, InboundContext};
use crate::event::EventKind;
use crate::inbound::{self, Handling};
use crate::plan::{Binding, BindingSpec, BodyDepth, Plan, PlanSpec, ServerSpec, SinkSpec};
use crate::question::Question;
use crate::testing;
use crate::transport;

const EVENTS: [&str; 11] = [
    "inbound.connect",
    "inbound.helo",
    "inbound.tls",
    "inbound.mail",
    "inbound.rcpt",
    "inbound.data",
    "inbound.headers",
    "inbound.message",
    "inbound.command",
    "inbound.response",
    "transport.submit",
];

fn binding(reads: &[&str], may: &[&str]) -> Arc<Binding> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: vec![SinkSpec {
            name: "k".to_owned(),
            endpoints: vec!["unix:/s".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: words(&EVENTS),
            reads: words(reads),
            body: Some(BodyDepth::Full),
            may: words(&[]),
            ..BindingSpec::new("b", "k")
        }],
    };
    let plan = Plan::build(spec, &HashMap::new()).unwrap();
    let own = Arc::clone(plan.bindings().first().unwrap());
    drop(plan);
    // Grants of later versions too.
    let mut own = Arc::into_inner(own).unwrap();
    own.grants = crate::grant::Grants::parse_all(may).unwrap();
    Arc::new(own)
}

/// Everything that can be granted.
fn trusted() -> Arc<Binding> {
    let mut words: Vec<&str> = postern_proto::rules::GRANTS.to_vec();
    words.retain(|word| !word.contains(char::is_uppercase));
    binding(
        &["headers", "body", "sender", "recipients", "session"],
        &words,
    )
}

/// A question in its context, with content: Subject has id 1, Received 2; the body has ten octets.
struct Case {
    question: Question,
    context: Context,
    version: Option<Version>,
}

const MESSAGE: EventKind = EventKind::InboundMessage;

/// The recipient that is asked about at `inbound.rcpt`.
fn own_recipient(case: &Case) -> RecipientId {
    case.question.event().facts().recipient.unwrap()
}

fn transaction(utf8: bool, body: BodyKind) -> (InboundContext, MessageId) {
    let mut context = testing::inbound();
    let id = MessageId::new();
    let mut envelope = testing::envelope("a@x.test");
    envelope.smtp_utf8 = utf8;
    envelope.body = body;
    context.begin(id, envelope, Vec::new());
    context.begun();
    for address in ["b@y.test", "c@y.test"] {
        let recipient = Recipient::new(testing::path(address));
        let id = recipient.id;
        context.propose(recipient, Vec::new());
        context.decide(id, true);
    }
    (context, id)
}

fn command(verb: &'static str, handling: Handling) -> inbound::Command {
    inbound::Command {
        command: CommandLine {
            verb: Bytes::from_static(verb.as_bytes()),
            line: Bytes::from_static(verb.as_bytes()),
            pipelined: false,
        },
        handling,
        dialogue_input: None,
    }
}

fn response(verb: &'static str, reply: Reply) -> Case {
    let (context, _) = transaction(false, BodyKind::SevenBit);
    Case {
        question: Question::new(inbound::Response {
            command: command(verb, Handling::Effective).command,
            reply,
            origin: None,
            recipient: None,
        }),
        context: context.into(),
        version: None,
    }
}

fn case_of(event: EventKind, utf8: bool, body: BodyKind) -> Case {
    let (mut context, id) = transaction(utf8, body);
    let question = match event {
        EventKind::InboundConnect => Question::new(inbound::Connect),
        EventKind::InboundHelo => Question::new(inbound::Helo::default()),
        EventKind::InboundTls => Question::new(inbound::Tls::default()),
        EventKind::InboundMail => Question::new(inbound::Mail {
            command: CommandLine::default(),
            message_id: id,
            envelope: testing::envelope("a@x.test"),
            parameters: Vec::new(),
        }),
        EventKind::InboundRcpt => {
            let rcpt = inbound::Rcpt {
                command: CommandLine::default(),
                recipient: Recipient::new(testing::path("d@y.test")),
                parameters: Vec::new(),
                recipient_kind: crate::recipient_kind::RecipientKind::Forbidden,
                duplicate_of: None,
            };
            rcpt.propose(&mut context);
            Question::new(rcpt)
        }
        EventKind::InboundData => Question::new(inbound::Data::default()),
        EventKind::InboundHeaders => Question::new(inbound::Headers::new(id)),
        EventKind::InboundMessage => Question::new(inbound::Message::new(id)),
        EventKind::InboundCommand => Question::new(command("NOOP", Handling::Inert)),
        EventKind::InboundResponse => {
            return response("NOOP", Reply::parse(250, None, "ok").unwrap());
        }
        _ => Question::new(transport::Submit),
    };
    if event == EventKind::TransportSubmit {
        return Case {
            question,
            context: testing::message().into(),
            version: Some(testing::version(true)),
        };
    }
    let shown = event >= EventKind::InboundHeaders && event <= EventKind::InboundMessage;
    let version = shown.then(|| testing::version(true));
    if let Some(version) = version.clone() {
        context.content(version);
    }
    Case {
        question,
        context: context.into(),
        version,
    }
}

fn case(event: EventKind) -> Case {
    case_of(event, false, BodyKind::SevenBit)
}

fn check(verdict: pb::Verdict, case: &Case, binding: &Binding) -> Result<Verdict, Fault> {
    let asked = Asked {
        question: &case.question,
        context: &case.context,
        binding,
        version: case.version.as_ref(),
    };
    validate_all(verdict, &asked, &mut NoUploads)
}

fn decided(kind: D) -> pb::Verdict {
    pb::Verdict {
        decision: Some(pb::Decision { kind: Some(kind) }),
        ..pb::Verdict::default()
    }
}

fn proceed() -> pb::Verdict {
    decided(D::Proceed(pb::Proceed {}))
}

fn edited(edit: E) -> pb::Verdict {
    pb::Verdict {
        edits: vec![pb::Edit { kind: Some(edit) }],
        ..proceed()
    }
}

fn at(event: EventKind, verdict: pb::Verdict) -> Result<Verdict, Fault> {
    check(verdict, &case(event), &trusted())
}

fn refused(event: EventKind, verdict: pb::Verdict, word: &str) {
    let fault = at(event, verdict).unwrap_err();
    assert_eq!(fault.kind, crate::fault::FaultKind::Protocol);
    assert!(fault.detail.contains(word), "{fault} does not say {word:?}");
}

fn reply(code: u32, enhanced: &str, lines: &[&str]) -> Option<pb::Reply> {
    Some(pb::Reply {
        code,
        enhanced_code: Bytes::copy_from_slice(enhanced.as_bytes()),
        lines: lines
            .iter()
            .map(|line| Bytes::copy_from_slice(line.as_bytes()))
            .collect(),
        without_enhanced_code: false,
    })
}

#[test]
fn an_unset_decision_is_never_consent() {
    refused(MESSAGE, pb::Verdict::default(), "decision is unset");
    let unknown = pb::Verdict {
        decision: Some(pb::Decision { kind: None }),
        ..pb::Verdict::default()
    };
    refused(MESSAGE, unknown, "decision is unset");
    refused(
        MESSAGE,
        decided(D::Finish(pb::Finish { scope: 0 })),
        "scope",
    );
    refused(
        MESSAGE,
        decided(D::Finish(pb::Finish { scope: 9 })),
        "scope",
    );
    let edit = pb::Verdict {
        edits: vec![pb::Edit { kind: None }],
        ..proceed()
    };
    refused(MESSAGE, edit, "edit is unset");
}

#[test]
fn codes_must_fit_the_decision() {
    let reject = |code, enhanced| {
        decided(D::Reject(pb::Reject {
            reply: reply(code, enhanced, &["no"]),
        }))
    };
    let tempfail = |code| {
        decided(D::Tempfail(pb::Tempfail {
            reply: reply(code, "", &["later"]),
        }))
    };
    let accepted = at(MESSAGE, reject(554, "5.7.9")).unwrap();
    assert_eq!(
        accepted.decision.reply().unwrap().to_string(),
        "554 5.7.9 no"
    );
    refused(MESSAGE, reject(250, ""), "contradicts reject");
    refused(MESSAGE, reject(450, ""), "contradicts reject");
    refused(MESSAGE, reject(550, "4.7.1"), "4.7.1");
    refused(MESSAGE, reject(999, ""), "999");
    refused(MESSAGE, reject(70_000, ""), "range");
    refused(MESSAGE, reject(550, "5.07.1"), "enhanced");
    refused(MESSAGE, tempfail(550), "contradicts tempfail");
    refused(MESSAGE, tempfail(421), "use disconnect");
    assert!(at(EventKind::InboundConnect, tempfail(421)).is_ok());
    let disconnect = |code| {
        decided(D::Disconnect(pb::Disconnect {
            reply: reply(code, "", &[]),
        }))
    };
    refused(MESSAGE, disconnect(221), "contradicts disconnect");
    let own = at(MESSAGE, decided(D::Tempfail(pb::Tempfail { reply: None }))).unwrap();
    assert_eq!(
        own.decision.reply().unwrap().to_string(),
        "451 4.7.1 Not now, try again later"
    );
}

#[test]
fn reply_text_cannot_split_the_reply() {
    let utf8 = case_of(MESSAGE, true, BodyKind::SevenBit);
    let reject = |text: &str| {
        decided(D::Reject(pb::Reject {
            reply: reply(550, "", &[text]),
        }))
    };
    for text in ["a\r\nb", "a\nb", "a\0b", "a\u{7f}b", "\u{2028}"] {
        assert!(check(reject(text), &utf8, &trusted()).is_err(), "{text:?}");
    }
    refused(MESSAGE, reject("höflich"), "ASCII");
    assert!(check(reject("höflich"), &utf8, &trusted()).is_ok());
    refused(MESSAGE, reject(&"x".repeat(481)), "481 octets");
    let many = decided(D::Reject(pb::Reject {
        reply: reply(550, "", &["x"; 101]),
    }));
    refused(MESSAGE, many, "101 lines");
}

#[test]
fn enhanced_codes_go_where_they_may() {
    let reject = |without_enhanced_code| {
        decided(D::Reject(pb::Reject {
            reply: reply(550, "5.7.9", &["no"]).map(|reply| pb::Reply {
                without_enhanced_code,
                ..reply
            }),
        }))
    };
    let text = |event, verdict| {
        at(event, verdict)
            .unwrap()
            .decision
            .reply()
            .unwrap()
            .to_string()
    };
    assert_eq!(text(MESSAGE, reject(false)), "550 5.7.9 no");
    assert_eq!(text(MESSAGE, reject(true)), "550 no");
    // Neither in the banner nor in replies to greetings (RFC 2034).
    assert_eq!(text(EventKind::InboundConnect, reject(false)), "550 no");
    assert_eq!(text(EventKind::InboundHelo, reject(false)), "550 no");
    let own = decided(D::Reject(pb::Reject { reply: None }));
    assert_eq!(
        text(EventKind::InboundConnect, own),
        "554 Refused by policy"
    );
}

#[test]
fn respond_is_for_commands_that_the_service_does_not_act_on() {
    let respond = |code| {
        decided(D::Respond(pb::Respond {
            reply: reply(code, "", &["hm"]),
        }))
    };
    for event in EventKind::published().filter(|event| *event != EventKind::InboundCommand) {
        if !event.is_one_way() && event != EventKind::DeliveryResult {
            refused(event, respond(250), "respond cannot be decided");
        }
    }
    let with = |handling, code, grants: &[&str]| {
        let (context, _) = transaction(false, BodyKind::SevenBit);
        let case = Case {
            question: Question::new(command("XFOO", handling)),
            context: context.into(),
            version: None,
        };
        check(respond(code), &case, &binding(&[], grants))
    };
    let granted = &["respond"][..];
    for handling in [Handling::Inert, Handling::Unknown, Handling::Registered] {
        assert!(with(handling, 250, granted).is_ok());
        assert!(with(handling, 450, granted).is_ok());
        assert!(with(handling, 354, granted).is_err());
        assert!(with(handling, 250, &[]).is_err());
    }
    // A verb with an effect can only be refused.
    for code in [250, 454, 550] {
        assert!(with(Handling::Effective, code, granted).is_err(), "{code}");
    }
    refused(
        EventKind::InboundCommand,
        decided(D::Respond(pb::Respond { reply: None })),
        "needs a reply",
    );
}

#[test]
fn trace_fields_are_granted_by_their_full_names_only() {
    let case = case(MESSAGE);
    let insert = |name: &str| {
        edited(E::InsertHeader(pb::InsertHeader {
            place: Some(pb::HeaderPlace {
                kind: Some(pb::header_place::Kind::Last(pb::LastPlace {})),
            }),
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::from_static(b"v"),
        }))
    };
    refused(MESSAGE, insert("received"), "does not grant");
    let named = binding(&["headers"], &["headers:Received"]);
    assert!(check(insert("Received"), &case, &named).is_ok());
    let remove = |name: &'static str| {
        edited(E::RemoveHeaders(pb::RemoveHeaders {
            name: Bytes::from_static(name.as_bytes()),
        }))
    };
    assert!(check(remove("Received"), &case, &named).is_ok());
    refused(MESSAGE, remove("Received"), "does not grant");
    refused(MESSAGE, remove("Received*"), "does not grant");
    assert!(at(MESSAGE, remove("X-*")).is_ok());
    refused(MESSAGE, remove("*"), "not a header field name");
    let prefix = binding(&["headers"], &["headers:X-S*"]);
    assert!(check(remove("X-Spam*"), &case, &prefix).is_ok());
    assert!(check(remove("X-*"), &case, &prefix).is_err());
}

#[test]
fn edits_have_their_events() {
    let sender = || {
        edited(E::SetSender(pb::SetSender {
            reverse_path: Bytes::from_static(b"a@example.test"),
        }))
    };
    assert!(at(EventKind::InboundMail, sender()).is_ok());
    refused(
        EventKind::InboundRcpt,
        sender(),
        "set_sender is no edit for inbound.rcpt",
    );
    let splice = || {
        edited(E::SpliceBody(pb::SpliceBody {
            offset: 1,
            remove_bytes: 2,
            insert: None,
        }))
    };
    assert!(at(MESSAGE, splice()).is_ok());
    for event in [EventKind::InboundHeaders, EventKind::InboundMail] {
        refused(event, splice(), "splice_body is no edit for");
    }
}

#[test]
fn at_rcpt_only_the_recipient_that_is_asked_about_is_edited() {
    let case = case(EventKind::InboundRcpt);
    let (own, other) = (own_recipient(&case), RecipientId::new());
    let id = |id: RecipientId| Bytes::copy_from_slice(id.as_bytes());
    let rewrite = |of: RecipientId| {
        edited(E::RewriteRecipient(pb::RewriteRecipient {
            recipient_id: id(of),
            address: Bytes::from_static(b"b@example.test"),
        }))
    };
    let parameter = |of: Bytes| {
        edited(E::SetParameter(pb::SetParameter {
            recipient_id: of,
            keyword: Bytes::from_static(b"NOTIFY"),
            value: Some(Bytes::from_static(b"NEVER")),
            remove: false,
        }))
    };
    let property = |of: RecipientId| pb::Verdict {
        properties: vec![pb::PropertyEdit {
            scope: pb::PropertyScope::Recipient.into(),
            recipient_id: id(of),
            key: "k".to_owned(),
            ..pb::PropertyEdit::default()
        }],
        ..proceed()
    };
    for (good, bad) in [
        (rewrite(own), rewrite(other)),
        (parameter(id(own)), parameter(id(other))),
        (property(own), property(other)),
    ] {
        assert!(check(good, &case, &trusted()).is_ok());
        assert!(check(bad, &case, &trusted()).is_err());
    }
    assert!(check(parameter(Bytes::new()), &case, &trusted()).is_err());
}

#[test]
fn content_from_sinks_keeps_to_line_ends() {
    let splice = |insert: &'static [u8]| {
        edited(E::SpliceBody(pb::SpliceBody {
            offset: 0,
            remove_bytes: 0,
            insert: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(Bytes::from_static(insert))),
            }),
        }))
    };
    let body = |body: &'static [u8]| {
        edited(E::ReplaceBody(pb::ReplaceBody {
            body: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(Bytes::from_static(body))),
            }),
        }))
    };
    assert!(at(MESSAGE, splice(b"a\r\n")).is_ok());
    assert!(at(MESSAGE, body(b"a\r\nb")).is_ok());
    refused(MESSAGE, splice(b"a\nb"), "bare LF at octet 1");
    refused(MESSAGE, splice(b"a\r"), "bare CR");
    refused(MESSAGE, body(b"a\rb\r\n"), "bare CR at octet 1");
    let binary = case_of(MESSAGE, false, BodyKind::BinaryMime);
    assert!(check(splice(b"a\nb"), &binary, &trusted()).is_ok());
    assert!(check(body(b"a\rb"), &binary, &trusted()).is_ok());
}

#[test]
fn splices_ascend_and_stay_within_the_body() {
    let splices = |splices: &[(u64, u64)]| pb::Verdict {
        edits: splices
            .iter()
            .map(|(offset, remove_bytes)| pb::Edit {
                kind: Some(E::SpliceBody(pb::SpliceBody {
                    offset: *offset,
                    remove_bytes: *remove_bytes,
                    insert: Some(pb::Data {
                        kind: Some(pb::data::Kind::Literal(Bytes::from_static(b"x"))),
                    }),
                })),
            })
            .collect(),
        ..proceed()
    };
    assert_eq!(
        at(MESSAGE, splices(&[(0, 2), (2, 0), (2, 3), (10, 0)]))
            .unwrap()
            .edits
            .len(),
        4
    );
    refused(MESSAGE, splices(&[(2, 3), (4, 1)]), "overlap");
    refused(MESSAGE, splices(&[(4, 0), (3, 0)]), "ascend");
    refused(MESSAGE, splices(&[(10, 1)]), "behind the end");
    refused(MESSAGE, splices(&[(u64::MAX, 1)]), "beyond");
    let upload = edited(E::SpliceBody(pb::SpliceBody {
        insert: Some(pb::Data {
            kind: Some(pb::data::Kind::UploadId(3)),
        }),
        ..pb::SpliceBody::default()
    }));
    refused(MESSAGE, upload, "no finished upload 3");
}

#[test]
fn header_ids_are_those_that_were_shown() {
    use pb::header_place::Kind;
    refused(
        MESSAGE,
        edited(E::RemoveHeader(pb::RemoveHeader { header_id: 77 })),
        "id 77",
    );
    let case = case(MESSAGE);
    let remove = || edited(E::RemoveHeader(pb::RemoveHeader { header_id: 1 }));
    let blind = binding(&["headers:X-*", "body"], &["headers"]);
    assert!(check(remove(), &case, &blind).is_err());
    let insert = |kind| {
        edited(E::InsertHeader(pb::InsertHeader {
            place: Some(pb::HeaderPlace { kind: Some(kind) }),
            name: Bytes::from_static(b"X-A"),
            value: Bytes::from_static(b"1"),
        }))
    };
    let version = testing::version(true);
    let ids: Vec<_> = version.headers().iter().map(|field| field.id()).collect();
    let place = |kind| match at(MESSAGE, insert(kind)).unwrap().edits.remove(0) {
        Edit::InsertHeader { at, .. } => at,
        other => panic!("{other:?}"),
    };
    // A place stays what it was called until it is applied.
    assert_eq!(
        place(Kind::AfterHeaderId(ids[0].0)),
        HeaderPlace::After(ids[0])
    );
    assert_eq!(
        place(Kind::BeforeHeaderId(ids[1].0)),
        HeaderPlace::Before(ids[1])
    );
    // Whoever saw what was received names fields by name, first or last.
    let original = binding(&["headers", "original"], &["headers"]);
    assert!(check(insert(Kind::AfterHeaderId(ids[0].0)), &case, &original).is_err());
    assert!(check(remove(), &case, &original).is_err());
    assert!(check(insert(Kind::First(pb::FirstPlace {})), &case, &original).is_ok());
    let set = |place| {
        edited(E::SetHeader(pb::SetHeader {
            name: Bytes::from_static(b"X-A"),
            value: Bytes::from_static(b" raw\r\n\tfolded"),
            place,
            only_if_missing: true,
        }))
    };
    assert!(check(set(None), &case, &original).is_ok());
    let unset = Some(pb::HeaderPlace { kind: None });
    assert!(check(set(unset), &case, &original).is_err());
}

#[test]
fn values_cannot_inject() {
    let insert = |name: &'static [u8], value: &'static [u8]| {
        edited(E::InsertHeader(pb::InsertHeader {
            place: Some(pb::HeaderPlace {
                kind: Some(pb::header_place::Kind::First(pb::FirstPlace {})),
            }),
            name: Bytes::from_static(name),
            value: Bytes::from_static(value),
        }))
    };
    assert!(at(MESSAGE, insert(b"X-A", b"fine")).is_ok());
    for (name, value) in [
        (&b"X-A"[..], &b"a\r\nBcc: b"[..]),
        (b"X-A", b"a\0"),
        (b"X-A", b"\xff"),
        (b"X:A", b"a"),
        (b"X A", b"a"),
        (b"", b"a"),
    ] {
        assert!(
            at(MESSAGE, insert(name, value)).is_err(),
            "{name:?} {value:?}"
        );
    }
    for address in [
        &b"a@b>\r\nRCPT TO:<c@d"[..],
        b"a",
        b"a@",
        b"a b@c",
        b"a@b\0",
    ] {
        let set = edited(E::SetSender(pb::SetSender {
            reverse_path: Bytes::from_static(address),
        }));
        assert!(at(MESSAGE, set).is_err(), "{address:?}");
    }
}

#[test]
fn new_recipients_take_parameters_and_properties() {
    let add = |keyword: &'static str, value: Option<&'static str>| {
        edited(E::AddRecipient(Box::new(pb::AddRecipient {
            address: Bytes::from_static(b"n@example.test"),
            parameters: vec![pb::Parameter {
                keyword: Bytes::from_static(keyword.as_bytes()),
                value: value.map(|value| Bytes::from_static(value.as_bytes())),
            }],
            properties: vec![pb::PropertyEdit {
                key: "k".to_owned(),
                value: Some(pb::Value {
                    kind: Some(pb::value::Kind::Number(0.5)),
                }),
                ..pb::PropertyEdit::default()
            }],
            duplicates: pb::DuplicateHandling::Refuse.into(),
            ..pb::AddRecipient::default()
        })))
    };
    let of = |verdict| match at(MESSAGE, verdict).unwrap().edits.remove(0) {
        Edit::AddRecipient(new) => new,
        other => panic!("{other:?}"),
    };
    assert!(of(add("ORCPT", Some("rfc822;a@b"))).orcpt.is_some());
    let new = of(add("notify", Some("SUCCESS,DELAY")));
    assert!(new.notify.unwrap().success && !new.notify.unwrap().failure);
    assert_eq!(new.properties.len(), 1);
    assert_eq!(new.duplicates, postern_message::Duplicates::Refuse);
    assert_eq!(of(add("X-A", None)).parameters.len(), 1);
    for (keyword, value) in [
        ("ORCPT", Some("rfc822;a b")),
        ("ORCPT", Some("a@b")),
        ("NOTIFY", Some("NEVER,DELAY")),
        ("NOTIFY", Some("")),
        ("SIZE", Some("1")),
        ("RET", Some("FULL")),
        ("X A", None),
        ("X-A", Some("a=b")),
    ] {
        assert!(
            at(MESSAGE, add(keyword, value)).is_err(),
            "{keyword}={value:?}"
        );
    }
    let parent = edited(E::AddRecipient(Box::new(pb::AddRecipient {
        address: Bytes::from_static(b"n@example.test"),
        parent_recipient_id: Bytes::from_static(&[9; 16]),
        ..pb::AddRecipient::default()
    })));
    refused(MESSAGE, parent, "parent");
}

#[test]
fn parameters_are_set_where_they_belong() {
    let case = case(MESSAGE);
    let one = case.context.working().unwrap().draft().recipients[0].id;
    let set = |of: Option<RecipientId>, keyword: &'static str, value: &'static str| {
        edited(E::SetParameter(pb::SetParameter {
            recipient_id: of
                .map(|id| Bytes::copy_from_slice(id.as_bytes()))
                .unwrap_or_default(),
            keyword: Bytes::from_static(keyword.as_bytes()),
            value: Some(Bytes::from_static(value.as_bytes())),
            remove: false,
        }))
    };
    for good in [
        set(None, "RET", "hdrs"),
        set(None, "ENVID", "a+2Bb"),
        set(None, "X-A", "1"),
        set(Some(one), "NOTIFY", "NEVER"),
        set(Some(one), "ORCPT", "rfc822;a"),
    ] {
        assert!(check(good, &case, &trusted()).is_ok());
    }
    for bad in [
        set(None, "NOTIFY", "NEVER"),
        set(Some(one), "RET", "FULL"),
        set(None, "RET", "HALF"),
        set(None, "BODY", "8BITMIME"),
        set(None, "ENVID", ""),
    ] {
        assert!(check(bad, &case, &trusted()).is_err());
    }
}

#[test]
fn orders_are_checked() {
    let hop = |deliver: &str| pb::NextHop {
        deliver: deliver.to_owned(),
        ..pb::NextHop::default()
    };
    let redirect = |deliver| {
        edited(E::Redirect(pb::Redirect {
            recipient_ids: Vec::new(),
            next_hops: vec![hop(deliver)],
        }))
    };
    let priority = |priority| edited(E::SetPriority(pb::SetPriority { priority }));
    let class = |class: &str| {
        edited(E::SetRoutingClass(pb::SetRoutingClass {
            routing_class: class.to_owned(),
        }))
    };
    let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let expiry = |seconds| {
        edited(E::SetExpiry(pb::SetExpiry {
            lifetime: span(seconds),
            warn_after: span(1),
        }))
    };
    for good in [
        redirect("mx"),
        priority(-9),
        class("bulk"),
        class(""),
        expiry(60),
    ] {
        assert_eq!(at(MESSAGE, good).unwrap().orders.len(), 1);
    }
    for bad in [
        redirect("http://x"),
        priority(10),
        class("Bulk"),
        expiry(0),
        expiry(31 * 24 * 3600),
    ] {
        assert!(at(MESSAGE, bad).is_err());
    }
    let inject = |key: &str, content: &'static [u8]| {
        edited(E::Inject(Box::new(pb::Inject {
            idempotency_key: key.to_owned(),
            recipients: vec![pb::AddRecipient {
                address: Bytes::from_static(b"n@example.test"),
                ..pb::AddRecipient::default()
            }],
            content: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(Bytes::from_static(content))),
            }),
            ..pb::Inject::default()
        })))
    };
    assert!(at(MESSAGE, inject("k", b"A: b\r\n\r\nc\r\n")).is_ok());
    assert!(at(MESSAGE, inject("", b"A: b\r\n\r\n")).is_err());
    assert!(at(MESSAGE, inject("k", b"A: b\n\n")).is_err());
    // It goes with the refusal of the message.
    let refused = pb::Verdict {
        decision: decided(D::Reject(pb::Reject { reply: None })).decision,
        ..inject("k", b"A: b\r\n\r\n")
    };
    assert!(at(MESSAGE, refused).unwrap().orders.is_empty());
}

#[test]
fn properties_need_a_scope_a_key_and_a_value_that_is_known() {
    let property = |scope: pb::PropertyScope, key: &str| pb::Verdict {
        properties: vec![pb::PropertyEdit {
            scope: scope.into(),
            recipient_id: Bytes::new(),
            key: key.to_owned(),
            value: Some(pb::Value {
                kind: Some(pb::value::Kind::Integer(3)),
            }),
            lifetime: 0,
        }],
        ..proceed()
    };
    use pb::PropertyScope as S;
    let set = at(EventKind::InboundConnect, property(S::Session, "score")).unwrap();
    assert!(matches!(
        &set.edits[..],
        [Edit::SetProperty {
            scope: PropertyScope::Session,
            ..
        }]
    ));
    refused(
        EventKind::InboundConnect,
        property(S::Message, "score"),
        "cannot be set at",
    );
    refused(
        EventKind::TransportSubmit,
        property(S::Session, "score"),
        "cannot be set at",
    );
    refused(MESSAGE, property(S::Unspecified, "score"), "scope");
    refused(MESSAGE, property(S::Message, "Score"), "key");
    refused(MESSAGE, property(S::Recipient, "score"), "16 octets");
    let mut unset = property(S::Message, "score");
    unset.properties[0].value = Some(pb::Value { kind: None });
    refused(MESSAGE, unset, "unset or unknown");
}

#[test]
fn amounts_are_bounded() {
    let many = pb::Verdict {
        edits: vec![pb::Edit { kind: None }; MAX_EDITS + 1],
        ..proceed()
    };
    refused(MESSAGE, many, "10001 edits");
    let delay = |seconds, nanos| pb::Verdict {
        delay: Some(prost_types::Duration { seconds, nanos }),
        ..proceed()
    };
    assert!(at(MESSAGE, delay(30, 0)).is_ok());
    refused(MESSAGE, delay(30, 1), "30 s");
    refused(MESSAGE, delay(-1, 0), "out of range");
    refused(MESSAGE, delay(1, -5), "out of range");
    refused(
        MESSAGE,
        pb::Verdict {
            explanation: "x".repeat(4097),
            ..proceed()
        },
        "explanation",
    );
    refused(
        MESSAGE,
        pb::Verdict {
            warnings: vec![String::new(); 11],
            ..proceed()
        },
        "warnings",
    );
    refused(
        MESSAGE,
        pb::Verdict {
            reason_code: "No Code".to_owned(),
            ..proceed()
        },
        "reason_code",
    );
    let splice = |octets: usize| pb::Edit {
        kind: Some(E::SpliceBody(pb::SpliceBody {
            offset: 0,
            remove_bytes: 0,
            insert: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(vec![b'x'; octets].into())),
            }),
        })),
    };
    let half = MAX_LITERAL_OCTETS / 2;
    let fits = pb::Verdict {
        edits: vec![splice(half), splice(half)],
        ..proceed()
    };
    assert!(at(MESSAGE, fits).is_ok());
    let over = pb::Verdict {
        edits: vec![splice(half), splice(half + 1)],
        ..proceed()
    };
    refused(MESSAGE, over, "literal data");
    let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let postpone = |seconds| {
        decided(D::Postpone(pb::Postpone {
            wait: span(seconds),
        }))
    };
    assert!(at(EventKind::TransportSubmit, postpone(60)).is_ok());
    refused(EventKind::TransportSubmit, postpone(0), "postpone");
    refused(
        EventKind::TransportSubmit,
        postpone(31 * 24 * 3600),
        "30 days",
    );
    refused(MESSAGE, postpone(60), "postpone cannot be decided");
    let hold = |seconds| {
        decided(D::Hold(pb::Hold {
            at_most: span(seconds),
            ..pb::Hold::default()
        }))
    };
    assert_eq!(
        at(MESSAGE, hold(60)).unwrap().decision,
        Decision::Hold {
            at_most: Some(Duration::from_secs(60))
        }
    );
    refused(MESSAGE, hold(0), "hold");
}

#[test]
fn a_hint_that_is_not_used_is_allowed() {
    let cached = pb::Verdict {
        cache_for: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        cache_keys: vec!["session.client_address".to_owned()],
        ..proceed()
    };
    assert!(at(MESSAGE, cached).is_ok());
}

#[test]
fn what_this_version_cannot_apply_is_refused_by_name() {
    let refused = |verdict: pb::Verdict| {
        let case = case(MESSAGE);
        let binding = trusted();
        let asked = Asked {
            question: &case.question,
            context: &case.context,
            binding: &binding,
            version: case.version.as_ref(),
        };
        let fault = validate(verdict, &asked, &mut NoUploads).unwrap_err();
        assert!(fault.detail.ends_with("not in this version"), "{fault}");
    };
    refused(pb::Verdict {
        recipients: vec![pb::RecipientDecision::default()],
        ..proceed()
    });
    refused(pb::Verdict {
        forks: vec![pb::Fork::default()],
        ..proceed()
    });
}

#[test]
fn asked_for_the_routes_alone_only_routes_are_taken() {
    let case = Case {
        question: Question::new(transport::PostCategorize {
            routing_only: true,
            ..transport::PostCategorize::default()
        }),
        context: testing::message().into(),
        version: Some(testing::version(true)),
    };
    let class = edited(E::SetRoutingClass(pb::SetRoutingClass {
        routing_class: "bulk".to_owned(),
    }));
    assert!(check(class, &case, &trusted()).is_ok());
    let sender = edited(E::SetSender(pb::SetSender::default()));
    let fault = check(sender, &case, &trusted()).unwrap_err();
    assert!(fault.detail.contains("routes"), "{fault}");
}
