//! Which change moves which clock.

use postern_message::NewRecipient;

use super::*;

/// Envelope, header section and list have changed since.
fn changed(own: &Working, since: u64) -> (bool, bool, bool) {
    let list = own.list_update(since) != ListUpdate::default();
    (
        own.envelope_changed_since(since),
        own.headers_at() > since,
        list,
    )
}

fn order(own: &mut Working, order: Order) {
    let limits = EditLimits::default();
    own.apply("s", &[], &[order], &NONE, &mut Properties::new(), &limits)
        .unwrap();
}

#[test]
fn each_change_is_told_as_what_it_is() {
    type Change = fn(&mut Working);
    let rows: [(&str, Change, (bool, bool, bool)); 13] = [
        (
            "nothing",
            |own| drop(apply(own, &[], &NONE)),
            (false, false, false),
        ),
        (
            "a field",
            |own| {
                apply(own, &[Edit::RemoveHeader { id: HeaderId(1) }], &NONE).unwrap();
            },
            // The revision and the size are the message's.
            (true, true, false),
        ),
        (
            "a property of the message",
            |own| {
                apply(own, &[property(PropertyScope::Message, 1)], &NONE).unwrap();
            },
            (true, false, false),
        ),
        (
            "a property of the session",
            |own| {
                apply(own, &[property(PropertyScope::Session, 1)], &NONE).unwrap();
            },
            (false, false, false),
        ),
        (
            "a property of a recipient",
            |own| {
                let id = own.draft().recipients[0].id;
                apply(own, &[property(PropertyScope::Recipient(id), 1)], &NONE).unwrap();
            },
            (false, false, true),
        ),
        (
            "a new recipient",
            |own| {
                let new = NewRecipient::new(testing::path("new@y.test"));
                apply(own, &[Edit::AddRecipient(new)], &NONE).unwrap();
            },
            (false, false, true),
        ),
        (
            "another sender",
            |own| {
                let sender = testing::envelope("other@x.test").sender;
                apply(own, &[Edit::SetSender { sender }], &NONE).unwrap();
            },
            (true, false, false),
        ),
        (
            "an order",
            |own| order(own, Order::RoutingClass("bulk".to_owned())),
            (true, false, false),
        ),
        (
            "another way for one",
            |own| {
                let recipients = vec![own.draft().recipients[0].id];
                let next_hops = vec![NextHop::to("mx")];
                order(
                    own,
                    Order::Redirect {
                        recipients,
                        next_hops,
                    },
                );
            },
            (true, false, true),
        ),
        (
            "a recipient who is accepted",
            |own| own.accept(Recipient::new(testing::path("c@y.test"))),
            (false, false, true),
        ),
        (
            "a digest",
            |own| own.set_digest([1; 32]),
            (true, false, false),
        ),
        (
            "who was passed over",
            |own| own.skip("scanner"),
            (true, false, false),
        ),
        (
            "the content",
            |own| own.content(testing::version(false)),
            (false, true, false),
        ),
    ];
    for (name, change, expected) in rows {
        let mut own = working(&["a@y.test", "b@y.test"]);
        let before = own.clock();
        change(&mut own);
        assert_eq!(changed(&own, before), expected, "{name}");
        // What was encoded before serves on as long as nothing happens.
        assert_eq!(own.clock() == before, name == "nothing");
        assert_eq!(changed(&own, own.clock()), (false, false, false), "{name}");
    }
}

#[test]
fn the_end_of_the_content_closes_every_branch_and_what_was_received() {
    let mut draft = Draft::empty();
    draft.recipients = ["a@y.test", "b@y.test"]
        .map(|one| Recipient::new(testing::path(one)))
        .into();
    let mut own = Working::new(MessageId::new(), draft);
    assert_eq!(
        (own.headers_at(), own.shown(true), own.shown(false)),
        (0, None, None)
    );
    own.content(testing::version(false));
    let all = ids(&own);
    let split = Split {
        forks: vec![ForkEdits {
            recipients: all[..1].to_vec(),
            ..ForkEdits::default()
        }],
        ..Split::default()
    };
    apply(&mut own, &[], &split).unwrap();
    let before = own.clock();
    own.close_content(testing::MAIL.len() as u64);
    assert!(own.envelope_changed_since(before));
    assert_eq!(own.shown(true), Some(&testing::version(true)));
    for number in [0, 1] {
        own.enter(number);
        assert_eq!(own.shown(false), Some(&testing::version(true)));
    }
}

#[test]
fn who_reads_the_original_sees_what_was_received() {
    let mut own = working(&["a@y.test"]);
    apply(&mut own, &[Edit::RemoveHeader { id: HeaderId(1) }], &NONE).unwrap();
    let count = |version: Option<&Version>| version.unwrap().headers().len();
    assert_eq!((count(own.shown(true)), count(own.shown(false))), (2, 1));
    // Of a message that was stored edited it is not known before it is read.
    let edited = own.draft().clone();
    let mut again = Working::new(MessageId::new(), edited);
    assert_eq!(again.shown(true), None);
    again.set_received(testing::version(true));
    assert_eq!(count(again.shown(true)), 2);
    assert_eq!(again.digest(), None);
    again.set_digest([3; 32]);
    assert_eq!(again.digest(), Some([3; 32]));
}

#[test]
fn another_branch_is_told_whole() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let split = Split {
        forks: vec![ForkEdits {
            recipients: all[..1].to_vec(),
            ..ForkEdits::default()
        }],
        ..Split::default()
    };
    apply(&mut own, &[], &split).unwrap();
    let before = own.clock();
    own.enter(0);
    assert_eq!(own.clock(), before, "it was there already");
    own.enter(7);
    assert_eq!(own.piece().number, 0);
    own.enter(1);
    assert_eq!(changed(&own, before), (true, true, true));
    let update = own.list_update(before);
    let told: Vec<_> = update.changed.iter().map(|one| one.id).collect();
    assert_eq!((update.replaces_all, told), (true, all[..1].to_vec()));
    assert!(own.recipient(all[0]).is_some() && own.recipient(all[1]).is_none());
    // Whoever was told nothing has nothing to forget.
    assert!(!own.list_update(0).replaces_all);
}

#[test]
fn what_is_gone_is_told_by_its_id_and_what_changed_in_order() {
    let mut own = working(&["a@y.test", "b@y.test", "c@y.test"]);
    let all = ids(&own);
    let before = own.clock();
    for id in [all[2], all[0], all[2]] {
        let octets = own.clock() as usize;
        apply(
            &mut own,
            &[property(PropertyScope::Recipient(id), octets)],
            &NONE,
        )
        .unwrap();
    }
    apply(&mut own, &[Edit::RemoveRecipient { id: all[1] }], &NONE).unwrap();
    let update = own.list_update(before);
    let told: Vec<_> = update.changed.iter().map(|one| one.id).collect();
    // Each once, by its last change.
    assert_eq!(told, [all[0], all[2]]);
    assert_eq!(update.removed, [all[1]]);
    assert!(!update.replaces_all);
}
