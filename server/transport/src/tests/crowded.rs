//! Destinations that hang, are slow, or are dead, beside those that are well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use postern_message::{MessageId, RecipientState};
use postern_spool::{Filter, Page, Point, SpoolError, Stage, Store as _};
use tokio::time::Instant;

use super::judged::proceeds;
use super::stage::{Play, Script};
use crate::Clock as _;
use crate::slots::Source;
use postern_delivery::testing::peer::{Peer, SILENCE};

fn pipelining() -> Peer {
    Peer::with(&["PIPELINING", "8BITMIME"])
}

async fn until_taken(peer: &Peer, count: usize) -> Duration {
    let start = Instant::now();
    while peer.taken().len() < count {
        assert!(
            start.elapsed() < Duration::from_secs(3600),
            "{} of {count}",
            peer.taken().len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}

/// Memory has room for 64 messages here.
#[tokio::test(start_paused = true)]
async fn destinations_that_hang_hold_a_handful_and_live_mail_goes_on() {
    let peer = pipelining();
    peer.is_silent("one.test");
    peer.is_silent("two.test");
    let play = Play::new(&peer, Script::default());
    for _ in 0..60 {
        play.accept(&["a@example.test"]).await;
        play.accept(&["b@example.org"]).await;
    }
    for _ in 0..60 {
        play.accept(&["c@sender.test"]).await;
    }
    let took = until_taken(&peer, 60).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        peer.taken()
            .iter()
            .all(|taken| taken.recipients == ["c@sender.test"])
    );
    assert!(play.handle.in_memory() <= 16, "{}", play.handle.in_memory());
}

#[tokio::test(start_paused = true)]
async fn a_slow_destination_runs_at_its_own_full_rate_and_nothing_is_written_of_the_wait() {
    const COUNT: usize = 200;
    let peer = pipelining();
    peer.takes(Duration::from_secs(1));
    let play = Play::new(&peer, Script::default());
    for _ in 0..COUNT {
        play.accept(&["a@example.test"]).await;
    }
    let took = play.until_empty().await;
    // Four connections, one message a second on each.
    let best = Duration::from_secs(COUNT as u64 / 4);
    assert!(
        took < best.mul_f64(1.05) + Duration::from_secs(2),
        "{took:?}"
    );
    assert_eq!(peer.taken().len(), COUNT);
    // Each message was committed, and removed: nothing was put off on the way.
    let commits = play.store.commits.load(Ordering::Relaxed);
    assert!(commits <= 2 * COUNT, "{commits} commits");
}

#[tokio::test(start_paused = true)]
async fn a_message_for_a_slow_and_a_quick_destination_does_not_wait_for_the_slow_one() {
    let peer = pipelining();
    peer.is_silent("one.test");
    let play = Play::new(&peer, Script::default());
    for _ in 0..30 {
        play.accept(&["a@example.test"]).await;
    }
    for _ in 0..30 {
        play.accept(&["a@example.test", "b@example.org"]).await;
    }
    let took = until_taken(&peer, 30).await;
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// How many messages of `peer` came before the one with this recipient.
fn place_of(peer: &Peer, recipient: &str) -> Option<usize> {
    let is_it = |taken: &postern_delivery::testing::peer::Taken| taken.recipients == [recipient];
    peer.taken().iter().position(is_it)
}

/// A line that takes an hour must not stand between a message and its other recipients.
#[tokio::test(start_paused = true)]
async fn what_waits_at_one_destination_is_tried_again_at_another_and_keeps_its_place() {
    let peer = pipelining();
    peer.takes(Duration::from_secs(60));
    peer.says("RCPT TO:<b@", &["450 4.2.1 busy"]);
    let play = Play::new(&peer, Script::default());
    for _ in 0..40 {
        play.accept(&["a@example.test"]).await;
    }
    play.accept(&["m@example.test", "b@example.org"]).await;
    for _ in 0..60 {
        play.accept(&["a@example.test"]).await;
    }
    let start = Instant::now();
    while place_of(&peer, "b@example.org").is_none() {
        // The first retry is due after five minutes and a half at most, and takes one.
        assert!(start.elapsed() < Duration::from_secs(480));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(
        place_of(&peer, "m@example.test"),
        None,
        "it has a line before it"
    );
    play.until_empty().await;
    let place = place_of(&peer, "m@example.test").unwrap();
    assert!(place < 60, "{place}");
    assert_eq!(peer.taken().len(), 102);
}

/// What was let go at its sink's return has no time of its own any more, wherever it has to wait.
#[tokio::test(start_paused = true)]
async fn what_a_sink_let_go_keeps_its_turn_at_a_crowded_destination() {
    let peer = pipelining();
    peer.takes(Duration::from_secs(1));
    let play = Play::new(&peer, Script::new(proceeds));
    let hour = Duration::from_secs(3600);
    let stage = Stage::At {
        point: Point::Submit,
        from_binding: None,
        attempts: 1,
        waits_for: Some("checker".to_owned()),
    };
    let due = play.clock.now() + hour;
    play.accept_due(
        hour,
        stage,
        &["m@example.test", "b@example.org"],
        |message| {
            for recipient in &mut message.recipients {
                recipient.state = RecipientState::Pending {
                    attempts: 1,
                    due: Some(due),
                    last: None,
                };
            }
        },
    )
    .await;
    for _ in 0..60 {
        play.accept(&["a@example.test"]).await;
    }
    play.judge.is_back("checker");
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(peer.taken().len(), 62);
}

/// The scanner is told when half of the memory is free. That may never come.
#[tokio::test(start_paused = true)]
async fn due_messages_are_taken_up_though_room_comes_bit_by_bit() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    let slots = &play.handle.core.slots;
    let slot = || {
        let lease = play.store.adopt(MessageId::new(), play.clock.now());
        slots.try_take(lease.unwrap(), Source::Spool, 1)
    };
    let mut held: Vec<_> = std::iter::from_fn(slot).collect();
    assert_eq!(slots.free(), 0);
    let wait = Duration::from_secs(5);
    play.accept_due(wait, Stage::submit(), &["a@example.test"], |_| {})
        .await;
    tokio::time::sleep(2 * wait).await;
    held.truncate(60);
    let took = until_taken(&peer, 1).await;
    assert!(took < wait, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_hung_destination_comes_when_it_answers_again() {
    let peer = pipelining();
    peer.is_silent("one.test");
    let play = Play::new(&peer, Script::default());
    for _ in 0..100 {
        play.accept(&["a@example.test"]).await;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    peer.answers("one.test");
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 100);
}

/// On a full disk that not even the reserve helps: what is put off leaves its place in memory.
#[tokio::test(start_paused = true)]
async fn a_deferral_that_cannot_be_recorded_stalls_nobody() {
    let peer = pipelining();
    peer.says("RCPT TO:<a@", &["450 4.2.1 busy"; 70]);
    let play = Play::new(&peer, Script::default());
    for _ in 0..70 {
        play.accept(&["a@example.test"]).await;
    }
    *play.store.fails.lock() = Some(|| SpoolError::NoSpace);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(play.handle.in_memory(), 0);
    *play.store.fails.lock() = None;
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 70);
}

#[tokio::test(start_paused = true)]
async fn what_waits_after_an_attempt_is_listed_with_its_destination_and_reason() {
    let peer = pipelining();
    peer.says("RCPT TO:<b@", &["450 4.2.1 mailbox busy"]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test", "b@example.test"]).await;
    play.until("the deferral", |counts| counts.deliver == 1)
        .await;
    let list = |destination: Option<&str>| {
        let filter = Filter {
            destination: destination.map(postern_spool::Pattern::new),
            ..Filter::default()
        };
        let store = &play.store;
        async move { store.list(&filter, Page::default()).await.unwrap() }
    };
    let all = list(None).await;
    assert_eq!(all.len(), 1);
    let waiting = &all[0].waiting;
    assert_eq!(
        (waiting.len(), waiting[0].recipients, waiting[0].attempts),
        (1, 1, 1)
    );
    assert!(
        waiting[0].reason.contains("mailbox busy"),
        "{}",
        waiting[0].reason
    );
    assert_eq!(all[0].sender, "from@sender.test");
    assert_eq!(list(Some(&waiting[0].destination)).await.len(), 1);
    assert_eq!(list(Some("smtp://elsewhere.test:25")).await.len(), 0);
}

/// Each reply comes in its time, or never: the whole is bounded all the same.
#[tokio::test(start_paused = true)]
async fn an_attempt_has_an_end_whatever_the_peer_does() {
    let peer = Peer::with(&[]);
    // Silent hosts are left to the time-out for a command; this one takes almost all of it each time.
    peer.takes_over_commands(Duration::from_secs(299));
    let play = Play::new(&peer, Script::default());
    let recipients: Vec<_> = (0..50).map(|n| format!("u{n}@example.test")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    play.accept(&recipients).await;
    let took = play
        .until("the deferral", |counts| counts.deliver == 1)
        .await;
    // Five commands to connect, five for the message, and the time for its content.
    assert!(took < Duration::from_secs(10 * 300 + 600 + 60), "{took:?}");
    assert_eq!(peer.taken().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hung_peer_does_not_keep_the_gateway_from_stopping() {
    let peer = Peer::with(&[]);
    peer.says("RCPT TO:<a@", &[SILENCE]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let took = play.stop(Duration::from_secs(25)).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
}

/// The peer has all of the message: given up now, it would be delivered twice.
#[tokio::test(start_paused = true)]
async fn a_message_that_the_peer_may_have_taken_is_waited_for() {
    let peer = Peer::with(&[]);
    peer.takes(Duration::from_secs(10));
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let store = std::sync::Arc::clone(&play.store);
    let took = play.stop(Duration::from_secs(25)).await;
    assert!(took > Duration::from_secs(5), "{took:?}");
    let counts = store.counts().await.unwrap();
    assert_eq!((peer.taken().len(), counts.submit + counts.deliver), (1, 0));
}

/// Not even for a moment: before, each look that found one that could not be read was followed by a rest of five seconds.
#[tokio::test(start_paused = true)]
async fn messages_that_cannot_be_read_do_not_slow_the_others() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    let later = Duration::from_secs(10);
    let stage = || postern_spool::Stage::submit();
    for n in 0..300 {
        let message = play
            .accept_due(later, stage(), &["a@example.test"], |_| {})
            .await;
        if n % 30 == 0 {
            play.store.unreadable.lock().insert(message.id);
        }
    }
    let took = until_taken(&peer, 290).await;
    assert!(took < later + Duration::from_secs(5), "{took:?}");
    play.store.unreadable.lock().clear();
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 300);
}

/// A disk that has changed a content under us: none of it is passed on as whole, and it is tried no more.
#[tokio::test(start_paused = true)]
async fn a_content_that_is_damaged_on_its_way_is_put_aside_and_nobody_takes_it() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    let mut content = b"Subject: x\r\n\r\n".to_vec();
    content.extend(b"0123456789abcde\r\n".repeat(20_000));
    let stage = postern_spool::Stage::submit();
    let wait = Duration::from_secs(10);
    play.accept_content(content.into(), wait, stage, &["a@example.test"], |_| {})
        .await;
    play.damage_contents();
    play.until("it to be put aside", |counts| counts.damaged == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(peer.taken().len(), 0);
    play.accept(&["b@example.test"]).await;
    until_taken(&peer, 1).await;
}
