#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod changes;
mod splitting;
use std::sync::Arc;

use bytes::Bytes;
use postern_message::{
    Edit, EditError, EditLimits, HeaderId, Lifetime, PropertyError, PropertyScope, Value,
};

use super::*;
use crate::context::{Context, InboundContext, SessionContext};
use crate::order::Order;
use crate::route::NextHop;
use crate::testing;

const NONE: Split = Split {
    decided: Vec::new(),
    forks: Vec::new(),
};

fn working(addresses: &[&str]) -> Working {
    let mut draft = Draft::empty();
    draft.recipients = addresses
        .iter()
        .map(|one| Recipient::new(testing::path(one)))
        .collect();
    draft.version = Some(testing::version(true));
    Working::new(MessageId::new(), draft)
}

fn apart(recipients: &[RecipientId]) -> Apart {
    Apart {
        recipients: recipients.to_vec(),
        goes_on: false,
    }
}

fn ids(working: &Working) -> Vec<RecipientId> {
    working
        .draft()
        .recipients
        .iter()
        .map(|one| one.id)
        .collect()
}

fn apply(working: &mut Working, edits: &[Edit], split: &Split) -> Result<Made, EditError> {
    let limits = EditLimits::default();
    working.apply("s", edits, &[], split, &mut Properties::new(), &limits)
}

fn property(scope: PropertyScope, octets: usize) -> Edit {
    Edit::SetProperty {
        scope,
        key: "k".to_owned(),
        value: Some(Value::String("x".repeat(octets))),
        lifetime: Lifetime::Kept,
    }
}

#[test]
fn a_fork_gets_its_own_edits_and_the_rest_those_of_the_verdict() {
    let mut own = working(&["a@y.test", "b@y.test", "c@y.test"]);
    let all = ids(&own);
    let trunk = own.piece().id;
    let split = Split {
        forks: vec![ForkEdits {
            recipients: vec![all[1]],
            edits: vec![Edit::RemoveHeader { id: HeaderId(1) }],
            orders: vec![Order::RoutingClass("bulk".to_owned())],
        }],
        ..Split::default()
    };
    let edits = [Edit::RemoveHeader { id: HeaderId(2) }];
    let made = apply(&mut own, &edits, &split).unwrap();
    assert_eq!((made.forks.len(), made.emptied), (1, false));
    assert_eq!(ids(&own), [all[0], all[2]]);
    let fields = |piece: &Piece| {
        let version = piece.draft.version.as_ref().unwrap();
        version
            .headers()
            .iter()
            .map(|field| field.id().0)
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(own.piece()), [1]);
    own.enter(made.forks[0]);
    assert_eq!(ids(&own), [all[1]]);
    assert_eq!(fields(own.piece()), [2]);
    assert_ne!(own.piece().id, trunk);
    assert_eq!(
        own.piece().orders.handling.routing_class.as_deref(),
        Some("bulk")
    );
    // A fork of a fork.
    let again = Split {
        forks: vec![ForkEdits {
            recipients: vec![all[1]],
            ..ForkEdits::default()
        }],
        ..Split::default()
    };
    let again = apply(&mut own, &[], &again).unwrap();
    assert!(again.emptied);
    assert_ne!(again.forks, made.forks);
    own.enter(TRUNK);
    assert_eq!(ids(&own), [all[0], all[2]]);
    assert_eq!(own.pieces().count(), 3);
}

#[test]
fn who_is_decided_about_leaves_the_branch_also_if_a_fork_has_him() {
    let mut own = working(&["a@y.test", "b@y.test", "c@y.test"]);
    let all = ids(&own);
    let split = Split {
        decided: vec![apart(&all[..2])],
        forks: vec![ForkEdits {
            recipients: vec![all[1], all[2]],
            ..ForkEdits::default()
        }],
    };
    let made = apply(&mut own, &[], &split).unwrap();
    assert!(made.emptied, "one is decided about, the others are forked");
    assert_eq!(made.decided[0].len(), 2, "in the trunk and in the fork");
    let of = |number: u32| {
        let piece = own.pieces().find(|piece| piece.number == number).unwrap();
        piece
            .draft
            .recipients
            .iter()
            .map(|one| one.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(made.forks[0]), [all[2]]);
    let mut decided: Vec<_> = made.decided[0]
        .iter()
        .flat_map(|number| of(*number))
        .collect();
    decided.sort();
    assert_eq!(decided, [all[0], all[1]]);
    assert_eq!(own.dealt_with().len(), 2);
    // Who has been dealt with is passed over.
    let again = Split {
        decided: vec![apart(&all[..1])],
        ..Split::default()
    };
    let again = apply(&mut own, &[], &again).unwrap();
    assert_eq!(again.decided, [Vec::<u32>::new()]);
}

#[test]
fn a_verdict_whose_fork_cannot_be_applied_changes_nothing() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let before = own.clone();
    let unknown = Edit::RemoveHeader { id: HeaderId(9) };
    let split = Split {
        forks: vec![ForkEdits {
            recipients: vec![all[0]],
            edits: vec![unknown.clone()],
            orders: Vec::new(),
        }],
        ..Split::default()
    };
    let mut session = Properties::new();
    let edits = [property(PropertyScope::Session, 5)];
    let limits = EditLimits::default();
    assert!(
        own.apply("s", &edits, &[], &split, &mut session, &limits)
            .is_err()
    );
    assert!(session.is_empty());
    assert_eq!(own.piece(), before.piece());
    assert_eq!(own.pieces().count(), 1);
    let edits = [property(PropertyScope::Session, 5), unknown];
    assert!(
        own.apply("s", &edits, &[], &NONE, &mut session, &limits)
            .is_err()
    );
    assert!(session.is_empty());
    assert_eq!(own.piece(), before.piece());
    assert!(own.recipient(all[1]).is_some());
}

#[test]
fn limits_are_those_that_are_given() {
    let mut own = working(&["a@y.test"]);
    let splice = Edit::SpliceBody {
        offset: 0,
        remove: 0,
        insert: vec![b'x'; 100].into(),
    };
    let size = own.draft().version.as_ref().unwrap().size().unwrap();
    let limits = |message| EditLimits {
        message,
        ..EditLimits::default()
    };
    let mut none = Properties::new();
    let edits = [splice];
    assert!(
        own.apply("s", &edits, &[], &NONE, &mut none, &limits(size + 99))
            .is_err()
    );
    assert!(
        own.apply("s", &edits, &[], &NONE, &mut none, &limits(size + 100))
            .is_ok()
    );
}

#[test]
fn each_sink_has_its_own_room_for_properties() {
    let mut own = working(&["a@y.test"]);
    let mut none = Properties::new();
    let limits = EditLimits::default();
    let fill = |own: &mut Working, sink: &str, none: &mut Properties| {
        let edits = (0..5).map(|n| Edit::SetProperty {
            scope: PropertyScope::Message,
            key: format!("k{n}"),
            value: Some(Value::String("x".repeat(4000))),
            lifetime: Lifetime::Kept,
        });
        let edits: Vec<Edit> = edits.collect();
        let four = own.apply(sink, &edits[..4], &[], &NONE, none, &limits);
        four.unwrap();
        own.apply(sink, &edits[4..], &[], &NONE, none, &limits)
    };
    for sink in ["a", "b", "c"] {
        let over = fill(&mut own, sink, &mut none).unwrap_err();
        assert!(
            matches!(over, EditError::Property(PropertyError::TooLarge { .. })),
            "{over}"
        );
    }
    // What the gateway records is no property, and nobody can push it out.
    own.skip("scanner");
    own.skip("scanner");
    assert_eq!(own.skipped, ["scanner"]);
    assert_eq!(own.draft().properties.len(), 12);
}

#[test]
fn the_journal_tells_each_change_once_and_starts_anew_when_it_is_long() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let told = own.clock();
    for n in 0..3000 {
        apply(
            &mut own,
            &[property(PropertyScope::Recipient(all[0]), n % 7)],
            &NONE,
        )
        .unwrap();
    }
    assert!(own.changes.len() <= 1024 + 4 * 2 + 1);
    let update = own.list_update(told);
    assert!(update.replaces_all && update.changed.len() == 2);
    let told = own.clock();
    apply(
        &mut own,
        &[property(PropertyScope::Recipient(all[0]), 9)],
        &NONE,
    )
    .unwrap();
    apply(&mut own, &[Edit::RemoveRecipient { id: all[0] }], &NONE).unwrap();
    let update = own.list_update(told);
    assert_eq!((update.removed, update.changed.len()), (vec![all[0]], 0));
    assert_eq!(own.list_update(own.clock()), ListUpdate::default());
}

#[test]
fn a_redirect_is_seen_on_its_recipients() {
    let mut own = working(&["a@y.test", "b@y.test"]);
    let all = ids(&own);
    let told = own.clock();
    let redirect = |recipients: &[RecipientId], hops: &[&str]| Order::Redirect {
        recipients: recipients.to_vec(),
        next_hops: hops.iter().map(|hop| NextHop::to(*hop)).collect(),
    };
    let limits = EditLimits::default();
    let mut none = Properties::new();
    let orders = [redirect(&all[..1], &["mx"])];
    own.apply("s", &[], &orders, &NONE, &mut none, &limits)
        .unwrap();
    assert_eq!(own.list_update(told).changed.len(), 1);
    let orders = [redirect(&[], &["smtp://relay"])];
    own.apply("s", &[], &orders, &NONE, &mut none, &limits)
        .unwrap();
    assert_eq!(own.piece().orders.handling.next_hops.len(), 2);
    let orders = [redirect(&all[..1], &[]), Order::Priority(4)];
    own.apply("s", &[], &orders, &NONE, &mut none, &limits)
        .unwrap();
    assert_eq!(own.piece().orders.handling.next_hops.len(), 1);
    assert_eq!(own.draft().envelope.priority, 4);
}

#[test]
fn a_held_message_is_judged_in_its_session_as_it_was() {
    let stored = testing::stored();
    let session = SessionContext::decode(&stored.context).unwrap();
    assert_eq!(session.listener, testing::session().listener);
    let context = InboundContext::of_held(session, &stored);
    let running = context.transaction().unwrap();
    assert!(running.has_begun() && !running.is_finished());
    assert_eq!(running.id(), stored.id);
    let condition = crate::condition::Condition::compile(
        "session.listener == '[::]:25' && session.command_count == 0",
        &[crate::event::EventKind::InboundMessage],
    );
    let question = crate::question::Question::new(crate::inbound::Message::new(stored.id));
    let context = Context::from(context);
    let source = crate::source::Source {
        context: &context,
        question: &question,
    };
    assert_eq!(condition.unwrap().holds(&source), Ok(true));
    assert!(
        crate::context::MessageContext::new(Arc::new(postern_message::Message {
            context: Bytes::from_static(b"\xff"),
            ..stored
        }))
        .is_err()
    );
}
