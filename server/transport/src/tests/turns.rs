//! Next hops of a redirect, which have their turn one after the other.

use std::time::Duration;

use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_message::next_hop::NextHop;
use postern_smtp::reply::Reply;
use postern_spool::Stage;

use super::judged::{proceeds, ruled};
use super::stage::{Play, Script};
use postern_delivery::testing::peer::Peer;

fn hops(count: usize) -> Vec<NextHop> {
    let names = (0..count).map(|at| format!("smtp://hop-{at}.test"));
    names.map(NextHop::to).collect()
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_puts_mail_off_waits_by_the_schedule_however_many_hops_follow() {
    let peer = Peer::with(&[]);
    let reply = || Reply::parse(451, None, "not now").unwrap();
    let play = Play::new(
        &peer,
        Script::new(move |message, asked| match asked.attempt {
            0 => ruled(message, asked, Decision::Tempfail(reply()), "checker"),
            _ => proceeds(message, asked),
        })
        .at(&[EventKind::TransportSubmit]),
    );
    play.accept_at(Stage::submit(), &["a@example.test"], |message| {
        let id = message.recipients[0].id;
        message.handling.next_hops.insert(id, hops(9));
    })
    .await;
    let took = play.until_empty().await;
    assert!((270..335).contains(&took.as_secs()), "{took:?}");
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_hop_that_is_down_is_tried_once_in_a_round() {
    let peer = Peer::with(&[]);
    peer.goes_down(true);
    let play = Play::new(&peer, Script::default());
    play.accept_at(Stage::Deliver, &["a@example.test"], |message| {
        let id = message.recipients[0].id;
        message.handling.next_hops.insert(id, hops(3));
    })
    .await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(peer.refused(), 3);
}
