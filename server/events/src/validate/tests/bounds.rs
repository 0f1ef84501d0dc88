//! Each bound of what a verdict and its answer may bring: the last amount that passes, and the first that does not.

use pb::answer::Kind as A;
use postern_message::{BodyKind, Draft};

use super::*;
use crate::context::{DestinationContext, MessageContext, OutgoingContext};
use crate::question::Event;
use crate::{outbound, samples};

/// Passes with `most`, and with one more says what is too much.
fn bounded(most: usize, said: &str, case: &Case, verdict: impl Fn(usize) -> pb::Verdict) {
    let checked = check(verdict(most), case, &trusted());
    assert!(checked.is_ok(), "{most}: {:?}", checked.err());
    let fault = check(verdict(most + 1), case, &trusted()).unwrap_err();
    let over = most + 1;
    let said = said.replace('N', &over.to_string());
    assert!(
        fault.detail.contains(&said),
        "{fault} does not say {said:?}"
    );
}

fn answered(answer: A) -> pb::Verdict {
    pb::Verdict {
        answer: Some(Box::new(pb::Answer { kind: Some(answer) })),
        ..proceed()
    }
}

fn octets(count: usize) -> Bytes {
    Bytes::from(vec![b'A'; count])
}

fn text(count: usize) -> String {
    "a".repeat(count)
}

fn at_destination(event: impl Event) -> Case {
    Case {
        question: Question::new(event),
        context: DestinationContext::new("in".into(), "example.test").into(),
        version: None,
    }
}

fn outgoing(event: impl Event) -> Case {
    Case {
        question: Question::new(event),
        context: OutgoingContext::new("in".into(), Default::default()).into(),
        version: None,
    }
}

#[test]
fn of_a_verdict() {
    let case = case(MESSAGE);
    bounded(4096, "N octets of the explanation", &case, |n| {
        pb::Verdict {
            explanation: text(n),
            ..proceed()
        }
    });
    bounded(10, "N warnings", &case, |n| pb::Verdict {
        warnings: vec![String::new(); n],
        ..proceed()
    });
    bounded(1024, "N octets of a warning", &case, |n| pb::Verdict {
        warnings: vec![String::new(), text(n)],
        ..proceed()
    });
    bounded(63, "reason_code", &case, |n| pb::Verdict {
        reason_code: text(n),
        ..proceed()
    });
    bounded(64, "N property edits", &case, |n| pb::Verdict {
        properties: (0..n)
            .map(|n| pb::PropertyEdit {
                scope: pb::PropertyScope::Message.into(),
                key: format!("k{n}"),
                ..pb::PropertyEdit::default()
            })
            .collect(),
        ..proceed()
    });
    bounded(1024, "N octets of the reason", &case, |n| {
        decided(D::Hold(pb::Hold {
            reason: text(n),
            ..pb::Hold::default()
        }))
    });
    bounded(1024, "N octets of the reason", &case, |n| {
        decided(D::Quarantine(pb::Quarantine { reason: text(n) }))
    });
    bounded(100, "N lines of a reply", &case, |n| {
        decided(D::Reject(pb::Reject {
            reply: reply(550, "", &vec!["no"; n]),
        }))
    });
    bounded(480, "N octets of a line of a reply", &case, |n| {
        decided(D::Reject(pb::Reject {
            reply: reply(550, "", &["no", &text(n)]),
        }))
    });
    let days = i64::from(30 * 24) * 3600;
    bounded(usize::try_from(days).unwrap(), "hold", &case, |n| {
        decided(D::Hold(pb::Hold {
            at_most: seconds(n),
            ..pb::Hold::default()
        }))
    });
    bounded(30, "delay is over 30 s", &case, |n| pb::Verdict {
        delay: seconds(n),
        ..proceed()
    });
}

fn seconds(count: usize) -> Option<prost_types::Duration> {
    Some(prost_types::Duration {
        seconds: i64::try_from(count).unwrap(),
        nanos: 0,
    })
}

#[test]
fn of_edits() {
    let case = case(MESSAGE);
    bounded(
        255,
        "an identity has 1 to 255",
        &self::case(EventKind::InboundTls),
        |n| {
            edited(E::SetAuthenticated(pb::SetAuthenticated {
                identity: octets(n),
            }))
        },
    );
    refused(
        EventKind::InboundTls,
        edited(E::SetAuthenticated(pb::SetAuthenticated::default())),
        "1 to 255",
    );
    let class = |n| {
        edited(E::SetRoutingClass(pb::SetRoutingClass {
            routing_class: text(n),
        }))
    };
    bounded(63, "the routing class", &case, class);
    let expiry = |lifetime, warn_after| {
        edited(E::SetExpiry(pb::SetExpiry {
            lifetime,
            warn_after,
        }))
    };
    bounded(30 * 24 * 3600, "the lifetime", &case, |n| {
        expiry(seconds(n), None)
    });
    let negative = Some(prost_types::Duration {
        seconds: -1,
        nanos: 0,
    });
    refused(MESSAGE, expiry(None, negative), "the time of the warning");
    bounded(100, "N next hops", &case, |n| {
        edited(E::Redirect(pb::Redirect {
            recipient_ids: Vec::new(),
            next_hops: vec![hop(); n],
        }))
    });
    bounded(9, "between -9 and 9", &case, |n| {
        edited(E::SetPriority(pb::SetPriority {
            priority: i32::try_from(n).unwrap(),
        }))
    });
    for priority in [-10, 265, -247] {
        let set = edited(E::SetPriority(pb::SetPriority { priority }));
        refused(MESSAGE, set, "between -9 and 9");
    }
    let literal = |n: usize| {
        edited(E::ReplaceBody(pb::ReplaceBody {
            body: Some(data(octets(n))),
        }))
    };
    bounded(512 << 10, "octets of literal data", &case, literal);
}

fn hop() -> pb::NextHop {
    pb::NextHop {
        deliver: "mx".to_owned(),
        ..pb::NextHop::default()
    }
}

fn data(octets: Bytes) -> pb::Data {
    pb::Data {
        kind: Some(pb::data::Kind::Literal(octets)),
    }
}

fn injected() -> pb::Inject {
    pb::Inject {
        idempotency_key: "k".to_owned(),
        recipients: vec![pb::AddRecipient {
            address: Bytes::from_static(b"n@x.test"),
            ..pb::AddRecipient::default()
        }],
        content: Some(data(Bytes::from_static(b"A: b\r\n\r\n"))),
        ..pb::Inject::default()
    }
}

fn inject(inject: pb::Inject) -> pb::Verdict {
    edited(E::Inject(Box::new(inject)))
}

#[test]
fn of_an_injected_message() {
    let case = case(MESSAGE);
    bounded(128, "an idempotency key", &case, |n| {
        inject(pb::Inject {
            idempotency_key: text(n),
            ..injected()
        })
    });
    let one = injected().recipients.remove(0);
    bounded(10_000, "N recipients of an injected message", &case, |n| {
        inject(pb::Inject {
            recipients: vec![one.clone(); n],
            ..injected()
        })
    });
    for (broken, said) in [
        (
            pb::Inject {
                idempotency_key: String::new(),
                ..injected()
            },
            "idempotency key",
        ),
        (
            pb::Inject {
                recipients: Vec::new(),
                ..injected()
            },
            "needs a recipient",
        ),
        (
            pb::Inject {
                content: None,
                ..injected()
            },
            "needs content",
        ),
        (
            pb::Inject {
                body: 9,
                ..injected()
            },
            "kind of body",
        ),
        (
            pb::Inject {
                reverse_path: Bytes::from_static(b"a"),
                ..injected()
            },
            "address",
        ),
    ] {
        refused(MESSAGE, inject(broken), said);
    }
}

#[test]
fn an_injected_message_is_encoded_as_it_says() {
    use pb::BodyKind as W;
    let of = |body: W, content: &'static [u8]| {
        let own = pb::Inject {
            body: body.into(),
            content: Some(data(Bytes::from_static(content))),
            ..injected()
        };
        let mut checked = at(MESSAGE, inject(own))?;
        match checked.orders.remove(0) {
            crate::order::Order::Inject(own) => Ok(own.body),
            other => panic!("{other:?}"),
        }
    };
    let (ascii, eight, bare) = (&b"\r\na\r\n"[..], &b"\r\n\xe4\r\n"[..], &b"\r\na\nb"[..]);
    for (body, content, expected) in [
        (W::Unspecified, ascii, Some(BodyKind::SevenBit)),
        (W::Unspecified, eight, Some(BodyKind::EightBitMime)),
        (W::Unspecified, bare, None),
        (W::SevenBit, ascii, Some(BodyKind::SevenBit)),
        (W::SevenBit, eight, None),
        (W::EightBitMime, ascii, Some(BodyKind::EightBitMime)),
        (W::EightBitMime, eight, Some(BodyKind::EightBitMime)),
        (W::EightBitMime, bare, None),
        (W::BinaryMime, ascii, Some(BodyKind::BinaryMime)),
        (W::BinaryMime, eight, Some(BodyKind::BinaryMime)),
        (W::BinaryMime, bare, Some(BodyKind::BinaryMime)),
    ] {
        let checked: Result<_, Fault> = of(body, content);
        assert_eq!(checked.ok(), expected, "{body:?} {content:?}");
    }
}

#[test]
fn of_the_answer_to_a_reply() {
    let plain = response("NOOP", Reply::parse(250, None, "ok").unwrap());
    let greeting = response("EHLO", Reply::parse(250, None, "mx").unwrap());
    let with = |added_lines: Vec<Bytes>, removed_keywords: Vec<Bytes>| {
        answered(A::Response(pb::ResponseAnswer {
            reply: None,
            added_lines,
            removed_keywords,
        }))
    };
    for case in [&plain, &greeting] {
        bounded(100, "N lines added to a reply", case, |n| {
            with(vec![octets(1); n], Vec::new())
        });
        bounded(480, "N octets of an added line", case, |n| {
            with(vec![octets(1), octets(n)], Vec::new())
        });
    }
    bounded(100, "N keywords removed", &greeting, |n| {
        with(Vec::new(), vec![octets(1); n])
    });
    for (line, passes) in [
        (&b" ~"[..], true),
        (b"a\x1f", false),
        (b"a\x7f", false),
        (b"a\t", false),
    ] {
        let added = with(vec![Bytes::from_static(line)], Vec::new());
        assert_eq!(check(added, &plain, &trusted()).is_ok(), passes, "{line:?}");
    }
}

#[test]
fn a_keyword_is_of_letters_digits_and_hyphens() {
    let greeting = response("EHLO", Reply::parse(250, None, "mx").unwrap());
    let with = |added: &'static str, removed: &'static str| {
        let list = |word: &'static str| {
            let words = Some(Bytes::from_static(word.as_bytes()));
            words.into_iter().filter(|word| !word.is_empty()).collect()
        };
        answered(A::Response(pb::ResponseAnswer {
            reply: None,
            added_lines: list(added),
            removed_keywords: list(removed),
        }))
    };
    for (word, passes) in [
        ("X", true),
        ("9", true),
        ("X-9", true),
        ("-X", false),
        ("X_Y", false),
        ("X=", false),
        (" X", false),
    ] {
        for verdict in [with(word, ""), with("", word)] {
            let checked = check(verdict, &greeting, &trusted());
            assert_eq!(checked.is_ok(), passes, "{word:?}");
        }
    }
    let removed = check(with("", "x-a"), &greeting, &trusted())
        .unwrap()
        .answer
        .unwrap();
    let removed = removed.get::<inbound::ResponseAnswer>().unwrap();
    assert_eq!(removed.removed_keywords, ["X-A"]);
}

#[test]
fn an_answer_is_of_the_kind_that_was_asked_for() {
    let size = || {
        answered(A::Size(pb::SizeAnswer {
            ruling: pb::SizeRuling::Waive.into(),
        }))
    };
    refused(
        EventKind::InboundRcpt,
        size(),
        "size is no answer to inbound.rcpt",
    );
    refused(
        EventKind::InboundMail,
        size(),
        "size is no answer to inbound.mail",
    );
    let of_helo = answered(A::Auth(pb::AuthAnswer {
        kind: Some(pb::auth_answer::Kind::Mechanisms(Default::default())),
    }));
    let asked = case_at(inbound::Auth::default());
    let fault = check(of_helo, &asked, &trusted()).unwrap_err();
    assert!(
        fault
            .detail
            .contains("mechanisms is no answer to inbound.auth"),
        "{fault}"
    );
}

#[test]
fn an_answer_goes_with_proceed_and_finish_and_to_a_reply_with_disconnect() {
    let to_rcpt = || {
        A::Rcpt(pb::RcptAnswer {
            tenant: "acme".to_owned(),
            ..pb::RcptAnswer::default()
        })
    };
    let to_reply = || A::Response(pb::ResponseAnswer::default());
    let finish = || D::Finish(pb::Finish { scope: 1 });
    let disconnect = || D::Disconnect(pb::Disconnect { reply: None });
    for (event, answer, decision, passes) in [
        (
            EventKind::InboundRcpt,
            to_rcpt(),
            D::Proceed(pb::Proceed {}),
            true,
        ),
        (EventKind::InboundRcpt, to_rcpt(), finish(), true),
        (EventKind::InboundRcpt, to_rcpt(), disconnect(), false),
        (
            EventKind::InboundResponse,
            to_reply(),
            D::Proceed(pb::Proceed {}),
            true,
        ),
        (EventKind::InboundResponse, to_reply(), finish(), true),
        (EventKind::InboundResponse, to_reply(), disconnect(), true),
    ] {
        let name = format!("{decision:?} at {event}");
        let verdict = pb::Verdict {
            decision: decided(decision).decision,
            ..answered(answer)
        };
        assert_eq!(at(event, verdict).is_ok(), passes, "{name}");
    }
}

#[test]
fn of_the_answers_to_a_greeting_and_to_auth() {
    use pb::auth_answer::Kind as K;
    let auth = |kind| answered(A::Auth(pb::AuthAnswer { kind: Some(kind) }));
    let asked = case_at(inbound::Auth::default());
    bounded(369, "N octets of a challenge", &asked, |n| {
        auth(K::Challenge(pb::AuthChallenge {
            challenge: octets(n),
        }))
    });
    let success = |identity, authorization_identity| {
        auth(K::Success(pb::AuthSuccess {
            identity,
            authorization_identity,
            ..pb::AuthSuccess::default()
        }))
    };
    bounded(255, "N octets of an identity", &asked, |n| {
        success(octets(n), Bytes::new())
    });
    bounded(255, "N octets of an identity", &asked, |n| {
        success(octets(1), octets(n))
    });
    let nobody = check(success(Bytes::new(), octets(1)), &asked, &trusted());
    assert!(nobody.unwrap_err().detail.contains("needs an identity"));
    let greeted = case(EventKind::InboundHelo);
    let mechanisms = |names| auth(K::Mechanisms(pb::AuthMechanisms { names }));
    bounded(32, "N mechanisms", &greeted, |n| {
        mechanisms(vec![octets(1); n])
    });
    bounded(20, "no such name", &greeted, |n| {
        mechanisms(vec![octets(1), octets(n)])
    });
    for (name, passes) in [("X-9_A", true), ("", false), ("a", false), ("A B", false)] {
        let own = mechanisms(vec![Bytes::from_static(name.as_bytes())]);
        assert_eq!(check(own, &greeted, &trusted()).is_ok(), passes, "{name}");
    }
    let unset = answered(A::Auth(pb::AuthAnswer { kind: None }));
    assert!(check(unset, &asked, &trusted()).is_err());
}

fn case_at(event: impl Event) -> Case {
    Case {
        question: Question::new(event),
        ..case(EventKind::InboundConnect)
    }
}

#[test]
fn each_part_of_a_success_needs_its_own_word() {
    let asked = case_at(inbound::Auth::default());
    let success = |may_relay, tenant: &str| {
        answered(A::Auth(pb::AuthAnswer {
            kind: Some(pb::auth_answer::Kind::Success(pb::AuthSuccess {
                identity: octets(1),
                may_relay,
                tenant: tenant.to_owned(),
                ..pb::AuthSuccess::default()
            })),
        }))
    };
    let passes = |verdict, may: &[&str]| check(verdict, &asked, &binding(&[], may)).is_ok();
    let all = ["authenticated", "relay", "tenant"];
    for (may_relay, tenant, needed) in [
        (false, "", &all[..1]),
        (true, "", &all[..2]),
        (false, "acme", &["authenticated", "tenant"][..]),
        (true, "acme", &all[..]),
    ] {
        assert!(passes(success(may_relay, tenant), needed), "{needed:?}");
        for left_out in needed {
            let mut fewer = needed.to_vec();
            fewer.retain(|word| word != left_out);
            assert!(!passes(success(may_relay, tenant), &fewer), "{fewer:?}");
        }
    }
    assert!(!passes(success(false, "No Name"), &all));
}

#[test]
fn of_a_dialogue() {
    use pb::dialogue_answer::Expects as X;
    let case = case(EventKind::InboundCommand);
    let dialogue = |expects| pb::Verdict {
        decision: decided(D::Respond(pb::Respond { reply: None })).decision,
        ..answered(A::Dialogue(pb::DialogueAnswer {
            reply: None,
            expects: Some(expects),
        }))
    };
    bounded(512 << 10, "1 to 512 KiB", &case, |n| {
        dialogue(X::Octets(pb::ExpectOctets {
            size_bytes: n as u64,
        }))
    });
    let none = dialogue(X::Octets(pb::ExpectOctets { size_bytes: 0 }));
    refused(EventKind::InboundCommand, none, "1 to 512 KiB");
    let line = dialogue(X::Line(pb::ExpectLine { max_bytes: 7 }));
    let answer = check(line, &case, &trusted()).unwrap().answer.unwrap();
    let answer = answer.get::<inbound::DialogueAnswer>().unwrap();
    assert_eq!(answer.expects, Some(inbound::Expects::Line(7)));
}

#[test]
fn of_expansions() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let case = Case {
        question: Question::new(transport::Categorize {
            recipients: vec![a],
            sender_too: true,
        }),
        context: context.into(),
        version: None,
    };
    let unknown_here = pb::Expansion::default();
    bounded(10_000, "N expansions", &case, |n| {
        let expansions = vec![unknown_here.clone(); n];
        answered(A::Expansion(pb::ExpansionAnswer { expansions }))
    });
    let members = |members: pb::Members| {
        answered(A::Expansion(pb::ExpansionAnswer {
            expansions: vec![pb::Expansion {
                recipient_id: Bytes::copy_from_slice(a.as_bytes()),
                kind: Some(pb::expansion::Kind::Members(members)),
            }],
        }))
    };
    let one = injected().recipients.remove(0);
    bounded(10_000, "N members", &case, |n| {
        members(pb::Members {
            recipients: vec![one.clone(); n],
            ..pb::Members::default()
        })
    });
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let case = expanding(context);
    let members = |members: pb::Members| {
        answered(A::Expansion(pb::ExpansionAnswer {
            expansions: vec![pb::Expansion {
                recipient_id: Bytes::copy_from_slice(a.as_bytes()),
                kind: Some(pb::expansion::Kind::Members(members)),
            }],
        }))
    };
    bounded(4096, "N octets of a page token", &case, |n| {
        members(pb::Members {
            next_page_token: octets(n),
            ..pb::Members::default()
        })
    });
}

/// A question about the first recipient alone.
fn expanding(context: MessageContext) -> Case {
    let recipient = context.working().draft().recipients[0].id;
    Case {
        question: Question::new(transport::Expand {
            recipient,
            is_local: true,
            depth: 0,
            page_token: Bytes::new(),
        }),
        context: context.into(),
        version: None,
    }
}

#[test]
fn members_are_added_and_nothing_else() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let member = |change: fn(&mut pb::AddRecipient)| {
        let mut one = pb::AddRecipient {
            address: Bytes::from_static(b"x@y.test"),
            ..pb::AddRecipient::default()
        };
        change(&mut one);
        pb::Members {
            recipients: vec![one],
            ..pb::Members::default()
        }
    };
    let of = |members| {
        let expansion = pb::Expansion {
            recipient_id: Bytes::copy_from_slice(a.as_bytes()),
            kind: Some(pb::expansion::Kind::Members(members)),
        };
        answered(A::Expansion(pb::ExpansionAnswer {
            expansions: vec![expansion],
        }))
    };
    let case = expanding(context.clone());
    let whole = check(of(member(|_| {})), &case, &trusted()).unwrap();
    let whole = whole.answer.unwrap();
    let whole = whole.get::<transport::ExpansionAnswer>().unwrap();
    let Some(transport::Expanded::Members(whole)) = whole.of_item(Some(a)) else {
        panic!("{whole:?}");
    };
    assert_eq!(whole.namespace, &*trusted().sink.name);
    for (wrong, what) in [
        (
            member(|one| one.parent_recipient_id = Bytes::from_static(&[1; 16])),
            "the parent of a member",
        ),
        (
            member(|one| one.set_duplicates(pb::DuplicateHandling::Refuse)),
            "a recipient already is skipped",
        ),
    ] {
        let fault = check(of(wrong), &case, &trusted()).unwrap_err();
        assert!(fault.detail.contains(what), "{fault}");
    }
    // All together are asked about once.
    let together = Case {
        question: Question::new(transport::Categorize {
            recipients: vec![a],
            sender_too: false,
        }),
        context: context.into(),
        version: None,
    };
    let part = pb::Members {
        next_page_token: Bytes::from_static(b"2"),
        ..member(|_| {})
    };
    let fault = check(of(part), &together, &trusted()).unwrap_err();
    assert!(fault.detail.contains("transport.expand alone"), "{fault}");
}

#[test]
fn of_a_list_in_parts_the_last_page_and_the_last_sender_count() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let case = expanding(context);
    let part = |sender: Option<&'static str>, page: &'static str| pb::Expansion {
        recipient_id: Bytes::copy_from_slice(a.as_bytes()),
        kind: Some(pb::expansion::Kind::Members(pb::Members {
            recipients: Vec::new(),
            reverse_path: sender.map(|sender| Bytes::from_static(sender.as_bytes())),
            next_page_token: Bytes::from_static(page.as_bytes()),
        })),
    };
    for (parts, sender, page) in [
        (
            vec![part(Some("a@x.test"), "1"), part(None, "2")],
            "a@x.test",
            "2",
        ),
        (
            vec![part(Some("a@x.test"), "1"), part(Some("b@x.test"), "")],
            "b@x.test",
            "",
        ),
        (vec![part(None, ""), part(Some(""), "3")], "", "3"),
    ] {
        let answer = answered(A::Expansion(pb::ExpansionAnswer { expansions: parts }));
        let answer = check(answer, &case, &trusted()).unwrap().answer.unwrap();
        let answer = answer.get::<transport::ExpansionAnswer>().unwrap();
        let Some(transport::Expanded::Members(whole)) = answer.of_item(Some(a)) else {
            panic!("{answer:?}");
        };
        let own = whole.sender.as_ref().unwrap();
        let own = own.mailbox().map_or("", |mailbox| mailbox.as_str());
        assert_eq!((own, &whole.next_page_token[..]), (sender, page.as_bytes()));
    }
}

#[test]
fn a_final_address_is_as_it_was_or_another_and_to_relay_needs_its_word() {
    let context = testing::message();
    let a = context.working().draft().recipients[0].id;
    let case = Case {
        question: Question::new(transport::Categorize {
            recipients: vec![a],
            sender_too: false,
        }),
        context: context.into(),
        version: None,
    };
    let of = |address: &'static str, kind: pb::RecipientKind| {
        answered(A::Expansion(pb::ExpansionAnswer {
            expansions: vec![pb::Expansion {
                recipient_id: Bytes::copy_from_slice(a.as_bytes()),
                kind: Some(pb::expansion::Kind::FinalAddress(pb::FinalAddress {
                    address: Bytes::from_static(address.as_bytes()),
                    recipient_kind: kind.into(),
                })),
            }],
        }))
    };
    use pb::RecipientKind as K;
    let only = binding(&[], &["recipients"]);
    for (address, kind, passes) in [
        ("", K::Unspecified, true),
        ("z@x.test", K::Hosted, true),
        ("z", K::Hosted, false),
        ("", K::Relayed, false),
        ("", K::Unknown, false),
        ("", K::Forbidden, false),
    ] {
        assert_eq!(
            check(of(address, kind), &case, &only).is_ok(),
            passes,
            "{address} {kind:?}"
        );
    }
    let relays = binding(&[], &["recipients", "relay"]);
    for (address, other) in [("", false), ("z@x.test", true)] {
        let answer = check(of(address, K::Relayed), &case, &relays)
            .unwrap()
            .answer
            .unwrap();
        let answer = answer.get::<transport::ExpansionAnswer>().unwrap();
        let Some(transport::Expanded::Final { address, .. }) = answer.of_item(Some(a)) else {
            panic!("{answer:?}");
        };
        assert_eq!(address.is_some(), other);
    }
    let odd = answered(A::Expansion(pb::ExpansionAnswer {
        expansions: vec![pb::Expansion {
            recipient_id: Bytes::copy_from_slice(a.as_bytes()),
            kind: Some(pb::expansion::Kind::Unknown(pb::NoSuchRecipient {
                reply: reply(450, "", &["later"]),
            })),
        }],
    }));
    assert!(
        check(odd, &case, &relays).is_err(),
        "who is unknown is so for good"
    );
}

#[test]
fn of_routes_and_hosts() {
    let routed = at_destination(transport::Route::default());
    let route = |hops, lifetime| {
        answered(A::Route(pb::RouteAnswer {
            next_hops: vec![hop(); hops],
            lifetime,
        }))
    };
    bounded(100, "N next hops", &routed, |n| route(n, None));
    bounded(86_400, "over a day", &routed, |n| route(1, seconds(n)));
    let answer = check(route(1, None), &routed, &trusted())
        .unwrap()
        .answer
        .unwrap();
    let answer = answer.get::<transport::RouteAnswer>().unwrap();
    assert_eq!(answer.lifetime, Duration::from_secs(300));
    let resolved = at_destination(transport::Resolve::default());
    let with = |hosts, lifetime| answered(A::Resolve(pb::ResolveAnswer { hosts, lifetime }));
    let host = pb::ResolvedHost {
        addresses: vec!["192.0.2.1".to_owned()],
        ..pb::ResolvedHost::default()
    };
    bounded(100, "N hosts", &resolved, |n| {
        with(vec![host.clone(); n], None)
    });
    bounded(86_400, "over a day", &resolved, |n| {
        with(Vec::new(), seconds(n))
    });
    bounded(64, "N addresses of a host", &resolved, |n| {
        let addresses = vec!["192.0.2.1".to_owned(); n];
        with(
            vec![pb::ResolvedHost {
                addresses,
                ..host.clone()
            }],
            None,
        )
    });
    bounded(255, "no such name", &resolved, |n| {
        let name = octets(n);
        with(
            vec![pb::ResolvedHost {
                name,
                ..host.clone()
            }],
            None,
        )
    });
    let number = |n| u32::try_from(n).unwrap();
    bounded(65_535, "port of a host", &resolved, |n| {
        let port = number(n);
        with(
            vec![pb::ResolvedHost {
                port,
                ..host.clone()
            }],
            None,
        )
    });
    bounded(65_535, "preference of a host", &resolved, |n| {
        let preference = number(n);
        with(
            vec![pb::ResolvedHost {
                preference,
                ..host.clone()
            }],
            None,
        )
    });
    let name = Bytes::from_static(b"a b");
    let odd = with(
        vec![pb::ResolvedHost {
            name,
            ..host.clone()
        }],
        None,
    );
    assert!(check(odd, &resolved, &trusted()).is_err());
}

#[test]
fn of_a_store() {
    let recipients = (0..10_001).map(|_| Recipient::new(testing::path("a@x.test")));
    let recipients: Vec<Recipient> = recipients.collect();
    let ids: Vec<RecipientId> = recipients.iter().map(|one| one.id).collect();
    let stored = postern_message::Message {
        recipients,
        ..testing::stored()
    };
    assert_eq!(Draft::of(&stored).recipients.len(), ids.len());
    let case = Case {
        question: Question::new(transport::LocalDelivery {
            recipients: Vec::new(),
            attempt: postern_message::AttemptId::new(),
        }),
        context: MessageContext::with_session(Arc::new(stored), None).into(),
        version: None,
    };
    bounded(10_000, "N statuses", &case, |n| {
        let statuses = ids[..n].iter().map(|id| pb::LocalDeliveryStatus {
            recipient_id: Bytes::copy_from_slice(id.as_bytes()),
            reply: reply(250, "", &["ok"]).map(Box::new),
        });
        answered(A::LocalDelivery(pb::LocalDeliveryAnswer {
            statuses: statuses.collect(),
        }))
    });
    let mute = answered(A::LocalDelivery(pb::LocalDeliveryAnswer {
        statuses: vec![pb::LocalDeliveryStatus {
            recipient_id: Bytes::copy_from_slice(ids[0].as_bytes()),
            reply: None,
        }],
    }));
    let fault = check(mute, &case, &trusted()).unwrap_err();
    assert!(fault.detail.contains("needs a reply"), "{fault}");
}

/// A notification about one recipient of a message with or without SMTPUTF8.
fn notified(utf8: bool) -> (Case, RecipientId) {
    let mut stored = testing::stored();
    stored.envelope.smtp_utf8 = utf8;
    let a = stored.recipients[0].id;
    let about = transport::DsnRecipient {
        id: a,
        action: transport::DsnAction::Failed,
        reply: None,
        remote_host: Bytes::new(),
    };
    let case = Case {
        question: Question::new(transport::Dsn::new(vec![about], samples::sender())),
        context: MessageContext::with_session(Arc::new(stored), None).into(),
        version: Some(testing::version(true)),
    };
    (case, a)
}

#[test]
fn of_a_notification() {
    let (case, a) = notified(false);
    let dsn = |own: pb::DsnAnswer| answered(A::Dsn(own));
    let plain = pb::DsnAnswer::default;
    bounded(64 << 10, "N octets of a text", &case, |n| {
        dsn(pb::DsnAnswer {
            text_before: text(n),
            ..plain()
        })
    });
    bounded(64 << 10, "N octets of a text", &case, |n| {
        dsn(pb::DsnAnswer {
            text_after: text(n),
            ..plain()
        })
    });
    bounded(35, "no tag", &case, |n| {
        dsn(pb::DsnAnswer {
            language: text(n),
            ..plain()
        })
    });
    bounded(255, "reporting MTA", &case, |n| {
        dsn(pb::DsnAnswer {
            reporting_mta: octets(n),
            ..plain()
        })
    });
    bounded(100, "N copies", &case, |n| {
        dsn(pb::DsnAnswer {
            copy_to: vec![Bytes::from_static(b"a@x.test"); n],
            ..plain()
        })
    });
    bounded(100, "N header fields", &case, |n| {
        dsn(pb::DsnAnswer {
            headers: vec![
                pb::InsertHeader {
                    place: None,
                    name: Bytes::from_static(b"X-A"),
                    value: Bytes::from_static(b"1"),
                };
                n
            ],
            ..plain()
        })
    });
    bounded(10_000, "N rulings", &case, |n| {
        dsn(pb::DsnAnswer {
            rulings: vec![
                pb::DsnRuling {
                    recipient_ids: vec![Bytes::copy_from_slice(a.as_bytes())],
                    ..pb::DsnRuling::default()
                };
                n
            ],
            ..plain()
        })
    });
    for (broken, said) in [
        (
            pb::DsnAnswer {
                text_after: "a\0".to_owned(),
                ..plain()
            },
            "NUL",
        ),
        (
            pb::DsnAnswer {
                reporting_mta: Bytes::from_static(b"a b"),
                ..plain()
            },
            "reporting MTA",
        ),
        (
            pb::DsnAnswer {
                return_content: 9,
                ..plain()
            },
            "to be returned",
        ),
        (
            pb::DsnAnswer {
                notify_address: Some(Bytes::from_static(b"a")),
                ..plain()
            },
            "address",
        ),
        (
            pb::DsnAnswer {
                content: Some(data(Bytes::from_static(b"a\nb"))),
                ..plain()
            },
            "bare LF",
        ),
    ] {
        let fault = check(dsn(broken), &case, &trusted()).unwrap_err();
        assert!(fault.detail.contains(said), "{fault} does not say {said:?}");
    }
}

#[test]
fn addresses_and_fields_of_a_notification_hold_utf8_where_the_message_does() {
    let wide = "grün@x.test".as_bytes();
    for utf8 in [false, true] {
        let (case, _) = notified(utf8);
        for own in [
            pb::DsnAnswer {
                copy_to: vec![Bytes::from_static(wide)],
                ..pb::DsnAnswer::default()
            },
            pb::DsnAnswer {
                notify_address: Some(Bytes::from_static(wide)),
                ..pb::DsnAnswer::default()
            },
            pb::DsnAnswer {
                headers: vec![pb::InsertHeader {
                    place: None,
                    name: Bytes::from_static(b"X-A"),
                    value: Bytes::from_static(wide),
                }],
                ..pb::DsnAnswer::default()
            },
        ] {
            let checked = check(answered(A::Dsn(own.clone())), &case, &trusted());
            assert_eq!(checked.is_ok(), utf8, "{own:?}");
        }
    }
    // So it is with the members of lists.
    for utf8 in [false, true] {
        let mut stored = testing::stored();
        stored.envelope.smtp_utf8 = utf8;
        let a = stored.recipients[0].id;
        let case = Case {
            question: Question::new(transport::Categorize {
                recipients: vec![a],
                sender_too: false,
            }),
            context: MessageContext::with_session(Arc::new(stored), None).into(),
            version: None,
        };
        let answer = answered(A::Expansion(pb::ExpansionAnswer {
            expansions: vec![pb::Expansion {
                recipient_id: Bytes::copy_from_slice(a.as_bytes()),
                kind: Some(pb::expansion::Kind::FinalAddress(pb::FinalAddress {
                    address: Bytes::from_static(wide),
                    ..pb::FinalAddress::default()
                })),
            }],
        }));
        assert_eq!(check(answer, &case, &trusted()).is_ok(), utf8);
    }
}

#[test]
fn each_word_of_a_notification_is_known() {
    use transport::DsnAction as T;
    let (case, a) = notified(false);
    let of = |own: pb::DsnAnswer| {
        let checked = check(answered(A::Dsn(own)), &case, &trusted())?;
        let answer = checked.answer.unwrap();
        Ok::<_, Fault>(answer.get::<transport::DsnAnswer>().unwrap().clone())
    };
    for (number, returned) in [
        (pb::ReturnContent::Unspecified, None),
        (
            pb::ReturnContent::Full,
            Some(Some(postern_message::Return::Full)),
        ),
        (
            pb::ReturnContent::Headers,
            Some(Some(postern_message::Return::Headers)),
        ),
        (pb::ReturnContent::Nothing, Some(None)),
    ] {
        let own = pb::DsnAnswer {
            return_content: number.into(),
            ..pb::DsnAnswer::default()
        };
        assert_eq!(of(own).unwrap().return_content, returned);
    }
    let ruling = |action: i32, reporting: i32, code: u32| pb::DsnAnswer {
        rulings: vec![pb::DsnRuling {
            recipient_ids: vec![Bytes::copy_from_slice(a.as_bytes())],
            action,
            reporting,
            reply: (code > 0).then(|| reply(code, "", &["x"])).flatten(),
        }],
        ..pb::DsnAnswer::default()
    };
    for (number, action) in [
        (pb::DsnAction::Unspecified, None),
        (pb::DsnAction::Failed, Some(T::Failed)),
        (pb::DsnAction::Delayed, Some(T::Delayed)),
        (pb::DsnAction::Delivered, Some(T::Delivered)),
        (pb::DsnAction::Relayed, Some(T::Relayed)),
        (pb::DsnAction::Expanded, Some(T::Expanded)),
    ] {
        let own = of(ruling(number.into(), 0, 0)).unwrap();
        assert_eq!(own.on(a).action, action);
        if let Some(action) = action {
            let name = format!("DSN_ACTION_{}", action.name().to_uppercase());
            assert_eq!(number.as_str_name(), name);
        }
    }
    let suppressed = pb::DsnReporting::Suppressed.into();
    assert!(of(ruling(0, suppressed, 0)).unwrap().on(a).suppress);
    assert!(!of(ruling(0, 0, 0)).unwrap().on(a).suppress);
    for code in [250, 450, 550] {
        let own = of(ruling(0, 0, code)).unwrap().on(a).reply;
        assert_eq!(u32::from(own.unwrap().code().value()), code);
    }
    for broken in [ruling(99, 0, 0), ruling(0, 99, 0), ruling(0, 0, 354)] {
        assert!(of(broken).is_err());
    }
}

#[test]
fn of_commands() {
    let case = outgoing(outbound::SessionStart {
        command: CommandLine::default(),
    });
    let line = |octets: Bytes| pb::OutgoingCommand {
        line: octets,
        ..pb::OutgoingCommand::default()
    };
    let commands = |own: pb::CommandsAnswer| answered(A::Commands(own));
    let some = |count: usize| vec![line(octets(1)); count];
    bounded(100, "N commands", &case, |n| {
        commands(pb::CommandsAnswer {
            before: some(n - 3),
            instead: some(2),
            after: some(1),
            ..pb::CommandsAnswer::default()
        })
    });
    bounded(510, "N octets of a command", &case, |n| {
        commands(pb::CommandsAnswer {
            after: vec![line(octets(n))],
            ..pb::CommandsAnswer::default()
        })
    });
    for bad in ["", "A\r", "A\n", "A\0"] {
        let own = vec![line(Bytes::from_static(bad.as_bytes()))];
        for own in [
            pb::CommandsAnswer {
                before: own.clone(),
                ..pb::CommandsAnswer::default()
            },
            pb::CommandsAnswer {
                instead: own.clone(),
                ..pb::CommandsAnswer::default()
            },
            pb::CommandsAnswer {
                after: own.clone(),
                ..pb::CommandsAnswer::default()
            },
        ] {
            assert!(check(commands(own), &case, &trusted()).is_err(), "{bad:?}");
        }
    }
    for (drop, instead, passes) in [(true, 0, true), (false, 1, true), (true, 1, false)] {
        let own = commands(pb::CommandsAnswer {
            drop,
            instead: some(instead),
            ..pb::CommandsAnswer::default()
        });
        assert_eq!(check(own, &case, &trusted()).is_ok(), passes);
    }
}

#[test]
fn a_command_is_sent_with_what_was_said_of_it() {
    let case = outgoing(outbound::SessionStart {
        command: CommandLine::default(),
    });
    let own = pb::OutgoingCommand {
        line: Bytes::from_static(b"XBLOB 3"),
        payload: Some(data(Bytes::from_static(b"a\nb"))),
        payload_follows: true,
        may_pipeline: true,
    };
    let whole = |ask_again, drop| {
        let answer = answered(A::Commands(pb::CommandsAnswer {
            before: vec![own.clone()],
            ask_again,
            drop,
            ..pb::CommandsAnswer::default()
        }));
        check(answer, &case, &trusted())
    };
    // What is asked again is asked with the command as it is.
    assert!(whole(true, true).is_err());
    let empty = answered(A::Commands(pb::CommandsAnswer {
        ask_again: true,
        ..pb::CommandsAnswer::default()
    }));
    assert!(check(empty, &case, &trusted()).is_err());
    let dropped = whole(false, true).unwrap().answer.unwrap();
    assert!(dropped.get::<outbound::CommandsAnswer>().unwrap().drop);
    let answer = whole(true, false).unwrap().answer.unwrap();
    let answer = answer.get::<outbound::CommandsAnswer>().unwrap();
    assert!(answer.ask_again);
    let [first] = &answer.before[..] else {
        panic!("{answer:?}");
    };
    assert!(first.may_pipeline);
    let payload = first.payload.as_ref().unwrap();
    assert_eq!((&payload.octets[..], payload.follows), (&b"a\nb"[..], true));
}

#[test]
fn each_stage_that_a_remote_reply_may_lead_to_is_known() {
    use outbound::OutgoingStage as T;
    let case = outgoing(outbound::Response {
        command: CommandLine::default(),
        reply: Reply::parse(250, None, "ok").unwrap(),
        recipient: None,
    });
    let of = |next_stage: i32, code: u32| {
        let own = answered(A::RemoteStatus(pb::RemoteStatusAnswer {
            reply: (code > 0).then(|| reply(code, "", &["x"])).flatten(),
            next_stage,
        }));
        let checked = check(own, &case, &trusted())?;
        let answer = checked.answer.unwrap();
        Ok::<_, Fault>(
            answer
                .get::<outbound::RemoteStatusAnswer>()
                .unwrap()
                .clone(),
        )
    };
    for (number, stage) in [
        (pb::OutgoingStage::Unspecified, None),
        (pb::OutgoingStage::SessionStart, Some(T::SessionStart)),
        (pb::OutgoingStage::MessageStart, Some(T::MessageStart)),
        (pb::OutgoingStage::Recipient, Some(T::Recipient)),
        (pb::OutgoingStage::BeforeData, Some(T::BeforeData)),
        (pb::OutgoingStage::SessionEnd, Some(T::SessionEnd)),
    ] {
        assert_eq!(of(number.into(), 0).unwrap().next_stage, stage);
    }
    assert!(of(99, 0).is_err());
    for code in [250, 450, 550] {
        let own = of(0, code).unwrap().reply.unwrap();
        assert_eq!(u32::from(own.code().value()), code);
    }
    // What invites is what it is.
    assert!(of(0, 354).is_err());
}
