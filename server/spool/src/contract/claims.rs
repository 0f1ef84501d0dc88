//! What every driver of a store has to do: claims.

use std::collections::HashSet;

use super::Rig;
use crate::sample::{commit, content, due, time};
use crate::{Batch, Due, MessageUpdate, SpoolError};

pub(crate) async fn a_claim_is_one_holders(rig: &dyn Rig) {
    let spool = rig.open();
    for seed in 0..10 {
        commit(&*spool, &content(100, seed)).await;
    }
    let (one, two) = tokio::join!(
        spool.claim(time(1), 6, "one"),
        spool.claim(time(1), 6, "two")
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    let ids: HashSet<_> = one
        .iter()
        .chain(&two)
        .map(|claimed| claimed.lease.message)
        .collect();
    assert_eq!((one.len() + two.len(), ids.len()), (10, 10));
    assert!(
        one.iter()
            .all(|claimed| claimed.due == time(0) && claimed.weight > 0)
    );
    let leases: Vec<_> = one.iter().map(|claimed| claimed.lease).collect();
    assert_eq!(spool.renew(&leases).await.unwrap(), []);
    // A restart forgets claims: who held them is gone.
    drop(spool);
    let spool = rig.open();
    assert_eq!(due(&*spool, time(1), 99).await.len(), 10);
}

pub(crate) async fn a_change_under_a_claim_that_ended_is_refused(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let old = spool.claim(time(1), 1, "one").await.unwrap()[0].lease;
    spool.release(old, None);
    let held = spool.claim(time(1), 1, "two").await.unwrap()[0].lease;
    assert_ne!(held.token, old.token);
    assert_eq!(spool.renew(&[old, held]).await.unwrap(), [old]);
    let remove = || Batch {
        remove: vec![id],
        ..Batch::default()
    };
    let refused = spool.commit(remove(), &[old]).await;
    assert!(matches!(refused, Err(SpoolError::LeaseLost(lost)) if lost == id));
    assert!(spool.load(id).await.unwrap().is_some());
    spool.commit(remove(), &[held]).await.unwrap();
    assert!(spool.load(id).await.unwrap().is_none());
}

pub(crate) async fn what_is_given_back_is_not_claimed_before_its_time(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let held = spool.claim(time(1), 1, "one").await.unwrap()[0].lease;
    spool.release(held, Some(time(30)));
    assert_eq!(due(&*spool, time(29), 9).await, []);
    assert_eq!(spool.next_due().await.unwrap(), Some(time(30)));
    // A change of its due time under the claim counts when it is given back.
    let held = spool.claim(time(30), 1, "one").await.unwrap()[0].lease;
    let mut update = MessageUpdate::new(id);
    update.due = Some(Due::At(time(50)));
    spool.update(update).await.unwrap();
    spool.release(held, None);
    assert_eq!(due(&*spool, time(49), 9).await, []);
    assert_eq!(due(&*spool, time(50), 9).await, [id]);
}

pub(crate) async fn a_new_message_is_adopted_once(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let lease = spool.adopt(id, time(0)).unwrap();
    assert_eq!(spool.adopt(id, time(0)), None);
    assert_eq!(due(&*spool, time(1), 9).await, []);
    spool.release(lease, None);
    assert_eq!(due(&*spool, time(1), 9).await, [id]);
}

/// Found by a search and done before whoever committed it comes to hand it over: it is not to be delivered again.
pub(crate) async fn a_message_that_was_worked_on_is_not_new(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(100, 1)).await;
    let lease = spool.claim(time(1), 1, "one").await.unwrap()[0].lease;
    spool.remove(id).await.unwrap();
    assert_eq!(spool.adopt(id, time(0)), None, "it is in hand");
    spool.release(lease, None);
    assert_eq!(spool.adopt(id, time(0)), None, "it is done");
}

/// Whatever is claimed, messages that become due later or earlier are found.
pub(crate) async fn ten_thousand_in_hand_hide_nothing(rig: &dyn Rig) {
    let spool = rig.open();
    let body = crate::sample::receive(&*spool, &content(100, 1)).await;
    let mut batch = Batch::default();
    let some = |seconds| {
        let body = body.clone();
        crate::NewMessage {
            message: std::sync::Arc::new(crate::sample::message(&content(100, 1), 1)),
            body,
            stage: crate::Stage::Deliver,
            due: Due::At(time(seconds)),
        }
    };
    batch.insert.extend((0..10_000).map(|_| some(10)));
    spool.commit(batch, &[]).await.unwrap();
    let held = spool.claim(time(10), 10_000, "one").await.unwrap();
    assert_eq!(held.len(), 10_000);
    assert_eq!(spool.next_due().await.unwrap(), None);
    for seconds in [5, 10, 15] {
        let new = some(seconds);
        let id = new.message.id;
        spool.insert(new).await.unwrap();
        assert_eq!(spool.next_due().await.unwrap(), Some(time(seconds)));
        let found = spool.claim(time(20), 9, "one").await.unwrap();
        assert_eq!(found.len(), 1, "{seconds}");
        assert_eq!(found[0].lease.message, id);
    }
}
