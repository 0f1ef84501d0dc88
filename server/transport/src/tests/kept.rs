//! What is kept for later: at its time, from its place in the chain, and never delivered twice for want of a record.

use std::time::Duration;

use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;
use postern_spool::SpoolError;

use super::judged::{held, proceeds, ruled};
use super::stage::{Play, Script};
use postern_delivery::testing::peer::Peer;

#[tokio::test(start_paused = true)]
async fn a_message_that_is_not_due_is_left_alone_until_it_is() {
    let peer = Peer::with(&[]);
    let play = Play::new(&peer, Script::new(proceeds));
    let wait = Duration::from_secs(20);
    let stage = held(EventKind::InboundMessage)();
    play.accept_due(wait, stage, &["a@example.test"], |_| {})
        .await;
    let took = play.until_empty().await;
    assert!((20..23).contains(&took.as_secs()), "{took:?}");
    assert_eq!(play.judge.asked.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_held_message_that_is_deferred_goes_on_from_who_deferred_it_and_is_edited_once() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| {
            if asked.from.as_deref() != Some("checker") {
                return proceeds(message, asked);
            }
            let wait = Duration::from_secs(60);
            let mut ruling = ruled(message, asked, Decision::Postpone(wait), "second");
            let address = &mut ruling.draft.recipients[0].address;
            let text = address.mailbox().unwrap().as_str().to_owned();
            *address = ForwardPath::parse(format!("<x{text}>").as_bytes(), false).unwrap();
            ruling
        }),
    );
    let stage = held(EventKind::InboundMessage)();
    play.accept_at(stage, &["a@example.test"], |_| {}).await;
    play.until_empty().await;
    let from: Vec<_> = play
        .judge
        .asked
        .lock()
        .iter()
        .map(|asked| asked.from.clone())
        .collect();
    assert_eq!(
        from,
        [Some("checker".to_owned()), Some("second".to_owned()), None]
    );
    assert_eq!(peer.taken()[0].recipients, ["xa@example.test"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_deferred_for_ever_comes_to_its_end() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| match message.envelope.sender.mailbox() {
            Some(_) => ruled(
                message,
                asked,
                Decision::Postpone(Duration::from_secs(600)),
                "checker",
            ),
            None => proceeds(message, asked),
        }),
    );
    let stage = postern_spool::Stage::submit();
    play.accept_at(stage, &["a@example.test"], |message| {
        message.received_at -= Duration::from_secs(7100);
    })
    .await;
    let took = play.until_empty().await;
    assert!((600..660).contains(&took.as_secs()), "{took:?}");
    assert_eq!(peer.taken()[0].recipients, ["from@sender.test"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_recorded_is_not_delivered_again() {
    let failures: [(fn() -> SpoolError, bool); 2] = [
        (|| SpoolError::NoSpace, true),
        (|| SpoolError::Failed("on purpose".to_owned()), false),
    ];
    for (failure, passes) in failures {
        let peer = Peer::with(&[]);
        let play = Play::new(&peer, Script::default());
        let wait = Duration::from_secs(1);
        let stage = postern_spool::Stage::submit();
        play.accept_due(wait, stage, &["a@example.test"], |_| {})
            .await;
        *play.store.fails.lock() = Some(failure);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        *play.store.fails.lock() = None;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(peer.taken().len(), 1);
        let gone = play.store_is_empty().await;
        assert_eq!(gone, passes, "it is recorded as soon as there is room");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_was_not_committed_is_not_sent() {
    let peer = Peer::with(&[]);
    peer.says("RCPT TO:<a@", &["550 5.1.1 no"]);
    let play = Play::new(&peer, Script::default());
    let wait = Duration::from_secs(1);
    let stage = postern_spool::Stage::submit();
    play.accept_due(wait, stage, &["a@example.test"], |_| {})
        .await;
    *play.store.fails.lock() = Some(|| SpoolError::Failed("on purpose".to_owned()));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(peer.taken().is_empty(), "{} reports", peer.taken().len());
}

#[tokio::test(start_paused = true)]
async fn a_held_message_that_is_put_off_keeps_its_place_and_none_of_the_edits() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| {
            if asked.attempt > 2 {
                return proceeds(message, asked);
            }
            let reply = Reply::parse(451, None, "later").unwrap();
            let mut ruling = ruled(message, asked, Decision::Tempfail(reply), "second");
            ruling.draft.recipients.clear();
            ruling
        }),
    );
    let stage = held(EventKind::InboundMessage)();
    play.accept_at(stage, &["a@example.test"], |_| {}).await;
    play.until_empty().await;
    let from: Vec<_> = play
        .judge
        .asked
        .lock()
        .iter()
        .map(|asked| asked.from.clone())
        .collect();
    let checker = Some("checker".to_owned());
    assert_eq!(from[..2], [checker.clone(), checker]);
    assert_eq!(peer.taken()[0].recipients, ["a@example.test"]);
}
