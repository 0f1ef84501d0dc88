//! What every driver of a store has to do: lists for people.

use std::sync::Arc;

use postern_message::RecipientState;
use postern_smtp::address::{ForwardPath, ReversePath};

use super::{Rig, status};
use crate::sample::{commit, content, due, new, time};
use crate::{
    Backlog, DestinationChange, Due, Filter, FromSender, MessageUpdate, Page, Pattern,
    RecipientChange, Seized, SpoolError, Stage, StageKind, Waiting,
};

pub(crate) async fn a_list_has_pages_and_filters(rig: &dyn Rig) {
    let spool = rig.open();
    let mut ids = Vec::new();
    for seed in 0..7 {
        let mut new = new(&*spool, &content(100 + seed, seed as u64)).await;
        if seed == 3 {
            new.stage = Stage::Quarantined {
                event: "inbound.message".to_owned(),
                by: "b".to_owned(),
                why: "w".to_owned(),
            };
            new.due = Due::Never;
        }
        ids.push(new.message.id);
        spool.insert(new).await.unwrap();
    }
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = Page { after, limit: 3 };
        let entries = spool.list(&Filter::default(), page).await.unwrap();
        assert!(entries.len() <= 3);
        let Some(last) = entries.last() else { break };
        after = Some(last.id);
        found.extend(entries);
    }
    let listed: Vec<_> = found.iter().map(|entry| entry.id).collect();
    assert_eq!(listed, ids);
    let first = &found[0];
    assert_eq!((first.size, first.recipients, first.attempts), (100, 2, 0));
    assert_eq!((first.received, first.due), (time(0), Some(time(0))));
    assert_eq!(
        (first.server.as_str(), first.sender.as_str()),
        ("inbound", "")
    );
    assert_eq!(first.reason, None);
    let list = async |filter: Filter| {
        let entries = spool.list(&filter, Page::default()).await.unwrap();
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    let kept = list(Filter {
        stage: Some(StageKind::Quarantined),
        ..Filter::default()
    });
    assert_eq!(kept.await, [ids[3]]);
    let nobody = list(Filter {
        sender: Some(Pattern::new("a@example.test")),
        ..Filter::default()
    });
    assert_eq!(nobody.await, []);
    let null = list(Filter {
        sender: Some(Pattern::new("")),
        received_before: Some(time(1)),
        ..Filter::default()
    });
    assert_eq!(null.await, ids);
    let old = list(Filter {
        received_before: Some(time(0)),
        ..Filter::default()
    });
    assert_eq!(old.await, []);
}

pub(crate) async fn what_waits_for_a_destination_is_listed_until_it_is_done(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let other = commit(&*spool, &content(100, 2)).await;
    let waiting = |destination: &str| Waiting {
        destination: destination.to_owned(),
        due: time(60),
        recipients: 2,
        attempts: 1,
        reason: "450 busy".to_owned(),
    };
    let mut update = MessageUpdate::new(id);
    update.destinations = ["one", "two"]
        .map(|one| DestinationChange::Waits(waiting(one)))
        .into();
    spool.update(update).await.unwrap();
    let at = async |destination: &str| {
        let filter = Filter {
            destination: Some(Pattern::new(destination)),
            ..Filter::default()
        };
        spool.list(&filter, Page::default()).await.unwrap()
    };
    let found = at("two").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].waiting, [waiting("one"), waiting("two")]);
    let backlogs = spool.backlogs(9).await.unwrap();
    let backlog = |destination: &str| Backlog {
        destination: destination.to_owned(),
        messages: 1,
        recipients: 2,
        next: time(60),
        reason: "450 busy".to_owned(),
    };
    assert_eq!(backlogs, [backlog("one"), backlog("two")]);
    assert_eq!(spool.backlogs(1).await.unwrap(), [backlog("one")]);
    let mut update = MessageUpdate::new(id);
    update.destinations = vec![DestinationChange::Done("two".to_owned())];
    spool.update(update).await.unwrap();
    assert_eq!(at("two").await, []);
    assert_eq!(at("one").await.len(), 1);
    spool.remove(id).await.unwrap();
    assert_eq!(at("one").await, []);
    assert!(spool.load(other).await.unwrap().is_some());
}

pub(crate) async fn what_is_put_aside_is_not_due_and_says_why(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    spool.put_aside(id, "torn".to_owned()).await.unwrap();
    assert_eq!(due(&*spool, time(9), 9).await, []);
    assert!(matches!(
        spool.load(id).await,
        Err(SpoolError::Damaged { .. })
    ));
    let filter = Filter {
        stage: Some(StageKind::Damaged),
        ..Filter::default()
    };
    let list = spool.list(&filter, Page::default()).await.unwrap();
    assert_eq!(list[0].reason.as_deref(), Some("torn"));
    // Whoever had it in hand comes too late.
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::At(time(1)));
    update.stage = Some(Stage::Deliver);
    spool.update(update).await.unwrap();
    assert_eq!(due(&*spool, time(9), 9).await, []);
    assert_eq!(spool.counts().await.unwrap().damaged, 1);
    spool.remove(id).await.unwrap();
    assert_eq!(spool.counts().await.unwrap().damaged, 0);
}

pub(crate) async fn what_waits_for_a_sink_is_listed_in_its_order_and_taken_before_its_time(
    rig: &dyn Rig,
) {
    let spool = rig.open();
    let mut ids = Vec::new();
    for (seed, waits_for) in ["a", "b", "", "a", "c"].into_iter().enumerate() {
        let mut new = new(&*spool, &content(100, seed as u64)).await;
        new.stage = Stage::Held {
            event: "inbound.message".to_owned(),
            binding: "x".to_owned(),
            since: time(1),
            attempts: 0,
            waits_for: (!waits_for.is_empty()).then(|| waits_for.to_owned()),
        };
        // What came last is due first.
        new.due = Due::At(time(1000 - seed as u64));
        ids.push(new.message.id);
        spool.insert(new).await.unwrap();
    }
    let waiting = async |spool: &dyn crate::Store, of: &[&str]| {
        let filter = Filter {
            waits_for: of.iter().map(|&name| name.to_owned()).collect(),
            ..Filter::default()
        };
        let entries = spool.list(&filter, Page::default()).await.unwrap();
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>()
    };
    assert_eq!(
        waiting(&*spool, &["a", "b"]).await,
        [ids[0], ids[1], ids[3]]
    );
    drop(spool);
    let spool = rig.open();
    assert_eq!(waiting(&*spool, &["a"]).await, [ids[0], ids[3]]);
    let taken = spool.take(ids[0]).await.unwrap().unwrap();
    assert_eq!((taken.lease.message, taken.due), (ids[0], time(1000)));
    assert!(
        spool.take(ids[0]).await.unwrap().is_none(),
        "it has a holder"
    );
    assert_eq!(
        due(&*spool, time(2000), 99).await.len(),
        4,
        "nobody else is given it"
    );
    // Given back it is due as it was.
    spool.release(taken.lease, None);
    assert_eq!(due(&*spool, time(999), 99).await.len(), 4);
    assert!(due(&*spool, time(1000), 99).await.contains(&ids[0]));
    let mut update = MessageUpdate::new(ids[3]);
    update.stage = Some(Stage::submit());
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    assert_eq!(waiting(&*spool, &["a"]).await, [ids[0]]);
    assert!(
        spool.take(ids[3]).await.unwrap().is_none(),
        "it is not due at all"
    );
}

pub(crate) async fn every_filter_finds_its_own_and_no_other(rig: &dyn Rig) {
    let spool = rig.open();
    let mut ids = Vec::new();
    for (seed, (sender, recipient)) in [
        ("<Alice@Sender.test>", "<bob@example.test>"),
        ("<bounce_1@list.test>", "<carol@example.test>"),
        ("<bounceX1@list.test>", "<carol@example.test>"),
        ("<>", "<\"d d\"@example.test>"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut new = new(&*spool, &content(1000 + seed * 1000, seed as u64)).await;
        let mut message = (*new.message).clone();
        message.envelope.sender = ReversePath::parse(sender.as_bytes(), false).unwrap();
        message.recipients[0].address = ForwardPath::parse(recipient.as_bytes(), false).unwrap();
        message.recipients[1].given =
            Some(ForwardPath::parse(b"<alias@example.test>", false).unwrap());
        new.message = Arc::new(message);
        new.stage = match seed {
            0 => Stage::Quarantined {
                by: "scan".to_owned(),
                why: "eicar 100%".to_owned(),
                event: "inbound.message".to_owned(),
            },
            1 => Stage::Held {
                event: "inbound.message".to_owned(),
                binding: "scan".to_owned(),
                since: time(1),
                attempts: 0,
                waits_for: None,
            },
            2 => Stage::OnHold {
                was: Box::new(Stage::Deliver),
                by: "uid 7".to_owned(),
                why: String::new(),
                since: time(1),
            },
            _ => Stage::Deliver,
        };
        ids.push(new.message.id);
        spool.insert(new).await.unwrap();
    }
    let last = spool.load(ids[3]).await.unwrap().unwrap();
    let mut update = MessageUpdate::new(ids[3]);
    update.recipients = vec![RecipientChange {
        id: last.message.recipients[0].id,
        state: RecipientState::Pending {
            attempts: 3,
            due: Some(time(60)),
            last: Some(status("connection timed out")),
        },
    }];
    spool.update(update).await.unwrap();
    let found = async |filter: Filter| {
        let entries = spool.list(&filter, Page::default()).await.unwrap();
        let places = entries
            .iter()
            .map(|entry| ids.iter().position(|id| *id == entry.id));
        places.map(Option::unwrap).collect::<Vec<_>>()
    };
    let all = Filter::default;
    let pattern = |text: &str| Some(Pattern::new(text));
    for (what, filter, expected) in [
        (
            "id",
            Filter {
                id: Some(ids[2]),
                ..all()
            },
            &[2][..],
        ),
        (
            "sender",
            Filter {
                sender: pattern("alice@sender.TEST"),
                ..all()
            },
            &[0],
        ),
        (
            "no wildcard of SQL",
            Filter {
                sender: pattern("bounce_1@list.test"),
                ..all()
            },
            &[1],
        ),
        (
            "a domain",
            Filter {
                sender: pattern("*@list.test"),
                ..all()
            },
            &[1, 2],
        ),
        (
            "the null path",
            Filter {
                sender: pattern(""),
                ..all()
            },
            &[3],
        ),
        (
            "recipient",
            Filter {
                recipient: pattern("CAROL@*"),
                ..all()
            },
            &[1, 2],
        ),
        (
            "given",
            Filter {
                recipient: pattern("alias@example.test"),
                ..all()
            },
            &[0, 1, 2, 3],
        ),
        (
            "nobody",
            Filter {
                recipient: pattern("alias"),
                ..all()
            },
            &[],
        ),
        (
            "reason",
            Filter {
                reason: Some(Pattern::containing("100%")),
                ..all()
            },
            &[0],
        ),
        (
            "last reply",
            Filter {
                reason: Some(Pattern::containing("TIMED")),
                ..all()
            },
            &[3],
        ),
        (
            "larger",
            Filter {
                larger_than: Some(3000),
                ..all()
            },
            &[3],
        ),
        (
            "attempts",
            Filter {
                attempts: Some(3),
                ..all()
            },
            &[3],
        ),
        (
            "too many attempts",
            Filter {
                attempts: Some(4),
                ..all()
            },
            &[],
        ),
        (
            "binding",
            Filter {
                kept_by: Some("scan".to_owned()),
                ..all()
            },
            &[0, 1],
        ),
        (
            "another binding",
            Filter {
                kept_by: Some("sca".to_owned()),
                ..all()
            },
            &[],
        ),
        (
            "on hold",
            Filter {
                stage: Some(StageKind::OnHold),
                ..all()
            },
            &[2],
        ),
    ] {
        assert_eq!(found(filter).await, expected, "{what}");
    }
    // What is looked for in records goes page by page too.
    let filter = Filter {
        recipient: pattern("carol@*"),
        ..all()
    };
    let page = Page {
        after: Some(ids[1]),
        limit: 1,
    };
    let entries = spool.list(&filter, page).await.unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.id).collect::<Vec<_>>(),
        [ids[2]]
    );
    assert_eq!(spool.counts().await.unwrap().on_hold, 1);
    let senders = spool.senders(9).await.unwrap();
    assert_eq!(senders.len(), 4);
    let null = FromSender {
        sender: String::new(),
        messages: 1,
        octets: 4000,
        oldest: time(0),
    };
    assert_eq!(senders[0], null);
    assert_eq!(spool.senders(2).await.unwrap().len(), 2);
}

pub(crate) async fn what_is_on_hold_waits_for_nothing_until_it_goes_on(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let mut update = MessageUpdate::new(id);
    update.stage = Some(Stage::Deliver);
    update.destinations = vec![DestinationChange::Waits(Waiting {
        destination: "one".to_owned(),
        due: time(60),
        recipients: 2,
        attempts: 1,
        reason: "450 busy".to_owned(),
    })];
    spool.update(update).await.unwrap();
    let change = async |stage: Stage, due: Due| {
        let mut update = MessageUpdate::new(id);
        update.stage = Some(stage);
        update.due = Some(due);
        spool.update(update).await.unwrap();
    };
    let held = Stage::OnHold {
        was: Box::new(Stage::Deliver),
        by: "uid 0".to_owned(),
        why: "a loop".to_owned(),
        since: time(2),
    };
    change(held.clone(), Due::Never).await;
    assert_eq!(due(&*spool, time(99), 9).await, []);
    assert_eq!(spool.backlogs(9).await.unwrap(), []);
    let filter = Filter {
        destination: Some(Pattern::new("one")),
        ..Filter::default()
    };
    let listed = spool.list(&filter, Page::default()).await.unwrap();
    assert_eq!(
        listed[0].reason.as_deref(),
        Some("on hold by uid 0: a loop")
    );
    assert_eq!(spool.load(id).await.unwrap().unwrap().stage, held);
    change(Stage::Deliver, Due::At(time(60))).await;
    assert_eq!(spool.backlogs(9).await.unwrap().len(), 1);
    assert_eq!(due(&*spool, time(99), 9).await, [id]);
}

pub(crate) async fn whatever_nobody_has_can_be_seized(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    assert!(spool.take(id).await.unwrap().is_none());
    let Seized::Taken { lease, weight } = spool.seize(id).await.unwrap() else {
        panic!("nobody has it");
    };
    assert!(weight > 0);
    assert_eq!(spool.seize(id).await.unwrap(), Seized::Busy);
    // What is committed under the claim counts when it is given back.
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::At(time(5)));
    spool.update(update).await.unwrap();
    assert_eq!(due(&*spool, time(9), 9).await, []);
    spool.release(lease, None);
    assert_eq!(due(&*spool, time(9), 9).await, [id]);
    let claimed = spool.claim(time(9), 1, "worker").await.unwrap()[0].lease;
    assert_eq!(spool.seize(id).await.unwrap(), Seized::Busy);
    spool.remove(id).await.unwrap();
    spool.release(claimed, None);
    assert_eq!(spool.seize(id).await.unwrap(), Seized::Gone);
}
