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
        let taken = peer.taken();
        assert_eq!(taken[0].recipients, ["a@example.test"], "{declared:?}");
        let text = String::from_utf8(taken[0].content.clone()).unwrap();
        assert!(
            text.contains("\r\nContent-Transfer-Encoding: quoted-printable\r\n")
                && text.ends_with("\r\n\r\nViele Gr=C3=BC=C3=9Fe\r\n"),
            "{text}"
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
    peer.says("RCPT TO:<a@", &["550 5.1.1 no such user"]);
    send(&play, EIGHT_BIT, BodyKind::EightBitMime, Some(Return::Full)).await;
    play.until_empty().await;
    let taken = peer.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].recipients, ["from@sender.test"]);
    let text = String::from_utf8(taken[0].content.clone()).unwrap();
    assert!(text.is_ascii());
    assert!(
        text.contains("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n")
            && text.contains("\r\n\r\nViele Gr=C3=BC=C3=9Fe\r\n"),
        "{text}"
    );
}

const SIGNED: &[u8] = "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nGr\u{fc}\u{df}e\r\n--s--\r\n".as_bytes();

/// What cannot be converted comes back, with the reason, in a report that its own way takes.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_converted_comes_back_with_the_reason() {
    let peer = Peer::with(&["PIPELINING"]);
    let play = Play::new(&peer, Script::default());
    send(&play, SIGNED, BodyKind::EightBitMime, Some(Return::Full)).await;
    play.until_empty().await;
    let taken = peer.taken();
    assert_eq!(taken.len(), 1);
    let text = String::from_utf8(taken[0].content.clone()).unwrap();
    let text = text.replace("\r\n ", " ").replace("    ", "");
    for part in [
        "Status: 5.6.3",
        "Diagnostic-Code: x-postern; the message has 8-bit content, and what it goes to does not offer 8BITMIME: a part that is signed or encrypted cannot be encoded",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

/// A hop that takes any octets takes eight bits too; nothing is converted, and nothing comes back.
#[tokio::test(start_paused = true)]
async fn eight_bits_go_as_they_are_where_binary_content_is_taken() {
    for content in [EIGHT_BIT, SIGNED] {
        let peer = Peer::with(&["PIPELINING", "CHUNKING", "BINARYMIME"]);
        let play = Play::new(&peer, Script::default());
        send(&play, content, BodyKind::EightBitMime, None).await;
        play.until_empty().await;
        let taken = peer.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].recipients, ["a@example.test"]);
        assert_eq!(taken[0].content, content);
    }
}

/// What the hop offers it does not have: the other way is tried at once, and not when it is due again.
#[tokio::test(start_paused = true)]
async fn what_goes_by_bdat_alone_is_converted_at_once_where_that_is_refused() {
    let long = Bytes::from(format!("From: a\r\n\r\n{}\r\n", "z".repeat(5000)));
    for content in [long, Bytes::from_static(EIGHT_BIT)] {
        let peer = Peer::with(&["PIPELINING", "CHUNKING", "BINARYMIME"]);
        peer.says("BDAT", &["502 5.5.1 not implemented"; 3]);
        let play = Play::new(&peer, Script::default());
        let stage = Stage::submit();
        let now = Duration::ZERO;
        play.accept_content(content, now, stage, &["a@example.test"], |_| {})
            .await;
        let took = play.until_empty().await;
        assert!(took < Duration::from_secs(5), "{took:?}");
        let taken = peer.taken();
        assert_eq!(taken[0].recipients, ["a@example.test"]);
        let mut lines = taken[0].content.split(|&octet| octet == b'\n');
        assert!(lines.all(|line| line.len() <= 999 && line.is_ascii()));
        assert_eq!(peer.connections(), 2, "BDAT was tried once");
    }
}

/// Where there is no other way the message waits: that the hop refuses what it offers may pass.
#[tokio::test(start_paused = true)]
async fn a_refused_bdat_fails_nothing_that_has_no_other_way() {
    let peer = Peer::with(&["PIPELINING", "CHUNKING", "BINARYMIME"]);
    peer.says("BDAT", &["503 5.5.1 not now"]);
    let play = Play::new(&peer, Script::default());
    send(&play, SIGNED, BodyKind::EightBitMime, None).await;
    play.until_empty().await;
    let taken = peer.taken();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0].recipients, ["a@example.test"]);
    assert_eq!(taken[0].content, SIGNED);
}

/// A connection that was made before is told too.
#[tokio::test(start_paused = true)]
async fn what_one_connection_found_out_about_bdat_all_of_them_know() {
    let peer = Peer::with(&["PIPELINING", "CHUNKING", "8BITMIME"]);
    peer.takes(Duration::from_secs(1));
    let play = Play::new(&peer, Script::default());
    for _ in 0..12 {
        play.accept(&["a@example.test"]).await;
    }
    play.until_empty().await;
    let connections = peer.connections();
    assert!(connections > 1, "{connections}");
    peer.says("BDAT", &["502 5.5.1 not implemented"; 5]);
    play.accept(&["b@example.test"]).await;
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 13);
    assert_eq!(peer.connections(), connections, "one is left, and is told");
}

#[tokio::test(start_paused = true)]
async fn long_lines_go_as_they_are_where_binary_content_is_taken_and_converted_elsewhere() {
    let long = Bytes::from(format!("From: a\r\n\r\n{}\r\n", "z".repeat(5000)));
    for (extensions, command) in [
        (&["PIPELINING", "8BITMIME"][..], "DATA"),
        (&["PIPELINING", "8BITMIME", "CHUNKING"], "BDAT"),
        (&["PIPELINING", "CHUNKING", "BINARYMIME"], "as it is"),
    ] {
        let peer = Peer::with(extensions);
        let play = Play::new(&peer, Script::default());
        play.accept_content(
            long.clone(),
            Duration::ZERO,
            Stage::submit(),
            &["a@example.test"],
            |_| {},
        )
        .await;
        play.until_empty().await;
        let taken = peer.taken();
        let content = &taken[0].content;
        let longest = content
            .split(|&octet| octet == b'\n')
            .map(<[u8]>::len)
            .max()
            .unwrap();
        assert_eq!(
            longest <= 999,
            command != "as it is",
            "{command}: {longest}"
        );
        assert_eq!(*content == long, command == "as it is", "{command}");
    }
}
