//! Decisions and edits that differ for some recipients.

use super::*;

fn ids(case: &Case) -> Vec<Bytes> {
    let recipients = &case.context.working().unwrap().draft().recipients;
    let ids = recipients
        .iter()
        .map(|one| Bytes::copy_from_slice(one.id.as_bytes()));
    ids.collect()
}

fn decides(ids: &[Bytes], kind: D) -> pb::RecipientDecision {
    pb::RecipientDecision {
        recipient_ids: ids.to_vec(),
        decision: Some(pb::Decision { kind: Some(kind) }),
    }
}

fn reject() -> D {
    D::Reject(pb::Reject { reply: None })
}

#[test]
fn some_recipients_may_come_to_something_else() {
    let case = case(MESSAGE);
    let ids = ids(&case);
    let with = |recipients| pb::Verdict {
        recipients,
        ..proceed()
    };
    let none = binding(&[], &[]);
    let passed = check(with(vec![decides(&ids[..1], reject())]), &case, &none).unwrap();
    assert_eq!(passed.recipients.len(), 1);
    assert_eq!(passed.recipients[0].1.name(), "reject");
    let refused = |recipients, word: &str| {
        let fault = check(with(recipients), &case, &none).unwrap_err();
        assert!(fault.detail.contains(word), "{fault} does not say {word:?}");
    };
    refused(vec![decides(&[], reject())], "empty");
    refused(
        vec![decides(&ids[..1], reject()), decides(&ids[..1], reject())],
        "two groups",
    );
    refused(
        vec![decides(&[Bytes::from_static(&[1; 16])], reject())],
        "none of those",
    );
    refused(
        vec![decides(&[Bytes::from_static(b"x")], reject())],
        "16 octets",
    );
    refused(
        vec![decides(&ids[..1], D::Discard(pb::Discard {}))],
        "does not grant",
    );
    refused(
        vec![decides(
            &ids[..1],
            D::Disconnect(pb::Disconnect { reply: None }),
        )],
        "for some recipients",
    );
    let unset = pb::RecipientDecision {
        recipient_ids: ids[..1].to_vec(),
        decision: None,
    };
    refused(vec![unset], "unset");
    // The decision for the others is required all the same.
    let nobody = pb::Verdict {
        decision: None,
        ..with(vec![decides(&ids, reject())])
    };
    assert!(check(nobody, &case, &none).is_err());
    refused_at_others(with(vec![decides(&ids[..1], reject())]));
}

fn refused_at_others(verdict: pb::Verdict) {
    for event in [EventKind::InboundRcpt, EventKind::InboundMail] {
        refused(event, verdict.clone(), "for some recipients");
    }
}

#[test]
fn a_fork_has_recipients_edits_and_properties_of_its_own() {
    let case = case(MESSAGE);
    let ids = ids(&case);
    let splice = |offset| pb::Edit {
        kind: Some(E::SpliceBody(pb::SpliceBody {
            offset,
            remove_bytes: 1,
            insert: None,
        })),
    };
    let fork = |ids: &[Bytes], edits| pb::Fork {
        recipient_ids: ids.to_vec(),
        edits,
        properties: Vec::new(),
    };
    let with = |forks| pb::Verdict {
        edits: vec![splice(5)],
        forks,
        ..proceed()
    };
    // Offsets ascend within each branch, not over all of them.
    let passed = check(
        with(vec![
            fork(&ids[..1], vec![splice(2), splice(4)]),
            fork(&ids[1..], vec![splice(1)]),
        ]),
        &case,
        &trusted(),
    )
    .unwrap();
    assert_eq!(passed.forks.len(), 2);
    assert_eq!(passed.forks[0].edits.len(), 2);
    assert!(passed.splits() && passed.edits_body());
    let descending = with(vec![fork(&ids[..1], vec![splice(4), splice(2)])]);
    assert!(check(descending, &case, &trusted()).is_err());
    let twice = with(vec![fork(&ids[..1], vec![]), fork(&ids[..1], vec![])]);
    assert!(check(twice, &case, &trusted()).is_err());
    let ungranted = pb::Verdict {
        forks: vec![fork(&ids[..1], vec![splice(0)])],
        ..proceed()
    };
    assert!(check(ungranted, &case, &binding(&[], &[])).is_err());
    let of_session = pb::Verdict {
        forks: vec![pb::Fork {
            recipient_ids: ids[..1].to_vec(),
            edits: Vec::new(),
            properties: vec![pb::PropertyEdit {
                scope: pb::PropertyScope::Session.into(),
                key: "k".to_owned(),
                ..pb::PropertyEdit::default()
            }],
        }],
        ..proceed()
    };
    assert!(check(of_session, &case, &trusted()).is_err());
    refused(
        EventKind::InboundData,
        with_fork_of(&ids),
        "cannot be forked",
    );
}

fn with_fork_of(ids: &[Bytes]) -> pb::Verdict {
    pb::Verdict {
        forks: vec![pb::Fork {
            recipient_ids: ids.to_vec(),
            edits: Vec::new(),
            properties: Vec::new(),
        }],
        ..proceed()
    }
}

#[test]
fn the_edits_of_all_forks_count_together() {
    let case = case(MESSAGE);
    let ids = ids(&case);
    let many = pb::Verdict {
        edits: vec![pb::Edit { kind: None }; MAX_EDITS / 2 + 1],
        forks: vec![pb::Fork {
            recipient_ids: ids[..1].to_vec(),
            edits: vec![pb::Edit { kind: None }; MAX_EDITS / 2],
            properties: Vec::new(),
        }],
        ..proceed()
    };
    let fault = check(many, &case, &trusted()).unwrap_err();
    assert!(fault.detail.contains("10001 edits"), "{fault}");
}
