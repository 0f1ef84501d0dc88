//! Whatever a sink sends, checking it and applying what passes never panics, and keeps to the table.

use postern_message::EditLimits;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn wild(octets: &[u8], event: EventKind) {
    let Ok(verdict) = wire::Verdict::decode(octets) else {
        return;
    };
    let (binding, version) = (trusted(), version());
    let asked = Question {
        utf8: true,
        verb: Some(("DATA", true)),
        ..question(event, &binding, Some(&version))
    };
    if let Ok(verdict) = validate(verdict, &asked, &mut NoUploads) {
        assert!(verdict.delay <= MAX_DELAY);
        assert!(verdict.decision != Decision::Proceed || verdict.decision.reply().is_none());
        let applied = version.apply(&verdict.edits, &EditLimits::default());
        if let Ok(applied) = applied {
            assert!(applied.size().is_some());
        }
    }
}

#[test]
fn random_octets_never_panic() {
    bolero::check!()
        .with_type::<(u8, Vec<u8>)>()
        .with_iterations(5_000)
        .for_each(|(event, octets)| {
            let events: Vec<EventKind> = EventKind::published().collect();
            wild(octets, events[usize::from(*event) % events.len()]);
        });
}

fn octets() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from),
        "[a-z@.:X-]{0,12}".prop_map(Bytes::from),
        Just(Bytes::from_static(b"a@example.test")),
        Just(Bytes::from_static(&[7; 16])),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..12u64, any::<u64>()]
}

fn edit() -> impl Strategy<Value = wire::Edit> {
    let place = prop_oneof![
        Just(None),
        Just(Some(wire::header_place::Kind::First(wire::FirstPlace {}))),
        (0..4u32).prop_map(|id| Some(wire::header_place::Kind::BeforeHeaderId(id))),
        (0..4u32).prop_map(|id| Some(wire::header_place::Kind::AfterHeaderId(id))),
    ];
    let data = prop_oneof![
        Just(None),
        octets().prop_map(|octets| Some(wire::data::Kind::Inline(octets))),
        number().prop_map(|id| Some(wire::data::Kind::UploadId(id))),
    ];
    let kind = prop_oneof![
        Just(None),
        (place, octets(), octets()).prop_map(|(kind, name, value)| Some(E::InsertHeader(
            wire::InsertHeader {
                place: Some(wire::HeaderPlace { kind }),
                name,
                value,
            }
        ))),
        (0..4u32, octets(), octets()).prop_map(|(header_id, value, name)| Some(E::ReplaceHeader(
            wire::ReplaceHeader {
                header_id,
                value,
                name
            }
        ))),
        (0..4u32).prop_map(|header_id| Some(E::RemoveHeader(wire::RemoveHeader { header_id }))),
        (number(), number(), data).prop_map(|(offset, remove_bytes, kind)| Some(E::SpliceBody(
            wire::SpliceBody {
                offset,
                remove_bytes,
                insert: Some(wire::Data { kind }),
            }
        ))),
        octets().prop_map(|reverse_path| Some(E::SetSender(wire::SetSender { reverse_path }))),
        octets().prop_map(
            |recipient_id| Some(E::RemoveRecipient(wire::RemoveRecipient { recipient_id }))
        ),
        (octets(), octets()).prop_map(|(recipient_id, address)| Some(E::RewriteRecipient(
            wire::RewriteRecipient {
                recipient_id,
                address,
            }
        ))),
    ];
    kind.prop_map(|kind| wire::Edit { kind })
}

fn verdict() -> impl Strategy<Value = wire::Verdict> {
    let reply = (
        0..700u32,
        octets(),
        proptest::collection::vec(octets(), 0..3),
    )
        .prop_map(|(code, enhanced_code, lines)| wire::Reply {
            code,
            enhanced_code,
            lines,
        });
    let decision = (
        0..10u8,
        proptest::option::of(reply),
        any::<i64>(),
        any::<i32>(),
    )
        .prop_map(|(which, reply, seconds, number)| match which {
            0 => D::Proceed(wire::Proceed {}),
            1 => D::Finish(wire::Finish { scope: number % 4 }),
            2 => D::Respond(wire::Respond { reply }),
            3 => D::Reject(wire::Reject { reply }),
            4 => D::Tempfail(wire::Tempfail { reply }),
            5 => D::Discard(wire::Discard {}),
            6 => D::Hold(wire::Hold::default()),
            7 => D::Disconnect(wire::Disconnect { reply }),
            8 => D::Quarantine(wire::Quarantine::default()),
            _ => D::Defer(wire::Defer {
                wait: Some(prost_types::Duration {
                    seconds,
                    nanos: number,
                }),
            }),
        });
    (decision, proptest::collection::vec(edit(), 0..6)).prop_map(|(decision, edits)| {
        wire::Verdict {
            edits,
            ..decided(decision)
        }
    })
}

proptest! {
    #[test]
    fn verdicts_that_are_nearly_right_never_panic_either(
        verdict in verdict(),
        event in proptest::sample::select(EventKind::published().collect::<Vec<_>>()),
        cut in any::<proptest::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut octets = verdict.encode_to_vec();
        wild(&octets, event);
        if !octets.is_empty() {
            let at = cut.index(octets.len());
            octets[at] = octet;
            wild(&octets, event);
        }
    }

    #[test]
    fn nothing_passes_that_the_table_has_not(
        verdict in verdict(),
        event in proptest::sample::select(EventKind::ALL.to_vec()),
    ) {
        let (binding, version) = (binding(&["body"], &[]), version());
        let kind = verdict.decision.clone().and_then(|decision| decision.kind);
        if let Ok(checked) = validate(verdict, &question(event, &binding, Some(&version)), &mut NoUploads) {
            let named = DecisionKind::ALL.into_iter().find(|own| own.name() == checked.decision.name()).unwrap();
            prop_assert!(table::decision_allowed(event, named), "{:?} at {}", kind, event);
            prop_assert!(!named.needs_grant(event) && checked.edits.is_empty());
            let class = checked.decision.reply().map(|reply| reply.code().class());
            match checked.decision {
                Decision::Reject(_) => prop_assert_eq!(class, Some(5)),
                Decision::Tempfail(_) => prop_assert_eq!(class, Some(4)),
                Decision::Disconnect(_) => prop_assert!(matches!(class, Some(4 | 5))),
                _ => {}
            }
        }
    }
}
