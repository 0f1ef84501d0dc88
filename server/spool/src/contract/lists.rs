//! What every driver of a store has to do: lists for people.

use super::Rig;
use crate::sample::{commit, content, due, new, time};
use crate::{
    Backlog, DestinationChange, Due, Filter, MessageUpdate, Page, SpoolError, Stage, StageKind,
    Waiting,
};

pub(crate) async fn a_list_has_pages_and_filters(rig: &dyn Rig) {
    let spool = rig.open();
    let mut ids = Vec::new();
    for seed in 0..7 {
        let mut new = new(&*spool, &content(100 + seed, seed as u64)).await;
        if seed == 3 {
            new.stage = Stage::Quarantined {
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
        sender: Some("a@example.test".to_owned()),
        ..Filter::default()
    });
    assert_eq!(nobody.await, []);
    let null = list(Filter {
        sender: Some(String::new()),
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
            destination: Some(destination.to_owned()),
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
