//! What forks and decisions for some make of a message, and of edits that name who is elsewhere.

use postern_message::{NewRecipient, ParameterEdit};

use super::*;

fn fork(recipients: &[RecipientId], edits: Vec<Edit>) -> ForkEdits {
    ForkEdits {
        recipients: recipients.to_vec(),
        edits,
        orders: Vec::new(),
    }
}

fn forks(forks: Vec<ForkEdits>) -> Split {
    Split {
        forks,
        ..Split::default()
    }
}

fn decided(groups: Vec<Apart>) -> Split {
    Split {
        decided: groups,
        ..Split::default()
    }
}

fn field(number: u32) -> Edit {
    Edit::RemoveHeader {
        id: HeaderId(number),
    }
}

fn fields(piece: &Piece) -> usize {
    piece.draft.version.as_ref().unwrap().headers().len()
}

#[test]
fn edits_of_a_verdict_whose_forks_leave_nobody_come_to_nothing() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let mut session = Properties::new();
    let edits = [property(PropertyScope::Session, 1), field(1)];
    let limits = EditLimits::default();
    let mut apply = |own: &mut Working, split: &Split| {
        own.apply("s", &edits, &[], split, &mut session, &limits)
            .unwrap();
        session.len()
    };
    let split = forks(vec![
        fork(&all[..1], Vec::new()),
        fork(&all[1..], vec![field(1)]),
    ]);
    assert_eq!(apply(&mut own, &split), 0, "they are of nobody");
    assert_eq!(fields(own.piece()), 2);
    own.enter(1);
    assert_eq!(fields(own.piece()), 2);
    own.enter(2);
    assert_eq!(fields(own.piece()), 1);
    // Where somebody is left they are his.
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let split = forks(vec![fork(&all[..1], Vec::new())]);
    assert_eq!(apply(&mut own, &split), 1);
    assert_eq!(fields(own.piece()), 1);
}

#[test]
fn a_branch_is_emptied_only_by_a_verdict_that_splits_it() {
    let mut own = working(&[]);
    assert!(!apply(&mut own, &[field(1)], &NONE).unwrap().emptied);
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let made = apply(&mut own, &[], &decided(vec![apart(&all[..1])])).unwrap();
    assert_eq!((made.decided, made.emptied), (vec![vec![1]], false));
    let made = apply(&mut own, &[], &decided(vec![apart(&all[1..])])).unwrap();
    assert_eq!((made.decided, made.emptied), (vec![vec![2]], true));
    let mut own = working(&["a@y.test"]);
    let all = ids(&own);
    let made = apply(&mut own, &[], &forks(vec![fork(&all, Vec::new())])).unwrap();
    assert_eq!((made.forks, made.emptied), (vec![1], true));
}

#[test]
fn whoever_was_dealt_with_is_known_and_who_goes_on_is_not_dealt_with() {
    let mut own = working(&["a@y.test", "b@y.test", "c@y.test"]);
    let all = ids(&own);
    let goes_on = Apart {
        recipients: vec![all[1]],
        goes_on: true,
    };
    let split = decided(vec![
        apart(&all[..1]),
        goes_on,
        apart(&[RecipientId::new()]),
    ]);
    let made = apply(&mut own, &[], &split).unwrap();
    assert_eq!(made.decided, [vec![1], vec![2], vec![]]);
    let dealt: Vec<_> = own.dealt_with().iter().map(|one| one.id).collect();
    assert_eq!(dealt, all[..1]);
    assert_eq!(ids(&own), all[2..]);
    assert!(own.recipient(all[0]).is_none() && own.recipient(all[1]).is_none());
    let numbers: Vec<u32> = own.pieces().map(|piece| piece.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
}

#[test]
fn a_fork_that_is_left_by_all_is_none() {
    let mut own = working(&["a@y.test", "b@y.test", "c@y.test"]);
    let all = ids(&own);
    let split = Split {
        decided: vec![apart(&all[..1])],
        forks: vec![fork(&all[..1], Vec::new()), fork(&all[1..2], Vec::new())],
    };
    let made = apply(&mut own, &[], &split).unwrap();
    assert_eq!((made.forks, made.decided), (vec![2], vec![vec![3]]));
    let numbers: Vec<u32> = own.pieces().map(|piece| piece.number).collect();
    assert_eq!(numbers, [0, 2, 3]);
    assert_eq!(ids(&own), all[2..]);
}

#[test]
fn a_fork_of_nobody_is_none_and_numbers_go_on() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let stranger = [RecipientId::new()];
    let split = forks(vec![
        fork(&stranger, vec![field(1)]),
        fork(&all[..1], Vec::new()),
    ]);
    let made = apply(&mut own, &[], &split).unwrap();
    assert_eq!(made.forks, [1]);
    let again = apply(&mut own, &[], &forks(vec![fork(&all[1..], Vec::new())])).unwrap();
    assert_eq!(again.forks, [2]);
    assert_eq!(own.pieces().count(), 3);
}

/// Each edit that names a recipient, as it is and with what is left of it where that recipient is elsewhere.
fn naming(id: RecipientId) -> [Edit; 4] {
    [
        Edit::RemoveRecipient { id },
        Edit::RewriteRecipient {
            id,
            address: testing::path("new@y.test"),
        },
        Edit::SetParameter {
            of: Some(id),
            parameter: ParameterEdit::Orcpt(None),
        },
        property(PropertyScope::Recipient(id), 3),
    ]
}

#[test]
fn edits_of_who_is_in_another_branch_or_dealt_with_are_left_out() {
    let start = working(&["a@y.test", "b@y.test", "c@y.test", "d@y.test"]);
    let all = ids(&start);
    for split in [
        forks(vec![fork(&all[..1], Vec::new())]),
        decided(vec![apart(&all[..1])]),
    ] {
        for place in 0..4 {
            let mut own = start.clone();
            apply(&mut own, &[], &split).unwrap();
            let before = own.draft().recipients.clone();
            let [elsewhere, here, stranger] =
                [all[0], all[1], RecipientId::new()].map(|id| naming(id)[place].clone());
            apply(&mut own, &[elsewhere], &NONE).unwrap();
            assert_eq!(own.draft().recipients, before);
            apply(&mut own, &[here], &NONE).unwrap();
            // The parameter was not there to be removed.
            assert_eq!(own.draft().recipients == before, place == 2);
            // Who never was a recipient is a mistake.
            assert!(apply(&mut own, &[stranger], &NONE).is_err());
        }
        // To retain some: of those who are elsewhere nothing is said.
        let mut own = start.clone();
        apply(&mut own, &[], &split).unwrap();
        let retain = |ids: &[RecipientId]| [Edit::RetainRecipients { ids: ids.to_vec() }];
        apply(&mut own, &retain(&all[..1]), &NONE).unwrap();
        assert_eq!(ids(&own), all[1..]);
        apply(&mut own, &retain(&all[..2]), &NONE).unwrap();
        assert_eq!(ids(&own), all[1..2]);
    }
}

#[test]
fn edits_within_a_fork_are_those_of_its_recipients() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let add = Edit::AddRecipient(NewRecipient::new(testing::path("new@y.test")));
    let mut edits = naming(all[1]).to_vec();
    edits.push(add);
    let made = apply(&mut own, &[], &forks(vec![fork(&all[..1], edits)])).unwrap();
    assert_eq!(ids(&own), all[1..]);
    own.enter(made.forks[0]);
    let addresses: Vec<&str> = own
        .draft()
        .recipients
        .iter()
        .map(|one| one.address.mailbox().unwrap().as_str())
        .collect();
    assert_eq!(addresses, ["a@y.test", "new@y.test"]);
}

#[test]
fn orders_are_of_the_branch_that_they_were_given_for() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let class = |name: &str| Order::RoutingClass(name.to_owned());
    let mut split = forks(vec![fork(&all[..1], Vec::new())]);
    split.forks[0].orders = vec![class("forked"), Order::Priority(-5)];
    let limits = EditLimits::default();
    let mut none = Properties::new();
    own.apply("s", &[], &[class("rest")], &split, &mut none, &limits)
        .unwrap();
    let seen = |own: &Working| {
        let class = own.piece().orders.handling.routing_class.clone();
        (class.unwrap(), own.draft().envelope.priority)
    };
    assert_eq!(seen(&own), ("rest".to_owned(), 0));
    own.enter(1);
    assert_eq!(seen(&own), ("forked".to_owned(), -5));
}

#[test]
fn a_verdict_that_fails_in_a_fork_changes_nothing_at_all() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let before = own.clone();
    let unknown = Edit::RemoveRecipient {
        id: RecipientId::new(),
    };
    let edits = [property(PropertyScope::Session, 1)];
    let mut session = Properties::new();
    let limits = EditLimits::default();
    for split in [
        forks(vec![
            fork(&all[..1], Vec::new()),
            fork(&all[1..], vec![unknown.clone()]),
        ]),
        forks(vec![fork(
            &all[..1],
            vec![property(PropertyScope::Session, 1), unknown],
        )]),
    ] {
        let failed = own.apply("s", &edits, &[], &split, &mut session, &limits);
        assert!(failed.is_err());
        assert!(session.is_empty());
        assert_eq!(own.piece(), before.piece());
        assert_eq!((own.clock(), own.pieces().count()), (before.clock(), 1));
    }
}
