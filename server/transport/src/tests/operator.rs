//! What an operator does while the core is at work.

use std::collections::HashSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use postern_delivery::testing::peer::Peer;
use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_message::{MessageId, Return};
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;
use postern_spool::{Filter, Page, Stage, Store as _};

use super::judged::{held, proceeds, ruled};
use super::stage::{Play, Script};
use crate::{Change, Changed};

const DAY: Duration = Duration::from_secs(86_400);

async fn act(play: &Play, change: Change, ids: &[MessageId]) -> Vec<Changed> {
    let operator = play.handle.operator(change, "uid 7", "a test");
    let changed = operator.act(ids).await;
    changed.into_iter().map(|(_, changed)| changed).collect()
}

fn is_done(changed: &Changed) -> bool {
    matches!(changed, Changed::Done(_))
}

#[tokio::test(start_paused = true)]
async fn what_is_on_hold_is_not_due_until_it_is_released() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::default());
    let wait = Duration::from_secs(60);
    let message = play
        .accept_due(wait, Stage::Deliver, &["a@example.test"], |_| {})
        .await;
    let ids = [message.id];
    assert!(is_done(&act(&play, Change::Hold, &ids).await[0]));
    tokio::time::sleep(DAY).await;
    assert_eq!(peer.taken().len(), 0);
    let again = act(&play, Change::Hold, &ids).await;
    assert_eq!(again, [Changed::Unfit("it is on hold already")]);
    assert!(is_done(&act(&play, Change::Release, &ids).await[0]));
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 1);
    assert_eq!(act(&play, Change::Remove, &ids).await, [Changed::Gone]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_memory_and_by_its_name_is_given_up() {
    let peer = Peer::with(&["PIPELINING"]);
    peer.is_silent("one.test");
    let play = Play::new(&peer, Script::default());
    let mut ids = Vec::new();
    for _ in 0..150 {
        ids.push(play.accept(&["a@example.test"]).await.id);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(play.handle.depth().in_memory > 0);
    for portion in ids.chunks(50) {
        let changed = act(&play, Change::Hold, portion).await;
        assert!(changed.iter().all(is_done), "{changed:?}");
    }
    let held = play.store.counts().await;
    assert_eq!(held.unwrap().on_hold, 150);
    peer.answers("one.test");
    tokio::time::sleep(DAY).await;
    assert_eq!(peer.taken().len(), 0);
    let changed = act(&play, Change::Release, &ids).await;
    assert!(changed.iter().all(is_done), "{changed:?}");
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 150, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_retry_reaches_a_destination_that_is_left_alone() {
    let peer = Peer::with(&["PIPELINING"]);
    peer.goes_down(true);
    let play = Play::new(&peer, Script::default());
    let message = play.accept(&["a@example.test"]).await;
    play.until("it is put off", |counts| counts.deliver == 1)
        .await;
    peer.goes_down(false);
    assert!(is_done(&act(&play, Change::Retry, &[message.id]).await[0]));
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_bounced_is_reported_in_the_operators_words() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::default());
    let wait = Duration::from_secs(600);
    let recipients = ["a@example.test", "b@example.org"];
    let message = play
        .accept_due(wait, Stage::Deliver, &recipients, |_| {})
        .await;
    assert!(is_done(&act(&play, Change::Bounce, &[message.id]).await[0]));
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    let taken = peer.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].recipients, ["from@sender.test"]);
    let text = String::from_utf8_lossy(&taken[0].content).into_owned();
    assert!(
        text.contains("returned by the postmaster: a test"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_binding_keeps_goes_on_without_it_and_with_those_behind_it() {
    let decisions = [
        Decision::Quarantine,
        Decision::Hold {
            at_most: Some(10 * DAY),
        },
    ];
    for decision in decisions {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(
            &peer,
            Script::new(move |message, asked| {
                match asked.passed.iter().any(|one| one == "checker") {
                    true => proceeds(message, asked),
                    false => ruled(message, asked, decision.clone(), "checker"),
                }
            }),
        );
        let message = play.accept(&["a@example.test"]).await;
        play.until("it is kept", |counts| counts.quarantined + counts.held == 1)
            .await;
        assert!(is_done(
            &act(&play, Change::Release, &[message.id]).await[0]
        ));
        play.until_empty().await;
        assert_eq!(peer.taken().len(), 1);
        let asked = play.judge.asked.lock();
        let last = asked.last().unwrap();
        assert_eq!(last.event, EventKind::TransportSubmit);
        assert_eq!(last.from.as_deref(), Some("checker"));
        let passed: HashSet<_> = last.passed.iter().map(String::as_str).collect();
        assert!(passed.contains("checker"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_goes_away_leaves_no_message_claimed() {
    for polls in [1, 5, 20, 70, 200] {
        let peer = Peer::with(&["PIPELINING"]);
        peer.is_silent("one.test");
        let play = Play::new(&peer, Script::default());
        let mut ids = Vec::new();
        for at in 0..40 {
            // Half of them wait in memory or by name, half in the spool.
            let wait = Duration::from_secs(600 * (at % 2));
            let stage = Stage::submit();
            let message = play
                .accept_due(wait, stage, &["a@example.test"], |_| {})
                .await;
            ids.push(message.id);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let operator = play.handle.operator(Change::Retry, "uid 7", "a test");
        let mut act = Box::pin(operator.act(&ids));
        for _ in 0..polls {
            let polled = poll_fn(|cx| Poll::Ready(act.as_mut().poll(cx).is_ready())).await;
            if polled {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(act);
        peer.answers("one.test");
        play.until_empty().await;
        assert_eq!(peer.taken().len(), 40, "after {polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_not_worked_on_while_a_change_of_it_waits_in_the_store() {
    for patient in [true, false] {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(&peer, Script::default());
        let wait = Duration::from_secs(40);
        let message = play
            .accept_due(wait, Stage::Deliver, &["a@example.test"], |_| {})
            .await;
        *play.store.stalls.lock() = Some(Duration::from_secs(60));
        let ids = [message.id];
        match patient {
            true => {
                let changed = act(&play, Change::Bounce, &ids).await;
                assert!(matches!(changed[0], Changed::Failed(_)), "{changed:?}");
            }
            false => {
                let act = act(&play, Change::Bounce, &ids);
                assert!(
                    tokio::time::timeout(Duration::from_secs(10), act)
                        .await
                        .is_err()
                );
            }
        }
        tokio::time::sleep(Duration::from_secs(3600)).await;
        play.until_empty().await;
        let taken: Vec<_> = peer.taken().into_iter().map(|one| one.recipients).collect();
        assert_eq!(taken, [["from@sender.test"]], "the report alone");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_quarantined_keeps_the_edits_before_it_and_goes_on_behind_it() {
    let refusal = Reply::parse(550, None, "no").unwrap();
    for decision in [Decision::Quarantine, Decision::Reject(refusal)] {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(
            &peer,
            Script::new(move |message, asked| {
                if asked.from.as_deref() != Some("checker") {
                    return proceeds(message, asked);
                }
                // The one that held it edits it now, and the next one objects.
                let mut ruling = ruled(message, asked, decision.clone(), "second");
                ruling.draft.recipients[0].address =
                    ForwardPath::parse(b"<other@example.test>", false).unwrap();
                ruling.passed = vec!["checker".to_owned()];
                ruling
            }),
        );
        let stage = held(EventKind::InboundMessage)();
        let message = play.accept_at(stage, &["a@example.test"], |_| {}).await;
        play.until("it is kept", |counts| counts.quarantined == 1)
            .await;
        let changed = act(&play, Change::Release, &[message.id]).await;
        assert_eq!(
            changed,
            [Changed::Done("released, without second".to_owned())]
        );
        play.until_empty().await;
        let asked = play.judge.asked.lock().clone();
        assert_eq!(asked[1].from.as_deref(), Some("second"));
        assert_eq!(asked[1].passed, ["checker", "second"]);
        assert_eq!(peer.taken()[0].recipients, ["other@example.test"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_goes_on_without_the_binding_that_it_waits_for_now() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::new(proceeds));
    let wait = Duration::from_secs(3600);
    let Stage::Held {
        event,
        binding,
        since,
        attempts,
        ..
    } = held(EventKind::InboundMessage)()
    else {
        unreachable!()
    };
    let stage = Stage::Held {
        event,
        binding,
        since,
        attempts,
        waits_for: Some("second".to_owned()),
    };
    let message = play
        .accept_due(wait, stage, &["a@example.test"], |_| {})
        .await;
    let by_second = Filter {
        kept_by: Some("second".to_owned()),
        ..Filter::default()
    };
    let listed = play.store.list(&by_second, Page::default()).await.unwrap();
    assert_eq!(listed.len(), 1);
    let reason = listed[0].reason.as_deref();
    assert_eq!(reason, Some("held by second at inbound.message"));
    let changed = act(&play, Change::Release, &[message.id]).await;
    assert_eq!(
        changed,
        [Changed::Done("released, without second".to_owned())]
    );
    play.until_empty().await;
    let asked = play.judge.asked.lock().clone();
    assert_eq!(asked[0].from.as_deref(), Some("checker"));
    assert_eq!(asked[0].passed, ["second"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_has_to_release_is_never_due() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::default());
    let quarantined = Stage::Quarantined {
        by: "checker".to_owned(),
        why: "a test".to_owned(),
        event: "transport.submit".to_owned(),
    };
    let on_hold = Stage::OnHold {
        was: Box::new(Stage::Deliver),
        by: "uid 7".to_owned(),
        why: String::new(),
        since: std::time::SystemTime::UNIX_EPOCH,
    };
    // One that was held for a time is released when it is over.
    for stage in [quarantined, on_hold] {
        let wait = Duration::from_secs(2);
        play.accept_due(wait, stage, &["a@example.test"], |_| {})
            .await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(play.store.next_due().await.unwrap(), None);
    let counts = play.store.counts().await.unwrap();
    assert_eq!((counts.quarantined, counts.on_hold), (1, 0));
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_report_on_what_a_sink_kept_has_no_content() {
    let quarantined = || Stage::Quarantined {
        by: "checker".to_owned(),
        why: "a test".to_owned(),
        event: "transport.submit".to_owned(),
    };
    let on_hold = |was| Stage::OnHold {
        was: Box::new(was),
        by: "uid 7".to_owned(),
        why: String::new(),
        since: std::time::SystemTime::UNIX_EPOCH,
    };
    let stages = [
        (Stage::Deliver, true),
        (on_hold(Stage::Deliver), true),
        (quarantined(), false),
        (on_hold(quarantined()), false),
        (held(EventKind::InboundMessage)(), false),
    ];
    for (stage, whole) in stages {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(&peer, Script::default());
        let wait = Duration::from_secs(600);
        let message = play
            .accept_due(wait, stage.clone(), &["a@example.test"], |message| {
                message.envelope.ret = Some(Return::Full);
            })
            .await;
        assert!(is_done(&act(&play, Change::Bounce, &[message.id]).await[0]));
        play.until_empty().await;
        let report = String::from_utf8_lossy(&peer.taken()[0].content).into_owned();
        assert_eq!(
            report.contains("\r\nText\r\n"),
            whole,
            "{stage:?}: {report}"
        );
    }
}
