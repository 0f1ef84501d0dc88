//! Typed answers: where they are taken, with which decision, and by which grants.

use pb::answer::Kind as A;

use super::*;
use crate::recipient_kind::RecipientKind;

fn answered(answer: A) -> pb::Verdict {
    pb::Verdict {
        answer: Some(Box::new(pb::Answer { kind: Some(answer) })),
        ..proceed()
    }
}

fn rcpt(kind: pb::RecipientKind, deliver: Option<&str>, tenant: &str) -> pb::Verdict {
    answered(A::Rcpt(pb::RcptAnswer {
        recipient_kind: kind.into(),
        next_hop: deliver.map(|deliver| pb::NextHop {
            deliver: deliver.to_owned(),
            ..pb::NextHop::default()
        }),
        tenant: tenant.to_owned(),
    }))
}

#[test]
fn who_is_let_in_needs_each_word_of_it() {
    use pb::RecipientKind as K;
    let case = case(EventKind::InboundRcpt);
    let passes =
        |verdict: pb::Verdict, may: &[&str]| check(verdict, &case, &binding(&[], may)).is_ok();
    let hosted = || rcpt(K::Hosted, None, "");
    assert!(!passes(hosted(), &[]));
    assert!(!passes(hosted(), &["relay", "redirect", "tenant"]));
    assert!(passes(hosted(), &["admit"]));
    let relayed = || rcpt(K::Relayed, None, "");
    assert!(!passes(relayed(), &["admit"]));
    assert!(!passes(relayed(), &["relay"]));
    assert!(passes(relayed(), &["admit", "relay"]));
    let routed = || rcpt(K::Hosted, Some("lmtp://store:24"), "");
    assert!(!passes(routed(), &["admit"]));
    assert!(passes(routed(), &["admit", "redirect"]));
    // A tenant alone needs its own word and no other.
    let tenant = || rcpt(K::Unspecified, None, "acme");
    assert!(passes(tenant(), &["tenant"]));
    assert!(!passes(tenant(), &["admit"]));
    assert!(!passes(rcpt(K::Hosted, None, "acme"), &["admit"]));
    // Nobody is let in by saying that he is not.
    for kind in [K::Forbidden, K::Unknown] {
        assert!(!passes(rcpt(kind, None, ""), &["admit", "relay"]));
    }
    assert!(!passes(
        rcpt(K::Hosted, Some("http://x"), ""),
        &["admit", "redirect"]
    ));
    assert!(!passes(rcpt(K::Unspecified, None, "No Name"), &["tenant"]));
    let answer = check(relayed(), &case, &trusted()).unwrap().answer;
    let answer = answer.unwrap();
    let answer = answer.get::<crate::inbound::RcptAnswer>().unwrap();
    assert_eq!(answer.recipient_kind, RecipientKind::Relayed);
}

#[test]
fn an_answer_goes_with_its_event_and_its_decision() {
    let hosted = || rcpt(pb::RecipientKind::Hosted, None, "");
    refused(
        EventKind::InboundMail,
        hosted(),
        "rcpt is no answer to inbound.mail",
    );
    let with = |kind| pb::Verdict {
        decision: decided(kind).decision,
        ..hosted()
    };
    let event = EventKind::InboundRcpt;
    assert!(at(event, with(D::Finish(pb::Finish { scope: 1 }))).is_ok());
    refused(
        event,
        with(D::Reject(pb::Reject { reply: None })),
        "does not go with reject",
    );
    refused(
        event,
        with(D::Discard(pb::Discard {})),
        "does not go with discard",
    );
    let unset = pb::Verdict {
        answer: Some(Box::new(pb::Answer { kind: None })),
        ..proceed()
    };
    refused(event, unset, "answer is unset");
    // Of a step of AUTH each event takes its own.
    let mechanisms = |name: &'static str| {
        answered(A::Auth(pb::AuthAnswer {
            kind: Some(pb::auth_answer::Kind::Mechanisms(pb::AuthMechanisms {
                names: vec![Bytes::from_static(name.as_bytes())],
            })),
        }))
    };
    assert!(at(EventKind::InboundHelo, mechanisms("PLAIN")).is_ok());
    refused(EventKind::InboundHelo, mechanisms("plain"), "mechanism");
    let challenge = answered(A::Auth(pb::AuthAnswer {
        kind: Some(pb::auth_answer::Kind::Challenge(
            pb::AuthChallenge::default(),
        )),
    }));
    refused(EventKind::InboundHelo, challenge, "challenge is no answer");
}

fn response_with(answer: pb::ResponseAnswer) -> pb::Verdict {
    answered(A::Response(answer))
}

#[test]
fn a_reply_keeps_its_class_and_its_words_need_no_grant() {
    let case = response("NOOP", Reply::parse(250, None, "ok").unwrap());
    let none = binding(&[], &[]);
    let other = |code| {
        response_with(pb::ResponseAnswer {
            reply: reply(code, "", &["fine"]),
            ..pb::ResponseAnswer::default()
        })
    };
    assert!(check(other(251), &case, &none).is_ok());
    for code in [354, 450, 550] {
        assert!(check(other(code), &case, &none).is_err(), "{code}");
    }
    let line = |line: &'static str| {
        response_with(pb::ResponseAnswer {
            added_lines: vec![Bytes::from_static(line.as_bytes())],
            ..pb::ResponseAnswer::default()
        })
    };
    assert!(check(line("and more"), &case, &none).is_ok());
    for bad in ["a\r\nb", "a\0", "é"] {
        assert!(check(line(bad), &case, &none).is_err(), "{bad:?}");
    }
    let removed = response_with(pb::ResponseAnswer {
        removed_keywords: vec![Bytes::from_static(b"SIZE")],
        ..pb::ResponseAnswer::default()
    });
    assert!(check(removed, &case, &trusted()).is_err());
    // The reply is changed by the answer, not by a decision.
    let respond = decided(D::Respond(pb::Respond {
        reply: reply(250, "", &["ok"]),
    }));
    assert!(check(respond, &case, &trusted()).is_err());
}

#[test]
fn keywords_of_ehlo_are_granted_and_never_those_of_the_service() {
    let greeting = Reply::parse(250, None, "mx\nSIZE 100\nCHUNKING").unwrap();
    let case = response("EHLO", greeting);
    let (none, ehlo) = (binding(&[], &[]), binding(&[], &["ehlo"]));
    let with = |added: &'static str, removed: &'static str| {
        let list = |word: &'static str| {
            let words = Some(Bytes::from_static(word.as_bytes()));
            words.into_iter().filter(|word| !word.is_empty()).collect()
        };
        response_with(pb::ResponseAnswer {
            reply: None,
            added_lines: list(added),
            removed_keywords: list(removed),
        })
    };
    for (added, removed) in [("X-FOO 1", ""), ("", "chunking")] {
        assert!(check(with(added, removed), &case, &none).is_err());
        assert!(check(with(added, removed), &case, &ehlo).is_ok());
    }
    for (added, removed) in [("SIZE 5", ""), ("size", ""), ("-X", ""), ("", "a b=")] {
        assert!(
            check(with(added, removed), &case, &ehlo).is_err(),
            "{added:?} {removed:?}"
        );
    }
    // The first line is only text, and has no enhanced code.
    let first = response_with(pb::ResponseAnswer {
        reply: reply(250, "2.0.0", &["hello"]),
        ..pb::ResponseAnswer::default()
    });
    let answer = check(first, &case, &none).unwrap().answer;
    let answer = answer.unwrap();
    let answer = answer.get::<crate::inbound::ResponseAnswer>().unwrap();
    assert_eq!(answer.reply.as_ref().unwrap().to_string(), "250 hello");
}

#[test]
fn a_dialogue_goes_with_respond() {
    let dialogue = |code: Option<u32>, octets: Option<u64>| pb::Verdict {
        decision: decided(D::Respond(pb::Respond { reply: None })).decision,
        ..answered(A::Dialogue(pb::DialogueAnswer {
            reply: code.and_then(|code| reply(code, "", &["go on"])),
            expects: octets.map(|size_bytes| {
                pb::dialogue_answer::Expects::Octets(pb::ExpectOctets { size_bytes })
            }),
        }))
    };
    let event = EventKind::InboundCommand;
    assert!(at(event, dialogue(Some(334), Some(10))).is_ok());
    assert!(at(event, dialogue(Some(250), None)).is_ok());
    assert!(at(event, dialogue(None, Some(10))).is_ok());
    // As long as it goes on the client is told so: else a sink could answer for its later commands, and take its mail.
    for code in [250, 451, 550] {
        refused(
            event,
            dialogue(Some(code), Some(10)),
            "contradicts the dialogue",
        );
    }
    // What is over has a last word, and not 3xx.
    assert!(at(event, dialogue(Some(334), None)).is_err());
    assert!(at(event, dialogue(None, None)).is_err());
    assert!(at(event, dialogue(Some(334), Some((512 << 10) + 1))).is_err());
    let proceeding = pb::Verdict {
        decision: proceed().decision,
        ..dialogue(Some(250), None)
    };
    refused(event, proceeding, "does not go with proceed");
    // Within one there is nobody else who could have something to say.
    let within = Case {
        question: Question::new(crate::inbound::Command {
            dialogue_input: Some(Bytes::from_static(b"a line")),
            ..command("XTALK", crate::inbound::Handling::Registered)
        }),
        ..case(event)
    };
    assert!(check(dialogue(Some(334), Some(10)), &within, &trusted()).is_ok());
    assert!(check(dialogue(Some(250), None), &within, &trusted()).is_ok());
    let fault = check(proceed(), &within, &trusted()).unwrap_err();
    assert!(fault.detail.contains("dialogue"), "{fault}");
}

/// A case of a transport or outgoing event that this version does not publish.
fn transport_case(event: impl crate::question::Event) -> Case {
    Case {
        question: Question::new(event),
        context: testing::message().into(),
        version: Some(testing::version(true)),
    }
}

#[test]
fn expansions_name_who_was_asked_about_and_add_up() {
    let context = testing::message();
    let [a, b] = [0, 1].map(|n: usize| context.working().draft().recipients[n].id);
    let case = Case {
        question: Question::new(transport::Categorize {
            recipients: vec![a],
            sender_too: true,
        }),
        context: context.into(),
        version: None,
    };
    let expansion = |id: &[u8], kind| pb::Expansion {
        recipient_id: Bytes::copy_from_slice(id),
        kind: Some(kind),
    };
    let members = |address: &'static str| {
        pb::expansion::Kind::Members(pb::Members {
            recipients: vec![pb::AddRecipient {
                address: Bytes::from_static(address.as_bytes()),
                ..pb::AddRecipient::default()
            }],
            ..pb::Members::default()
        })
    };
    let answer = |expansions| answered(A::Expansion(pb::ExpansionAnswer { expansions }));
    let both = vec![
        expansion(a.as_bytes(), members("x@y.test")),
        expansion(a.as_bytes(), members("z@y.test")),
        expansion(
            b"",
            pb::expansion::Kind::Unknown(pb::NoSuchRecipient::default()),
        ),
    ];
    let checked = check(answer(both), &case, &trusted()).unwrap().answer;
    let checked = checked.unwrap();
    let checked = checked.get::<crate::transport::ExpansionAnswer>().unwrap();
    assert_eq!(checked.expansions.len(), 2);
    match checked.of_item(Some(a)) {
        Some(crate::transport::Expanded::Members(members)) => {
            assert_eq!(members.recipients.len(), 2)
        }
        other => panic!("{other:?}"),
    }
    let stranger = vec![expansion(b.as_bytes(), members("x@y.test"))];
    assert!(check(answer(stranger), &case, &trusted()).is_err());
    let contradicts = vec![
        expansion(a.as_bytes(), members("x@y.test")),
        expansion(
            a.as_bytes(),
            pb::expansion::Kind::Unknown(pb::NoSuchRecipient::default()),
        ),
    ];
    assert!(check(answer(contradicts), &case, &trusted()).is_err());
}

#[test]
fn a_store_answers_for_each_recipient_once() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let mut case = transport_case(transport::LocalDelivery {
        recipients: vec![a],
        attempt: postern_message::AttemptId::new(),
    });
    case.context = context.into();
    let status = |code| pb::LocalDeliveryStatus {
        recipient_id: Bytes::copy_from_slice(a.as_bytes()),
        reply: reply(code, "", &["x"]).map(Box::new),
    };
    let answer = |statuses| answered(A::LocalDelivery(pb::LocalDeliveryAnswer { statuses }));
    let none = binding(&[], &[]);
    assert!(check(answer(vec![status(250)]), &case, &none).is_ok());
    assert!(check(answer(vec![status(354)]), &case, &none).is_err());
    assert!(check(answer(vec![status(250), status(550)]), &case, &none).is_err());
    // Without an answer there is nothing that the service could do.
    assert!(check(proceed(), &case, &none).is_err());
    let put_off = decided(D::Tempfail(pb::Tempfail { reply: None }));
    assert!(check(put_off, &case, &none).is_ok());
}

#[test]
fn routes_and_sizes_and_commands_are_checked() {
    let destination = crate::context::DestinationContext::new("in".into(), "example.test");
    let routed = Case {
        question: Question::new(transport::Route::default()),
        context: destination.clone().into(),
        version: None,
    };
    let route = |deliver: &str, seconds| {
        answered(A::Route(pb::RouteAnswer {
            next_hops: vec![pb::NextHop {
                deliver: deliver.to_owned(),
                ..pb::NextHop::default()
            }],
            lifetime: Some(prost_types::Duration { seconds, nanos: 0 }),
        }))
    };
    let redirect = binding(&[], &["redirect"]);
    assert!(check(route("mx", 60), &routed, &redirect).is_ok());
    assert!(check(route("mx", 60), &routed, &binding(&[], &[])).is_err());
    assert!(check(route("mx", 86_401), &routed, &redirect).is_err());
    assert!(check(route("mx\r\n", 60), &routed, &redirect).is_err());
    let resolved = Case {
        question: Question::new(transport::Resolve::default()),
        context: destination.into(),
        version: None,
    };
    let resolve = |address: &str| {
        answered(A::Resolve(pb::ResolveAnswer {
            hosts: vec![pb::ResolvedHost {
                name: Bytes::from_static(b"mx.example.test"),
                addresses: vec![address.to_owned()],
                ..pb::ResolvedHost::default()
            }],
            lifetime: None,
        }))
    };
    assert!(check(resolve("2001:db8::1"), &resolved, &redirect).is_ok());
    assert!(check(resolve("mx"), &resolved, &redirect).is_err());
    let kept = |seconds, addresses| {
        answered(A::Resolve(pb::ResolveAnswer {
            hosts: vec![pb::ResolvedHost {
                addresses: vec!["192.0.2.1".to_owned(); addresses],
                ..pb::ResolvedHost::default()
            }],
            lifetime: Some(prost_types::Duration { seconds, nanos: 0 }),
        }))
    };
    assert!(check(kept(86_400, 64), &resolved, &redirect).is_ok());
    assert!(check(kept(86_401, 1), &resolved, &redirect).is_err());
    assert!(check(kept(60, 65), &resolved, &redirect).is_err());
    let sized = transport_case(transport::MaxSize {
        size_bytes: 2,
        limit_bytes: 1,
        declared_only: false,
    });
    let size = |ruling: i32| answered(A::Size(pb::SizeAnswer { ruling }));
    let waive = i32::from(pb::SizeRuling::Waive);
    assert!(check(size(waive), &sized, &binding(&[], &["size"])).is_ok());
    assert!(check(size(waive), &sized, &binding(&[], &[])).is_err());
    assert!(check(size(0), &sized, &binding(&[], &["size"])).is_err());
    let outgoing = Case {
        question: Question::new(crate::outbound::SessionStart {
            command: crate::context::CommandLine::default(),
        }),
        context: crate::context::OutgoingContext::new("in".into(), Default::default()).into(),
        version: None,
    };
    let commands = |line: &'static str| {
        answered(A::Commands(pb::CommandsAnswer {
            before: vec![pb::OutgoingCommand {
                line: Bytes::from_static(line.as_bytes()),
                ..pb::OutgoingCommand::default()
            }],
            ..pb::CommandsAnswer::default()
        }))
    };
    let granted = binding(&[], &["commands"]);
    assert!(check(commands("XCLIENT NAME=a"), &outgoing, &granted).is_ok());
    assert!(check(commands("XCLIENT"), &outgoing, &binding(&[], &[])).is_err());
    for bad in ["", "QUIT\r\nMAIL FROM:<>", "A\0"] {
        assert!(
            check(commands(bad), &outgoing, &granted).is_err(),
            "{bad:?}"
        );
    }
}

#[test]
fn a_notification_is_made_of_what_was_granted() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let mut case = transport_case(transport::Dsn::new(
        vec![transport::DsnRecipient {
            id: a,
            action: crate::transport::DsnAction::Failed,
            reply: None,
            remote_host: Bytes::new(),
        }],
        postern_smtp::address::ReversePath::Null,
    ));
    case.context = context.into();
    let dsn = |id: &[u8], text: &str, field: &'static str| {
        answered(A::Dsn(pb::DsnAnswer {
            rulings: vec![pb::DsnRuling {
                recipient_ids: vec![Bytes::copy_from_slice(id)],
                reporting: pb::DsnReporting::Suppressed.into(),
                ..pb::DsnRuling::default()
            }],
            text_before: text.to_owned(),
            headers: vec![pb::InsertHeader {
                place: None,
                name: Bytes::from_static(field.as_bytes()),
                value: Bytes::from_static(b"1"),
            }],
            ..pb::DsnAnswer::default()
        }))
    };
    let granted = binding(&[], &["dsn"]);
    assert!(check(dsn(a.as_bytes(), "hello", "X-A"), &case, &granted).is_ok());
    assert!(check(dsn(a.as_bytes(), "hello", "X-A"), &case, &binding(&[], &[])).is_err());
    assert!(check(dsn(&[3; 16], "hello", "X-A"), &case, &granted).is_err());
    assert!(check(dsn(a.as_bytes(), "a\0b", "X-A"), &case, &granted).is_err());
    assert!(check(dsn(a.as_bytes(), "hello", "X A"), &case, &granted).is_err());
    let tagged = |language: &str| {
        answered(A::Dsn(pb::DsnAnswer {
            language: language.to_owned(),
            ..pb::DsnAnswer::default()
        }))
    };
    assert!(check(tagged("de-CH-1996"), &case, &granted).is_ok());
    for bad in ["de CH", "de_CH", &"a".repeat(36)] {
        assert!(check(tagged(bad), &case, &granted).is_err(), "{bad}");
    }
}
