#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod fuzz;

use std::collections::HashMap;
use std::sync::Arc;

use postern_message::{Edit, HeaderLimits, HeaderParser, HeaderPlace, PropertyScope};
use wire::decision::Kind as D;
use wire::edit::Kind as E;

use super::*;
use crate::plan::{BindingSpec, BodyDepth, Plan, PlanSpec, SinkSpec};

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
        servers: vec!["s".to_owned()],
        sinks: vec![SinkSpec {
            name: "k".to_owned(),
            endpoints: vec!["unix:/s".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: words(&EVENTS),
            reads: words(reads),
            may: words(may),
            body: Some(BodyDepth::Full),
            ..BindingSpec::new("b", "k")
        }],
    };
    Arc::clone(
        Plan::build(spec, &HashMap::new())
            .unwrap()
            .bindings()
            .first()
            .unwrap(),
    )
}

/// Everything that can be granted.
fn trusted() -> Arc<Binding> {
    binding(
        &["headers", "body"],
        &[
            "headers",
            "body",
            "sender",
            "recipients",
            "finish",
            "respond",
            "discard",
            "quarantine",
            "hold",
            "defer",
        ],
    )
}

/// Subject has id 1, Received 2; the body has ten octets.
fn version() -> Version {
    let octets = b"Subject: one\r\nReceived: from a\r\n\r\n0123456789";
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(octets).unwrap().unwrap();
    Version::original(&section, Some(octets.len() as u64))
}

fn question<'a>(
    event: EventKind,
    binding: &'a Binding,
    version: Option<&'a Version>,
) -> Question<'a> {
    Question {
        event,
        binding,
        version,
        utf8: false,
        verb: None,
        reply: None,
        recipient: None,
    }
}

fn decided(kind: D) -> wire::Verdict {
    wire::Verdict {
        decision: Some(wire::Decision { kind: Some(kind) }),
        ..wire::Verdict::default()
    }
}

fn proceed() -> wire::Verdict {
    decided(D::Proceed(wire::Proceed {}))
}

fn edited(edit: E) -> wire::Verdict {
    wire::Verdict {
        edits: vec![wire::Edit { kind: Some(edit) }],
        ..proceed()
    }
}

fn at(event: EventKind, verdict: wire::Verdict) -> Result<Verdict, Fault> {
    let (binding, version) = (trusted(), version());
    validate(
        verdict,
        &question(event, &binding, Some(&version)),
        &mut NoUploads,
    )
}

fn refused(event: EventKind, verdict: wire::Verdict, word: &str) {
    let fault = at(event, verdict).unwrap_err();
    assert_eq!(fault.kind, crate::fault::FaultKind::Protocol);
    assert!(fault.detail.contains(word), "{fault} does not say {word:?}");
}

fn reply(code: u32, enhanced: &str, lines: &[&str]) -> Option<wire::Reply> {
    Some(wire::Reply {
        code,
        enhanced_code: Bytes::copy_from_slice(enhanced.as_bytes()),
        lines: lines
            .iter()
            .map(|line| Bytes::copy_from_slice(line.as_bytes()))
            .collect(),
    })
}

const MESSAGE: EventKind = EventKind::InboundMessage;

#[test]
fn an_unset_decision_is_never_consent() {
    refused(MESSAGE, wire::Verdict::default(), "decision is unset");
    let unknown = wire::Verdict {
        decision: Some(wire::Decision { kind: None }),
        ..wire::Verdict::default()
    };
    refused(MESSAGE, unknown, "decision is unset");
    refused(
        MESSAGE,
        decided(D::Finish(wire::Finish { scope: 0 })),
        "scope",
    );
    refused(
        MESSAGE,
        decided(D::Finish(wire::Finish { scope: 9 })),
        "scope",
    );
    let edit = wire::Verdict {
        edits: vec![wire::Edit { kind: None }],
        ..proceed()
    };
    refused(MESSAGE, edit, "edit is unset");
}

#[test]
fn codes_must_fit_the_decision() {
    let reject = |code, enhanced| {
        decided(D::Reject(wire::Reject {
            reply: reply(code, enhanced, &["no"]),
        }))
    };
    let tempfail = |code| {
        decided(D::Tempfail(wire::Tempfail {
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
        decided(D::Disconnect(wire::Disconnect {
            reply: reply(code, "", &[]),
        }))
    };
    refused(MESSAGE, disconnect(221), "contradicts disconnect");
    let own = at(
        MESSAGE,
        decided(D::Tempfail(wire::Tempfail { reply: None })),
    )
    .unwrap();
    assert_eq!(
        own.decision.reply().unwrap().to_string(),
        "451 4.7.1 Not now, try again later"
    );
}

#[test]
fn reply_text_cannot_split_the_reply() {
    for text in ["a\r\nb", "a\nb", "a\0b", "a\u{7f}b", "\u{2028}"] {
        let binding = trusted();
        let asked = Question {
            utf8: true,
            ..question(MESSAGE, &binding, None)
        };
        let verdict = decided(D::Reject(wire::Reject {
            reply: reply(550, "", &[text]),
        }));
        assert!(
            validate(verdict, &asked, &mut NoUploads).is_err(),
            "{text:?}"
        );
    }
    let verdict = || {
        decided(D::Reject(wire::Reject {
            reply: reply(550, "", &["höflich"]),
        }))
    };
    refused(MESSAGE, verdict(), "ASCII");
    let binding = trusted();
    let asked = Question {
        utf8: true,
        ..question(MESSAGE, &binding, None)
    };
    assert!(validate(verdict(), &asked, &mut NoUploads).is_ok());
}

#[test]
fn respond_is_for_commands_without_effect() {
    let respond = |code| {
        decided(D::Respond(wire::Respond {
            reply: reply(code, "", &["hm"]),
        }))
    };
    for event in [
        MESSAGE,
        EventKind::InboundConnect,
        EventKind::InboundHelo,
        EventKind::InboundTls,
        EventKind::InboundMail,
        EventKind::InboundRcpt,
        EventKind::InboundData,
        EventKind::TransportSubmit,
    ] {
        for code in [250, 550] {
            refused(event, respond(code), "respond cannot be decided");
        }
    }
    let binding = trusted();
    for (verb, known, code, fine) in [
        ("STARTTLS", true, 220, false),
        ("starttls", true, 454, false),
        ("RCPT", true, 250, false),
        ("MAIL", true, 550, false),
        ("AUTH", true, 235, false),
        ("QUIT", true, 250, false),
        ("NOOP", true, 250, true),
        ("vrfy", true, 252, true),
        ("XFOO", false, 250, true),
        ("XFOO", false, 354, false),
    ] {
        let asked = Question {
            verb: Some((verb, known)),
            ..question(EventKind::InboundCommand, &binding, None)
        };
        assert_eq!(
            validate(respond(code), &asked, &mut NoUploads).is_ok(),
            fine,
            "{verb} {code}"
        );
    }
    let asked = Question {
        verb: Some(("NOOP", true)),
        ..question(EventKind::InboundCommand, &binding, None)
    };
    let empty = decided(D::Respond(wire::Respond { reply: None }));
    let fault = validate(empty, &asked, &mut NoUploads).unwrap_err();
    assert!(fault.to_string().contains("needs a reply"), "{fault}");
    let own = Reply::parse(250, None, "ok").unwrap();
    let asked = Question {
        reply: Some(&own),
        ..question(EventKind::InboundResponse, &binding, None)
    };
    assert!(validate(respond(251), &asked, &mut NoUploads).is_ok());
    assert!(validate(respond(550), &asked, &mut NoUploads).is_err());
}

#[test]
fn a_decision_that_spares_needs_the_word_of_its_name() {
    let wait = prost_types::Duration {
        seconds: 60,
        nanos: 0,
    };
    let command = EventKind::InboundCommand;
    let submit = EventKind::TransportSubmit;
    let scope = wire::FinishScope::Event.into();
    for (word, event, kind) in [
        ("finish", MESSAGE, D::Finish(wire::Finish { scope })),
        ("discard", MESSAGE, D::Discard(wire::Discard {})),
        (
            "quarantine",
            MESSAGE,
            D::Quarantine(wire::Quarantine::default()),
        ),
        ("hold", MESSAGE, D::Hold(wire::Hold::default())),
        ("defer", submit, D::Defer(wire::Defer { wait: Some(wait) })),
        (
            "respond",
            command,
            D::Respond(wire::Respond {
                reply: reply(250, "", &["hm"]),
            }),
        ),
    ] {
        let others: Vec<&str> = [
            "finish",
            "discard",
            "quarantine",
            "hold",
            "defer",
            "respond",
            "body",
            "recipients",
        ]
        .into_iter()
        .filter(|other| *other != word)
        .collect();
        let without = binding(&["headers", "body"], &others);
        let asked = Question {
            verb: Some(("NOOP", true)),
            ..question(event, &without, None)
        };
        let fault = validate(decided(kind.clone()), &asked, &mut NoUploads).unwrap_err();
        assert!(
            fault
                .to_string()
                .contains(&format!("does not grant {word}")),
            "{fault}"
        );
        let with = binding(&["headers", "body"], &[word]);
        let asked = Question {
            binding: &with,
            ..asked
        };
        assert!(
            validate(decided(kind), &asked, &mut NoUploads).is_ok(),
            "{word}"
        );
    }
}

#[test]
fn what_is_not_granted_is_refused() {
    let bare = binding(&["headers", "body"], &["headers:X-*"]);
    let version = version();
    let asked = question(MESSAGE, &bare, Some(&version));
    let insert = |name: &str| {
        edited(E::InsertHeader(wire::InsertHeader {
            place: Some(wire::HeaderPlace {
                kind: Some(wire::header_place::Kind::Last(wire::LastPlace {})),
            }),
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Bytes::from_static(b"v"),
        }))
    };
    assert!(validate(insert("X-Spam"), &asked, &mut NoUploads).is_ok());
    for verdict in [
        insert("Subject"),
        insert("Received"),
        decided(D::Discard(wire::Discard {})),
        decided(D::Finish(wire::Finish { scope: 1 })),
        edited(E::SpliceBody(wire::SpliceBody::default())),
        edited(E::SetSender(wire::SetSender::default())),
        edited(E::RemoveRecipient(wire::RemoveRecipient {
            recipient_id: Bytes::from_static(&[0; 16]),
        })),
        edited(E::RemoveHeader(wire::RemoveHeader { header_id: 1 })),
    ] {
        let fault = validate(verdict, &asked, &mut NoUploads).unwrap_err();
        assert!(fault.detail.contains("does not grant"), "{fault}");
    }
    // Every field is not the trace fields; those are named in full.
    refused(MESSAGE, insert("received"), "does not grant");
    let named = binding(&["headers"], &["headers:Received"]);
    let asked = question(MESSAGE, &named, Some(&version));
    assert!(validate(insert("Received"), &asked, &mut NoUploads).is_ok());
}

#[test]
fn edits_have_their_events() {
    let sender = || {
        edited(E::SetSender(wire::SetSender {
            reverse_path: Bytes::from_static(b"a@example.test"),
        }))
    };
    assert!(at(EventKind::InboundMail, sender()).is_ok());
    refused(
        EventKind::InboundRcpt,
        sender(),
        "cannot be changed at inbound.rcpt",
    );
    let splice = || {
        edited(E::SpliceBody(wire::SpliceBody {
            offset: 1,
            remove_bytes: 2,
            insert: None,
        }))
    };
    assert!(at(EventKind::InboundHeaders, splice()).is_ok());
    refused(
        EventKind::InboundMail,
        splice(),
        "cannot be changed at inbound.mail",
    );
    let (own, other) = (RecipientId::new(), RecipientId::new());
    let binding = trusted();
    let asked = Question {
        recipient: Some(own),
        ..question(EventKind::InboundRcpt, &binding, None)
    };
    let rewrite = |id: RecipientId| {
        edited(E::RewriteRecipient(wire::RewriteRecipient {
            recipient_id: Bytes::copy_from_slice(id.as_bytes()),
            address: Bytes::from_static(b"b@example.test"),
        }))
    };
    assert!(validate(rewrite(own), &asked, &mut NoUploads).is_ok());
    assert!(validate(rewrite(other), &asked, &mut NoUploads).is_err());
}

#[test]
fn splices_ascend_and_stay_within_the_body() {
    let splices = |splices: &[(u64, u64)]| wire::Verdict {
        edits: splices
            .iter()
            .map(|(offset, remove_bytes)| wire::Edit {
                kind: Some(E::SpliceBody(wire::SpliceBody {
                    offset: *offset,
                    remove_bytes: *remove_bytes,
                    insert: Some(wire::Data {
                        kind: Some(wire::data::Kind::Inline(Bytes::from_static(b"x"))),
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
    let upload = edited(E::SpliceBody(wire::SpliceBody {
        insert: Some(wire::Data {
            kind: Some(wire::data::Kind::UploadId(3)),
        }),
        ..wire::SpliceBody::default()
    }));
    refused(MESSAGE, upload, "no finished upload 3");
}

#[test]
fn header_ids_are_those_that_were_shown() {
    use wire::header_place::Kind;
    refused(
        MESSAGE,
        edited(E::RemoveHeader(wire::RemoveHeader { header_id: 77 })),
        "id 77",
    );
    let blind = binding(&["headers:X-*", "body"], &["headers"]);
    let version = version();
    let asked = question(MESSAGE, &blind, Some(&version));
    let verdict = edited(E::RemoveHeader(wire::RemoveHeader { header_id: 1 }));
    assert!(validate(verdict, &asked, &mut NoUploads).is_err());
    let insert = |kind| {
        edited(E::InsertHeader(wire::InsertHeader {
            place: Some(wire::HeaderPlace { kind: Some(kind) }),
            name: Bytes::from_static(b"X-A"),
            value: Bytes::from_static(b"1"),
        }))
    };
    let ids: Vec<_> = version.headers().iter().map(|field| field.id()).collect();
    let places: Vec<Edit> = [
        Kind::AfterHeaderId(ids[0].0),
        Kind::AfterHeaderId(ids[1].0),
        Kind::BeforeHeaderId(ids[0].0),
    ]
    .into_iter()
    .map(|kind| at(MESSAGE, insert(kind)).unwrap().edits.remove(0))
    .collect();
    let place = |edit: &Edit| match edit {
        Edit::InsertHeader { at, .. } => *at,
        other => panic!("{other:?}"),
    };
    assert_eq!(place(&places[0]), HeaderPlace::Before(ids[1]));
    assert_eq!(place(&places[1]), HeaderPlace::Last);
    assert_eq!(place(&places[2]), HeaderPlace::Before(ids[0]));
}

#[test]
fn values_cannot_inject() {
    let insert = |name: &'static [u8], value: &'static [u8]| {
        edited(E::InsertHeader(wire::InsertHeader {
            place: Some(wire::HeaderPlace {
                kind: Some(wire::header_place::Kind::First(wire::FirstPlace {})),
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
        let set = edited(E::SetSender(wire::SetSender {
            reverse_path: Bytes::from_static(address),
        }));
        assert!(at(MESSAGE, set).is_err(), "{address:?}");
    }
}

#[test]
fn new_recipients_take_orcpt_and_notify() {
    let add = |keyword: &'static str, value: &'static str| {
        edited(E::AddRecipient(wire::AddRecipient {
            address: Bytes::from_static(b"n@example.test"),
            parameters: vec![wire::Parameter {
                keyword: Bytes::from_static(keyword.as_bytes()),
                value: Some(Bytes::from_static(value.as_bytes())),
            }],
            parent_recipient_id: Bytes::new(),
        }))
    };
    assert!(at(MESSAGE, add("ORCPT", "rfc822;a@b")).is_ok());
    assert!(at(MESSAGE, add("notify", "SUCCESS,DELAY")).is_ok());
    for (keyword, value) in [
        ("ORCPT", "rfc822;a b"),
        ("ORCPT", "a@b"),
        ("NOTIFY", "NEVER,DELAY"),
        ("NOTIFY", ""),
        ("RRVS", "x"),
    ] {
        assert!(
            at(MESSAGE, add(keyword, value)).is_err(),
            "{keyword}={value}"
        );
    }
    let none = edited(E::ReplaceRecipients(wire::ReplaceRecipients {
        recipients: Vec::new(),
    }));
    refused(MESSAGE, none, "empty");
}

#[test]
fn properties_need_a_scope_a_key_and_a_value_that_is_known() {
    let property = |scope: wire::PropertyScope, key: &str| wire::Verdict {
        properties: vec![wire::PropertyEdit {
            scope: scope.into(),
            recipient_id: Bytes::new(),
            key: key.to_owned(),
            value: Some(wire::Value {
                kind: Some(wire::value::Kind::Integer(3)),
            }),
        }],
        ..proceed()
    };
    use wire::PropertyScope as S;
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
        "cannot be changed",
    );
    refused(
        EventKind::TransportSubmit,
        property(S::Session, "score"),
        "cannot be changed",
    );
    refused(MESSAGE, property(S::Unspecified, "score"), "scope");
    refused(MESSAGE, property(S::Message, "Score"), "key");
    refused(MESSAGE, property(S::Recipient, "score"), "16 octets");
    let mut unset = property(S::Message, "score");
    unset.properties[0].value = Some(wire::Value { kind: None });
    refused(MESSAGE, unset, "unset or unknown");
}

#[test]
fn amounts_are_bounded() {
    let many = wire::Verdict {
        edits: vec![wire::Edit { kind: None }; MAX_EDITS + 1],
        ..proceed()
    };
    refused(MESSAGE, many, "1001 edits");
    let delay = |seconds, nanos| wire::Verdict {
        delay: Some(prost_types::Duration { seconds, nanos }),
        ..proceed()
    };
    assert!(at(MESSAGE, delay(30, 0)).is_ok());
    refused(MESSAGE, delay(30, 1), "30 s");
    refused(MESSAGE, delay(-1, 0), "out of range");
    refused(MESSAGE, delay(1, -5), "out of range");
    refused(
        MESSAGE,
        wire::Verdict {
            explanation: "x".repeat(4097),
            ..proceed()
        },
        "explanation",
    );
    refused(
        MESSAGE,
        wire::Verdict {
            warnings: vec![String::new(); 11],
            ..proceed()
        },
        "warnings",
    );
    refused(
        MESSAGE,
        wire::Verdict {
            reason_code: "No Code".to_owned(),
            ..proceed()
        },
        "reason_code",
    );
    let splice = |octets: usize| wire::Edit {
        kind: Some(E::SpliceBody(wire::SpliceBody {
            offset: 0,
            remove_bytes: 0,
            insert: Some(wire::Data {
                kind: Some(wire::data::Kind::Inline(vec![0; octets].into())),
            }),
        })),
    };
    let half = MAX_INLINE_OCTETS / 2;
    let fits = wire::Verdict {
        edits: vec![splice(half), splice(half)],
        ..proceed()
    };
    assert!(at(MESSAGE, fits).is_ok());
    let over = wire::Verdict {
        edits: vec![splice(half), splice(half + 1)],
        ..proceed()
    };
    refused(MESSAGE, over, "inline data");
    let defer = |seconds| {
        decided(D::Defer(wire::Defer {
            wait: Some(prost_types::Duration { seconds, nanos: 0 }),
        }))
    };
    assert!(at(EventKind::TransportSubmit, defer(60)).is_ok());
    refused(EventKind::TransportSubmit, defer(0), "defer");
    refused(MESSAGE, defer(60), "defer cannot be decided");
}

#[test]
fn what_a_later_version_does_is_refused_by_name() {
    let some = wire::Verdict {
        recipients: vec![wire::RecipientDecision::default()],
        ..proceed()
    };
    refused(MESSAGE, some, "not in this version");
    refused(
        MESSAGE,
        wire::Verdict {
            forks: vec![wire::Fork::default()],
            ..proceed()
        },
        "not in this version",
    );
    refused(
        MESSAGE,
        wire::Verdict {
            answer: Some(Box::default()),
            ..proceed()
        },
        "not in this version",
    );
    for edit in [
        E::ReplaceBody(wire::ReplaceBody::default()),
        E::SetParameter(wire::SetParameter::default()),
        E::Redirect(wire::Redirect::default()),
        E::SetExpiry(wire::SetExpiry::default()),
        E::Inject(wire::Inject::default()),
        E::SetAuthenticated(wire::SetAuthenticated::default()),
        E::SetRelay(wire::SetRelay::default()),
    ] {
        refused(MESSAGE, edited(edit), "not in this version");
    }
    // A hint that is allowed and not used.
    let cached = wire::Verdict {
        cache_for: Some(prost_types::Duration {
            seconds: 60,
            nanos: 0,
        }),
        cache_keys: vec!["session.client_address".to_owned()],
        ..proceed()
    };
    assert!(at(MESSAGE, cached).is_ok());
}
