//! What every driver of a store has to do: messages, batches, due times.

use std::sync::Arc;

use postern_message::{Message, MessageId, RecipientState, Version};

use super::{Rig, status};
use crate::sample::{commit, content, due, message, new, read, time};
use crate::{
    Batch, Due, MessageUpdate, NewMessage, RecipientChange, Rendered, SpoolError, Stage, UsedKey,
};

pub(crate) async fn what_was_committed_is_there_after_a_restart(rig: &dyn Rig) {
    let mut spool = rig.open();
    let mut sent = Vec::new();
    for size in [
        0,
        1,
        200,
        32 * 1024,
        32 * 1024 + 1,
        256 * 1024 - 1,
        256 * 1024,
        300_000,
        1_500_000,
    ] {
        let content = content(size, size as u64);
        let new = new(&*spool, &content).await;
        let message = Arc::clone(&new.message);
        spool.insert(new).await.unwrap();
        sent.push((message, content));
    }
    for _ in 0..2 {
        for (message, content) in &sent {
            let loaded = spool.load(message.id).await.unwrap().unwrap();
            assert_eq!(&loaded.message, message);
            assert_eq!(loaded.due, Due::At(time(0)));
            assert_eq!(loaded.stage, Stage::submit());
            assert_eq!(read(&*loaded.content).await, *content);
        }
        spool = {
            drop(spool);
            rig.open()
        };
        assert_eq!(spool.counts().await.unwrap().submit, sent.len() as u64);
    }
    assert!(spool.load(MessageId::new()).await.unwrap().is_none());
}

pub(crate) async fn a_version_is_read_as_it_is_to_be_delivered(rig: &dyn Rig) {
    let spool = rig.open();
    for size in [1000, 100_000, 300_000] {
        let content = content(size, 2);
        let mut new = new(&*spool, &content).await;
        let trace = bytes::Bytes::from_static(b"Received: now\r\n");
        let received = new.message.version.headers().len();
        let version: Version = new.message.version.put_trace(trace, received).unwrap();
        new.message = Arc::new(Message {
            version,
            ..(*new.message).clone()
        });
        let id = new.message.id;
        spool.insert(new).await.unwrap();
        let loaded = spool.load(id).await.unwrap().unwrap();
        let rendered = Rendered::new(&loaded.message.version, loaded.content).unwrap();
        let expected = [b"Received: now\r\n", content.as_ref()].concat();
        assert_eq!(rendered.size(), expected.len() as u64);
        assert_eq!(read(&rendered).await, expected);
    }
}

pub(crate) async fn stage_due_time_and_recipients_change_apart(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(500, 1)).await;
    let before = spool.load(id).await.unwrap().unwrap().message;
    let held = Stage::Held {
        event: "transport.submit".to_owned(),
        binding: "b".to_owned(),
        since: time(9),
        attempts: 2,
        waits_for: Some("b".to_owned()),
    };
    let state = RecipientState::Pending {
        attempts: 1,
        due: Some(time(60)),
        last: Some(status("later")),
    };
    let mut update = MessageUpdate::new(id);
    update.stage = Some(held.clone());
    update.due = Some(Due::At(time(60)));
    update.recipients = vec![RecipientChange {
        id: before.recipients[1].id,
        state: state.clone(),
    }];
    spool.update(update).await.unwrap();
    let after = spool.load(id).await.unwrap().unwrap();
    assert_eq!(after.stage, held);
    assert_eq!(after.due, Due::At(time(60)));
    assert_eq!(after.message.recipients[0], before.recipients[0]);
    assert_eq!(after.message.recipients[1].state, state);
    let counts = spool.counts().await.unwrap();
    assert_eq!((counts.submit, counts.held), (0, 1));

    // A new record is the whole truth about the recipients.
    let mut update = MessageUpdate::new(id);
    update.message = Some(Arc::clone(&before));
    update.due = Some(Due::Never);
    spool.update(update).await.unwrap();
    let after = spool.load(id).await.unwrap().unwrap();
    assert_eq!(after.message, before);
    assert_eq!(after.due, Due::Never);
}

pub(crate) async fn a_batch_is_all_or_nothing_and_spoils_no_other(rig: &dyn Rig) {
    let spool = rig.open();
    let (first, second, third) = (
        new(&*spool, &content(40_000, 1)).await,
        new(&*spool, &content(40_000, 2)).await,
        new(&*spool, &content(40_000, 3)).await,
    );
    let ids = [&first, &second, &third].map(|new| new.message.id);
    let mut stranger = MessageUpdate::new(MessageId::new());
    stranger.due = Some(Due::Never);
    let unknown = stranger.id;
    let bad = Batch {
        insert: vec![second],
        update: vec![stranger],
        remove: Vec::new(),
        ..Batch::default()
    };
    // Asked at once, so that they meet in one transaction.
    let (a, b, c) = tokio::join!(
        spool.insert(first),
        spool.commit(bad, &[]),
        spool.insert(third)
    );
    assert!(a.is_ok() && c.is_ok());
    assert!(matches!(b, Err(SpoolError::Unknown(id)) if id == unknown));
    assert!(spool.load(ids[0]).await.unwrap().is_some());
    assert!(spool.load(ids[1]).await.unwrap().is_none());
    assert!(spool.load(ids[2]).await.unwrap().is_some());
    assert_eq!(spool.counts().await.unwrap().submit, 2);
}

pub(crate) async fn a_notification_comes_with_the_failure_that_it_is_about(rig: &dyn Rig) {
    let spool = rig.open();
    let id = commit(&*spool, &content(500, 1)).await;
    let dsn = new(&*spool, &content(600, 2)).await;
    let dsn_id = dsn.message.id;
    let recipient = spool.load(id).await.unwrap().unwrap().message.recipients[0].id;
    let mut update = MessageUpdate::new(id);
    update.recipients = vec![RecipientChange {
        id: recipient,
        state: RecipientState::Failed(status("no")),
    }];
    update.insert = vec![dsn];
    let batch = Batch {
        update: vec![update],
        remove: vec![id],
        ..Batch::default()
    };
    spool.commit(batch, &[]).await.unwrap();
    assert!(spool.load(id).await.unwrap().is_none());
    assert!(spool.load(dsn_id).await.unwrap().is_some());
}

pub(crate) async fn an_id_is_committed_once(rig: &dyn Rig) {
    let spool = rig.open();
    let new = new(&*spool, &content(500, 1)).await;
    let again = NewMessage {
        message: Arc::clone(&new.message),
        body: new.body.clone(),
        stage: Stage::Deliver,
        due: Due::Never,
    };
    let id = new.message.id;
    spool.insert(new).await.unwrap();
    let result = spool.insert(again).await;
    assert!(matches!(result, Err(SpoolError::Duplicate(twice)) if twice == id));
}

pub(crate) async fn a_message_whose_content_still_arrives_is_not_committed(rig: &dyn Rig) {
    let spool = rig.open();
    let mut new = new(&*spool, &content(500, 1)).await;
    let mut parser = postern_message::HeaderParser::new(Default::default());
    let section = parser.feed(&content(500, 1)).unwrap().unwrap();
    new.message = Arc::new(Message {
        version: Version::original(&section, None),
        ..message(b"", 1)
    });
    let result = spool.insert(new).await;
    assert!(matches!(result, Err(SpoolError::Incomplete(_))));
}

pub(crate) async fn messages_are_due_in_their_order(rig: &dyn Rig) {
    let spool = rig.open();
    let mut ids = Vec::new();
    for seconds in [30, 10, 20] {
        let mut new = new(&*spool, &content(100, seconds)).await;
        new.due = Due::At(time(seconds));
        ids.push(new.message.id);
        spool.insert(new).await.unwrap();
    }
    let mut never = new(&*spool, &content(100, 9)).await;
    never.due = Due::Never;
    spool.insert(never).await.unwrap();
    assert_eq!(due(&*spool, time(9), 9).await, []);
    assert_eq!(due(&*spool, time(20), 9).await, [ids[1], ids[2]]);
    assert_eq!(due(&*spool, time(99), 2).await, [ids[1], ids[2]]);
    let held = spool.claim(time(10), 9, "test").await.unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!(due(&*spool, time(99), 9).await, [ids[2], ids[0]]);
    assert_eq!(spool.next_due().await.unwrap(), Some(time(20)));
    spool.release(held[0].lease, None);
    assert_eq!(spool.next_due().await.unwrap(), Some(time(10)));
    let all = spool.claim(time(99), 9, "test").await.unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(spool.next_due().await.unwrap(), None);
}

fn used(key: &str, messages: &[MessageId], seconds: u64) -> UsedKey {
    UsedKey {
        owner: "sandbox".to_owned(),
        key: key.as_bytes().to_vec(),
        messages: messages.to_vec(),
        at: time(seconds),
    }
}

pub(crate) async fn a_key_is_used_once(rig: &dyn Rig) {
    let spool = rig.open();
    let first = new(&*spool, &content(300, 1)).await;
    let id = first.message.id;
    let batch = Batch {
        insert: vec![first],
        keys: vec![used("k", &[id], 1)],
        ..Batch::default()
    };
    spool.commit(batch, &[]).await.unwrap();
    let again = new(&*spool, &content(300, 2)).await;
    let second = again.message.id;
    let batch = Batch {
        insert: vec![again],
        keys: vec![used("k", &[second], 2)],
        ..Batch::default()
    };
    let refused = spool.commit(batch, &[]).await.unwrap_err();
    assert!(matches!(refused, SpoolError::KeyUsed(_)), "{refused}");
    assert!(
        spool.load(second).await.unwrap().is_none(),
        "nothing of it is done"
    );
    drop(spool);
    let spool = rig.open();
    let known = spool.used("sandbox", b"k").await.unwrap();
    assert_eq!(known, Some(used("k", &[id], 1)));
    // Another one of the same name is another's.
    assert_eq!(spool.used("archive", b"k").await.unwrap(), None);
    assert_eq!(spool.used("sandbox", b"l").await.unwrap(), None);
}

pub(crate) async fn a_key_is_known_for_a_day_and_while_its_messages_are_here(rig: &dyn Rig) {
    const DAY: u64 = 24 * 3600;
    let spool = rig.open();
    let here = commit(&*spool, &content(300, 1)).await;
    let use_up = async |key: UsedKey| {
        let batch = Batch {
            keys: vec![key],
            ..Batch::default()
        };
        spool.commit(batch, &[]).await.unwrap();
    };
    use_up(used("here", &[here], 0)).await;
    use_up(used("gone", &[MessageId::new()], 0)).await;
    let is_known = async |key: &str| {
        let found = spool.used("sandbox", key.as_bytes()).await.unwrap();
        found.is_some()
    };
    use_up(used("a", &[], DAY)).await;
    assert!(is_known("here").await && is_known("gone").await);
    use_up(used("b", &[], DAY + 1)).await;
    assert!(is_known("here").await && !is_known("gone").await);
    spool.remove(here).await.unwrap();
    // It is looked at again an hour later.
    use_up(used("c", &[], DAY + 2)).await;
    assert!(is_known("here").await);
    use_up(used("d", &[], DAY + 3602)).await;
    assert!(!is_known("here").await && is_known("d").await);
}
