//! Delivery, retries, and what survives a restart.

use std::time::Duration;

use postern_events::delivery::DeliveryStatus;

use super::judged::proceeds;
use super::stage::{MAIL, Play, Script};
use postern_delivery::testing::peer::Peer;

fn pipelining() -> Peer {
    Peer::with(&["PIPELINING", "8BITMIME"])
}

#[tokio::test(start_paused = true)]
async fn recipients_of_one_destination_share_a_transaction_and_then_the_message_is_gone() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test", "b@example.test", "c@example.org"])
        .await;
    play.until_empty().await;
    let mut taken: Vec<_> = peer
        .taken()
        .into_iter()
        .map(|taken| (taken.recipients, taken.content))
        .collect();
    taken.sort();
    assert_eq!(taken.len(), 2);
    assert_eq!(
        taken[0],
        (
            vec!["a@example.test".to_owned(), "b@example.test".to_owned()],
            MAIL.to_vec()
        )
    );
    assert_eq!(taken[1].0, ["c@example.org"]);
}

#[tokio::test(start_paused = true)]
async fn messages_follow_each_other_on_a_connection() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    for _ in 0..20 {
        play.accept(&["a@example.test"]).await;
    }
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 20);
    assert!(peer.connections() <= 4, "{}", peer.connections());
}

/// Another host of the same name has what this one has not.
#[tokio::test(start_paused = true)]
async fn what_a_host_refuses_because_of_itself_goes_to_the_next_host_at_once() {
    for (command, refusal) in [
        ("MAIL", "521 5.3.2 no mail here"),
        ("MAIL", "554 5.3.2 no mail here"),
        ("RCPT TO:<b@", "552 5.3.1 full"),
        ("DATA", "554 5.3.5 not set up"),
    ] {
        let second = pipelining();
        second.says("MAIL", &["521 5.3.2 nor here"]);
        let third = pipelining();
        let mut peer = pipelining();
        peer.others = vec![second, third.clone()];
        peer.says(command, &[refusal]);
        let play = Play::new(&peer, Script::default());
        play.accept(&["a@example.test", "b@example.test"]).await;
        let took = play.until_empty().await;
        assert!(took < Duration::from_secs(10), "{refusal}: {took:?}");
        let mut all: Vec<_> = [&peer, &third]
            .into_iter()
            .flat_map(|host| host.taken())
            .flat_map(|taken| taken.recipients)
            .collect();
        all.sort();
        assert_eq!(all, ["a@example.test", "b@example.test"], "{refusal}");
        assert_eq!(third.taken().len(), 1, "{refusal}");
        // It is no lasting verdict on the host.
        play.accept(&["c@example.test"]).await;
        play.until_empty().await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_host_takes_it_a_message_waits_and_each_was_asked_once() {
    let mut peer = pipelining();
    let second = pipelining();
    peer.says("MAIL", &["521 5.3.2 no mail here"]);
    second.says("MAIL", &["521 5.3.2 nor here"]);
    peer.others = vec![second.clone()];
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    play.until("the deferral", |counts| counts.deliver == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((peer.connections(), second.connections()), (1, 1));
    use postern_spool::Store as _;
    let all = postern_spool::Filter::default();
    let all = play.store.list(&all, Default::default());
    let waiting = all.await.unwrap().remove(0).waiting.remove(0);
    assert!(waiting.reason.contains("nor here"), "{}", waiting.reason);
    play.until_empty().await;
    assert_eq!(peer.taken().len() + second.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn where_neither_tls_nor_clear_text_works_the_next_host_is_tried_at_once() {
    let other = pipelining();
    let mut peer = pipelining();
    peer.breaks_tls = true;
    peer.others = vec![other.clone()];
    peer.says("CONNECT", &["220 peer.test", "554 5.7.1 not in clear text"]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!((peer.connections(), peer.taken().len()), (2, 0));
    assert_eq!(other.taken().len(), 1);
}

/// What is said to the reset after one message is no word on the next.
#[tokio::test(start_paused = true)]
async fn a_hop_that_refuses_the_reset_gets_the_next_message_over_another_connection() {
    for (rcpt, refusal) in [
        ("450 4.2.1 busy", "421 4.3.2 enough"),
        ("550 5.1.1 who", "500 5.5.1 what"),
    ] {
        let peer = pipelining();
        peer.says("RCPT TO:<a@", &[rcpt]);
        peer.says("RSET", &[refusal]);
        let play = Play::new(&peer, Script::default());
        play.accept_at(
            postern_spool::Stage::submit(),
            &["a@example.test"],
            |message| {
                message.envelope.sender = postern_smtp::address::ReversePath::Null;
            },
        )
        .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        play.accept(&["b@example.test"]).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let taken = peer.taken();
        assert_eq!(taken.len(), 1, "{refusal}");
        assert_eq!(taken[0].recipients, ["b@example.test"]);
        assert_eq!((taken[0].connection, peer.connections()), (1, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_is_tried_again_on_schedule_and_alone() {
    let peer = pipelining();
    peer.says("RCPT TO:<b@", &["450 4.2.1 busy", "450 4.2.1 busy"]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test", "b@example.test"]).await;
    let took = play.until_empty().await;
    // 5 and 15 minutes, a tenth more or less.
    assert!((1080..1330).contains(&took.as_secs()), "{took:?}");
    let recipients: Vec<_> = peer
        .taken()
        .into_iter()
        .map(|taken| taken.recipients)
        .collect();
    assert_eq!(recipients, [["a@example.test"], ["b@example.test"]]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_is_left_alone_and_comes_back() {
    let peer = pipelining();
    peer.goes_down(true);
    let play = Play::new(&peer, Script::default());
    for _ in 0..10 {
        play.accept(&["a@example.test"]).await;
    }
    play.until("all put off", |counts| counts.deliver == 10)
        .await;
    peer.goes_down(false);
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn due_times_survive_a_restart() {
    let peer = pipelining();
    peer.says("MAIL", &["451 not now"]);
    let play = Play::new(&peer, Script::default());
    let message = play.accept(&["a@example.test"]).await;
    play.until("the deferral", |counts| counts.deliver == 1)
        .await;
    let play = play.restart(&peer).await;
    let took = play.until_empty().await;
    assert!(took > Duration::from_secs(200), "{took:?}");
    assert_eq!(peer.taken().len(), 1);
    drop(message);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_only_committed_is_found_by_its_due_time() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    for _ in 0..200 {
        play.accept(&["a@example.test"]).await;
    }
    let play = play.restart(&peer).await;
    play.until_empty().await;
    assert!(
        peer.taken().len() >= 200,
        "none lost: {}",
        peer.taken().len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_between_messages_costs_no_attempt() {
    let peer = pipelining();
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    play.until_empty().await;
    // The next message finds the connection about to close.
    peer.says("MAIL", &["421 4.4.2 too long"]);
    play.accept(&["a@example.test"]).await;
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!((peer.taken().len(), peer.connections()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn recipients_beyond_what_a_peer_takes_follow_in_another_transaction() {
    let peer = Peer::with(&["PIPELINING", "LIMITS RCPTMAX=2"]);
    peer.says("RCPT TO:<b@", &["452 4.5.3 too many"]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test", "b@example.test", "c@example.test"])
        .await;
    let took = play.until_empty().await;
    assert!(took < Duration::from_secs(60), "{took:?}");
    let recipients: Vec<_> = peer
        .taken()
        .into_iter()
        .map(|taken| taken.recipients)
        .collect();
    assert_eq!(
        recipients,
        [
            vec!["a@example.test"],
            vec!["c@example.test", "b@example.test"]
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn results_are_told() {
    let peer = pipelining();
    peer.says("RCPT TO:<b@", &["450 4.2.1 busy"]);
    let judge = Script::new(proceeds);
    let play = Play::new(&peer, judge);
    play.accept(&["a@example.test", "b@example.test"]).await;
    play.until_empty().await;
    let told = play.judge.told.lock();
    let first: Vec<_> = told[0]
        .recipients
        .iter()
        .map(|r| (r.status, r.attempts))
        .collect();
    assert_eq!(
        first,
        [(DeliveryStatus::Relayed, 1), (DeliveryStatus::Deferred, 1)]
    );
    assert!(told[0].recipients[1].retry_in.is_some());
    assert_eq!(told[1].recipients[0].attempts, 2);
}

/// Many times: what a connection tells last and its end come to the worker together.
#[tokio::test(start_paused = true)]
async fn a_peer_without_the_bdat_that_it_offers_gets_data_at_once() {
    for _ in 0..12 {
        let peer = Peer::with(&["PIPELINING", "CHUNKING"]);
        peer.says(". a@", &["502 5.5.1 not here"]);
        let play = Play::new(&peer, Script::default());
        play.accept(&["a@example.test", "b@example.test"]).await;
        let took = play.until_empty().await;
        assert!(took < Duration::from_secs(60), "{took:?}");
        assert_eq!((peer.taken().len(), peer.connections()), (1, 2));
    }
}
