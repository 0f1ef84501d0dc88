//! Nothing that needs a grant passes without it, and everything passes with it.

use postern_proto::rules::{DecisionKind, EditKind};

use super::*;

fn header_place() -> Option<pb::HeaderPlace> {
    Some(pb::HeaderPlace {
        kind: Some(pb::header_place::Kind::Last(pb::LastPlace {})),
    })
}

fn name() -> Bytes {
    Bytes::from_static(b"Subject")
}

/// One edit of each kind that would be in order, where it is granted.
fn edit_of(kind: EditKind, id: &Bytes) -> E {
    let value = Bytes::from_static(b"v");
    let address = Bytes::from_static(b"n@example.test");
    match kind {
        EditKind::InsertHeader => E::InsertHeader(pb::InsertHeader {
            place: header_place(),
            name: name(),
            value,
        }),
        EditKind::SetHeader => E::SetHeader(pb::SetHeader {
            name: name(),
            value,
            ..pb::SetHeader::default()
        }),
        EditKind::ReplaceHeader => E::ReplaceHeader(pb::ReplaceHeader {
            header_id: 1,
            value,
            ..pb::ReplaceHeader::default()
        }),
        EditKind::RemoveHeader => E::RemoveHeader(pb::RemoveHeader { header_id: 1 }),
        EditKind::RemoveHeaders => E::RemoveHeaders(pb::RemoveHeaders { name: name() }),
        EditKind::SpliceBody => E::SpliceBody(pb::SpliceBody::default()),
        EditKind::ReplaceBody => E::ReplaceBody(pb::ReplaceBody {
            body: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(value)),
            }),
        }),
        EditKind::AddRecipient => E::AddRecipient(Box::new(pb::AddRecipient {
            address,
            ..pb::AddRecipient::default()
        })),
        EditKind::RemoveRecipient => E::RemoveRecipient(pb::RemoveRecipient {
            recipient_id: id.clone(),
        }),
        EditKind::RewriteRecipient => E::RewriteRecipient(pb::RewriteRecipient {
            recipient_id: id.clone(),
            address,
        }),
        EditKind::RetainRecipients => E::RetainRecipients(pb::RetainRecipients {
            recipient_ids: vec![id.clone()],
        }),
        EditKind::SetSender => E::SetSender(pb::SetSender {
            reverse_path: address,
        }),
        EditKind::SetParameter => E::SetParameter(pb::SetParameter {
            recipient_id: id.clone(),
            keyword: Bytes::from_static(b"NOTIFY"),
            value: Some(Bytes::from_static(b"NEVER")),
            remove: false,
        }),
        EditKind::Redirect => E::Redirect(pb::Redirect::default()),
        EditKind::Inject => E::Inject(Box::new(pb::Inject {
            idempotency_key: "k".to_owned(),
            recipients: vec![pb::AddRecipient {
                address,
                ..pb::AddRecipient::default()
            }],
            content: Some(pb::Data {
                kind: Some(pb::data::Kind::Literal(Bytes::from_static(b"A: b\r\n\r\n"))),
            }),
            ..pb::Inject::default()
        })),
        EditKind::SetExpiry => E::SetExpiry(pb::SetExpiry::default()),
        EditKind::SetPriority => E::SetPriority(pb::SetPriority::default()),
        EditKind::SetRoutingClass => E::SetRoutingClass(pb::SetRoutingClass::default()),
        EditKind::SetRelay => E::SetRelay(pb::SetRelay { may_relay: true }),
        EditKind::SetAuthenticated => E::SetAuthenticated(pb::SetAuthenticated {
            identity: Bytes::from_static(b"anna"),
        }),
    }
}

fn all_words_but(word: &str) -> Vec<&'static str> {
    let mut words = postern_proto::rules::GRANTS.to_vec();
    words.retain(|own| !own.contains(char::is_uppercase) && *own != word);
    words
}

#[test]
fn every_edit_needs_its_own_grant_and_no_other() {
    let reads = ["headers", "body", "recipients"];
    let mut tried = 0;
    for event in EVENTS.iter().map(|name| name.parse::<EventKind>().unwrap()) {
        for kind in EditKind::ALL {
            let case = case(event);
            let id = match event {
                EventKind::InboundRcpt => own_recipient(&case),
                _ => case
                    .context
                    .working()
                    .map_or_else(RecipientId::new, |own| own.draft().recipients[0].id),
            };
            let id = Bytes::copy_from_slice(id.as_bytes());
            let verdict = edited(edit_of(kind, &id));
            let grant = match kind.rule().grant {
                "headers:NAME" => "headers:Subject",
                grant => grant,
            };
            let others = match kind.rule().grant {
                "headers:NAME" => {
                    let mut words = all_words_but("headers");
                    words.push("headers:Sub");
                    words.push("headers:X-*");
                    words
                }
                grant => all_words_but(grant),
            };
            let granted = check(verdict.clone(), &case, &binding(&reads, &[grant]));
            let not = check(verdict, &case, &binding(&reads, &others));
            assert_eq!(
                granted.is_ok(),
                event.rule().allows_edit(kind),
                "{kind:?} at {event}: {granted:?}"
            );
            let fault = not.unwrap_err();
            if event.rule().allows_edit(kind) {
                tried += 1;
                assert!(
                    fault.detail.contains("does not grant"),
                    "{kind:?} at {event}: {fault}"
                );
            }
        }
    }
    assert!(tried > 40, "{tried}");
}

#[test]
fn renaming_a_field_needs_both_names() {
    let case = case(MESSAGE);
    let rename = || {
        edited(E::ReplaceHeader(pb::ReplaceHeader {
            header_id: 1,
            value: Bytes::from_static(b"v"),
            name: Bytes::from_static(b"X-Subject"),
        }))
    };
    for (may, passes) in [
        (&["headers:Subject"][..], false),
        (&["headers:X-Subject"], false),
        (&["headers:Subject", "headers:X-*"], true),
        (&["headers"], true),
    ] {
        let passed = check(rename(), &case, &binding(&["headers"], may));
        assert_eq!(passed.is_ok(), passes, "{may:?}");
    }
}

#[test]
fn every_decision_but_four_needs_the_word_of_its_name() {
    let decision_of = |kind| match kind {
        DecisionKind::Proceed => D::Proceed(pb::Proceed {}),
        DecisionKind::Reject => D::Reject(pb::Reject { reply: None }),
        DecisionKind::Tempfail => D::Tempfail(pb::Tempfail { reply: None }),
        DecisionKind::Finish => D::Finish(pb::Finish { scope: 1 }),
        DecisionKind::Respond => D::Respond(pb::Respond {
            reply: reply(250, "", &["ok"]),
        }),
        DecisionKind::Discard => D::Discard(pb::Discard {}),
        DecisionKind::Quarantine => D::Quarantine(pb::Quarantine::default()),
        DecisionKind::Hold => D::Hold(pb::Hold::default()),
        DecisionKind::Postpone => D::Postpone(pb::Postpone {
            wait: Some(prost_types::Duration {
                seconds: 60,
                nanos: 0,
            }),
        }),
        DecisionKind::Disconnect => D::Disconnect(pb::Disconnect { reply: None }),
    };
    for event in EVENTS.iter().map(|name| name.parse::<EventKind>().unwrap()) {
        for kind in DecisionKind::ALL {
            let verdict = decided(decision_of(kind));
            let free = matches!(
                kind,
                DecisionKind::Proceed
                    | DecisionKind::Reject
                    | DecisionKind::Tempfail
                    | DecisionKind::Disconnect
            );
            let allowed = event.rule().allows(kind);
            let own = if free { vec![] } else { vec![kind.name()] };
            let with = check(verdict.clone(), &case(event), &binding(&[], &own));
            assert_eq!(with.is_ok(), allowed, "{kind:?} at {event}: {with:?}");
            let without = check(
                verdict,
                &case(event),
                &binding(&[], &all_words_but(kind.name())),
            );
            assert_eq!(without.is_ok(), allowed && free, "{kind:?} at {event}");
        }
    }
}

#[test]
fn finish_for_the_message_is_for_its_own_events() {
    let finish = |scope: pb::FinishScope| {
        decided(D::Finish(pb::Finish {
            scope: scope.into(),
        }))
    };
    for (event, passes) in [
        (EventKind::InboundConnect, false),
        (EventKind::InboundMail, true),
        (EventKind::InboundRcpt, true),
        (EventKind::InboundMessage, true),
        (EventKind::InboundResponse, false),
        (EventKind::TransportSubmit, false),
    ] {
        assert!(at(event, finish(pb::FinishScope::Event)).is_ok(), "{event}");
        let message = at(event, finish(pb::FinishScope::Message));
        assert_eq!(message.is_ok(), passes, "{event}");
    }
}
