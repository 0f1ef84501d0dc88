//! Whatever a sink sends, checking it and applying what passes never panics, and keeps to the table.

use postern_message::EditLimits;
use postern_proto::rules::DecisionKind;
use proptest::prelude::*;
use prost::Message as _;

use super::*;

fn wild(octets: &[u8], event: EventKind) {
    let Ok(verdict) = pb::Verdict::decode(octets) else {
        return;
    };
    let mut case = case_of(event, true, BodyKind::SevenBit);
    if let Ok(verdict) = check(verdict, &case, &trusted()) {
        assert!(verdict.delay <= MAX_DELAY);
        assert!(verdict.decision != Decision::Proceed || verdict.decision.reply().is_none());
        let of = case.question.event().facts().recipient;
        let limits = EditLimits::default();
        let (edits, orders, split) = (&verdict.edits, &verdict.orders, verdict.split());
        let applied = case.context.apply("k", edits, orders, &split, of, &limits);
        if applied.is_ok()
            && let Some(version) = case.context.version()
        {
            assert!(version.size().is_some());
        }
    }
}

#[test]
fn random_octets_never_panic() {
    bolero::check!()
        .with_type::<(u8, Vec<u8>)>()
        .with_iterations(5_000)
        .for_each(|(event, octets)| {
            let events: Vec<EventKind> = asked_events().collect();
            wild(octets, events[usize::from(*event) % events.len()]);
        });
}

fn asked_events() -> impl Iterator<Item = EventKind> {
    EVENTS.iter().map(|name| name.parse().unwrap())
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

fn edit() -> impl Strategy<Value = pb::Edit> {
    let place = prop_oneof![
        Just(None),
        Just(Some(pb::header_place::Kind::First(pb::FirstPlace {}))),
        (0..4u32).prop_map(|id| Some(pb::header_place::Kind::BeforeHeaderId(id))),
        (0..4u32).prop_map(|id| Some(pb::header_place::Kind::AfterHeaderId(id))),
    ];
    let data = prop_oneof![
        Just(None),
        octets().prop_map(|octets| Some(pb::data::Kind::Literal(octets))),
        number().prop_map(|id| Some(pb::data::Kind::UploadId(id))),
    ];
    let kind = prop_oneof![
        Just(None),
        (place, octets(), octets()).prop_map(|(kind, name, value)| Some(E::InsertHeader(
            pb::InsertHeader {
                place: Some(pb::HeaderPlace { kind }),
                name,
                value,
            }
        ))),
        (0..4u32, octets(), octets()).prop_map(|(header_id, value, name)| Some(E::ReplaceHeader(
            pb::ReplaceHeader {
                header_id,
                value,
                name
            }
        ))),
        (octets(), octets(), any::<bool>()).prop_map(|(name, value, only_if_missing)| Some(
            E::SetHeader(pb::SetHeader {
                name,
                value,
                place: None,
                only_if_missing,
            })
        )),
        octets().prop_map(|name| Some(E::RemoveHeaders(pb::RemoveHeaders { name }))),
        octets().prop_map(|address| Some(E::AddRecipient(Box::new(pb::AddRecipient {
            address,
            ..pb::AddRecipient::default()
        })))),
        proptest::collection::vec(octets(), 0..3).prop_map(|recipient_ids| Some(
            E::RetainRecipients(pb::RetainRecipients { recipient_ids })
        )),
        (octets(), octets(), any::<bool>()).prop_map(|(keyword, value, remove)| Some(
            E::SetParameter(pb::SetParameter {
                recipient_id: Bytes::new(),
                keyword,
                value: Some(value),
                remove,
            })
        )),
        any::<i32>().prop_map(|priority| Some(E::SetPriority(pb::SetPriority { priority }))),
        (0..4u32).prop_map(|header_id| Some(E::RemoveHeader(pb::RemoveHeader { header_id }))),
        (number(), number(), data).prop_map(|(offset, remove_bytes, kind)| Some(E::SpliceBody(
            pb::SpliceBody {
                offset,
                remove_bytes,
                insert: Some(pb::Data { kind }),
            }
        ))),
        octets().prop_map(|reverse_path| Some(E::SetSender(pb::SetSender { reverse_path }))),
        octets().prop_map(|recipient_id| Some(E::RemoveRecipient(pb::RemoveRecipient {
            recipient_id
        }))),
        (octets(), octets()).prop_map(|(recipient_id, address)| Some(E::RewriteRecipient(
            pb::RewriteRecipient {
                recipient_id,
                address,
            }
        ))),
    ];
    kind.prop_map(|kind| pb::Edit { kind })
}

fn verdict() -> impl Strategy<Value = pb::Verdict> {
    let reply = (
        0..700u32,
        octets(),
        proptest::collection::vec(octets(), 0..3),
    )
        .prop_map(|(code, enhanced_code, lines)| pb::Reply {
            code,
            enhanced_code,
            lines,
            without_enhanced_code: false,
        });
    let decision = (
        0..10u8,
        proptest::option::of(reply),
        any::<i64>(),
        any::<i32>(),
    )
        .prop_map(|(which, reply, seconds, number)| match which {
            0 => D::Proceed(pb::Proceed {}),
            1 => D::Finish(pb::Finish { scope: number % 4 }),
            2 => D::Respond(pb::Respond { reply }),
            3 => D::Reject(pb::Reject { reply }),
            4 => D::Tempfail(pb::Tempfail { reply }),
            5 => D::Discard(pb::Discard {}),
            6 => D::Hold(pb::Hold::default()),
            7 => D::Disconnect(pb::Disconnect { reply }),
            8 => D::Quarantine(pb::Quarantine::default()),
            _ => D::Postpone(pb::Postpone {
                wait: Some(prost_types::Duration {
                    seconds,
                    nanos: number,
                }),
            }),
        });
    (decision, proptest::collection::vec(edit(), 0..6)).prop_map(|(decision, edits)| pb::Verdict {
        edits,
        ..decided(decision)
    })
}

proptest! {
    #[test]
    fn verdicts_that_are_nearly_right_never_panic_either(
        verdict in verdict(),
        event in proptest::sample::select(asked_events().collect::<Vec<_>>()),
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
        event in proptest::sample::select(asked_events().collect::<Vec<_>>()),
    ) {
        let kind = verdict.decision.clone().and_then(|decision| decision.kind);
        if let Ok(checked) = check(verdict, &case(event), &binding(&["body"], &[])) {
            let named = DecisionKind::named(checked.decision.name()).unwrap();
            prop_assert!(event.rule().allows(named), "{:?} at {}", kind, event);
            prop_assert!(named.rule().grant.is_none() && checked.edits.is_empty());
            prop_assert!(checked.orders.is_empty());
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
