//! What a message needs of its way follows from its content, and a notification needs nothing.

use std::time::Duration;

use bytes::Bytes;
use postern_message::{BodyKind, Return};
use postern_spool::Stage;

use super::stage::{Play, Script};
use postern_delivery::testing::peer::Peer;

const EIGHT_BIT: &[u8] = "From: a\r\nSubject: x\r\n\r\nViele Gr\u{fc}\u{df}e\r\n".as_bytes();
const SEVEN_BIT: &[u8] = b"From: a\r\nSubject: x\r\n\r\nplain\r\n";

async fn send(play: &Play, content: &'static [u8], declared: BodyKind, ret: Option<Return>) {
    let stage = Stage::submit();
    let content = Bytes::from_static(content);
    play.accept_content(
        content,
        Duration::ZERO,
        stage,
        &["a@example.test"],
        |message| {
            message.envelope.body = declared;
            message.envelope.ret = ret;
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn plain_mail_goes_anywhere_whatever_its_client_declared() {
    for declared in [
        BodyKind::SevenBit,
        BodyKind::EightBitMime,
        BodyKind::BinaryMime,
    ] {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(&peer, Script::default());
        send(&play, SEVEN_BIT, declared, None).await;
        play.until_empty().await;
        let taken = peer.taken();
        assert_eq!(taken.len(), 1, "{declared:?}");
        assert_eq!(taken[0].recipients, ["a@example.test"], "{declared:?}");
        assert_eq!(taken[0].content, SEVEN_BIT);
    }
}

/// Eight bits that were not declared are eight bits all the same: they are not sent to who does not take them.
#[tokio::test(start_paused = true)]
async fn eight_bits_are_found_without_a_declaration() {
    for declared in [BodyKind::SevenBit, BodyKind::EightBitMime] {
        let peer = Peer::with(&["PIPELINING"]);
        let play = Play::new(&peer, Script::default());
        send(&play, EIGHT_BIT, declared, None).await;
        play.until_empty().await;
        assert!(
            peer.taken().iter().all(|taken| taken.content != EIGHT_BIT),
            "{declared:?}"
        );
        let peer = Peer::with(&["PIPELINING", "8BITMIME"]);
        let play = Play::new(&peer, Script::default());
        send(&play, EIGHT_BIT, declared, None).await;
        play.until_empty().await;
        assert_eq!(peer.taken()[0].content, EIGHT_BIT, "{declared:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_about_eight_bits_has_seven() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::default());
    send(&play, EIGHT_BIT, BodyKind::EightBitMime, Some(Return::Full)).await;
    play.until_empty().await;
    let taken = peer.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].recipients, ["from@sender.test"]);
    assert!(taken[0].content.is_ascii());
}
