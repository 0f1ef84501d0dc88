//! What holds for any peer.

use proptest::prelude::*;

use super::play::{Play, config, transaction};
use crate::client::{Protocol, Wants};

const MAIL: &[u8] = b"a\r\n.b\r\n..\r\n";

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![
        6 => Just(250u16), 3 => Just(354), 1 => Just(220), 2 => Just(450), 2 => Just(550),
        1 => Just(421), 1 => Just(503), 1 => Just(251),
    ];
    (code, prop::collection::vec("[ -~]{0,20}", 0..3)).prop_map(|(code, more)| {
        let mut reply = Vec::new();
        for line in &more {
            reply.extend_from_slice(format!("{code}-{line}\r\n").as_bytes());
        }
        reply.extend_from_slice(format!("{code} end\r\n").as_bytes());
        reply
    })
}

fn peers() -> impl Strategy<Value = Vec<u8>> {
    let hello = prop_oneof![
        Just("250 mx\r\n"),
        Just("250-mx\r\n250 PIPELINING\r\n"),
        Just("250-mx\r\n250-CHUNKING\r\n250 PIPELINING\r\n"),
    ];
    (
        hello,
        prop::collection::vec(reply(), 0..10),
        prop::collection::vec(any::<u8>(), 0..8),
    )
        .prop_map(|(hello, replies, garbage)| {
            let mut all = b"220 mx\r\n".to_vec();
            all.extend_from_slice(hello.as_bytes());
            replies
                .iter()
                .for_each(|reply| all.extend_from_slice(reply));
            all.extend_from_slice(&garbage);
            all
        })
}

/// Everything that a session sent and said, with the peer's octets given in these pieces, and then cut off.
fn run(lmtp: bool, peer: &[u8], pieces: &[usize]) -> (Vec<u8>, String) {
    let protocol = if lmtp { Protocol::Lmtp } else { Protocol::Smtp };
    let mut play = Play::new(config(protocol));
    let mut sent = Vec::new();
    let mut left = peer;
    let mut pieces = pieces.iter().copied();
    let mut given = 0;
    let after_go_ahead = after_go_ahead(peer);
    while !left.is_empty() {
        // A message is sent as soon as the session takes one: that must not depend on the pieces either, so that the
        // greeting and the answer to EHLO are always given alone.
        let greeting = !play.ready && play.closed.is_none();
        let line = left
            .iter()
            .position(|&o| o == b'\n')
            .map_or(left.len(), |at| at + 1);
        let piece = if greeting {
            line
        } else {
            pieces.next().unwrap_or(left.len())
        };
        let boundary = after_go_ahead.iter().find(|&&at| at > given);
        let most = boundary.map_or(left.len(), |at| at - given);
        let (now, later) = left.split_at(piece.clamp(1, most));
        left = later;
        given += now.len();
        sent.extend(play.peer(now));
        if play.ready && play.finished.is_empty() && play.session.is_ready() {
            let message = transaction(&["a@x.test", "b@x.test"], MAIL);
            sent.extend(play.send(message, MAIL).into_bytes());
        }
    }
    play.session.handle_eof();
    play.sent();
    assert_eq!(play.session.wants(), Wants::Nothing);
    for report in &play.finished {
        assert_eq!(report.recipients.len(), 2);
    }
    (sent, format!("{:?} {:?}", play.finished, play.closed))
}

/// Where lines that invite content end: a peer in its right mind says nothing more before it has the content, so no piece
/// goes beyond them.
fn after_go_ahead(peer: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    for line in peer.split_inclusive(|&octet| octet == b'\n') {
        start += line.len();
        if line.starts_with(b"354 ") {
            ends.push(start);
        }
    }
    ends
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        lmtp: bool,
        peer in peers(),
        pieces in prop::collection::vec(1usize..9, 0..200),
    ) {
        let whole = run(lmtp, &peer, &[]);
        let split = run(lmtp, &peer, &pieces);
        prop_assert_eq!(&whole.1, &split.1);
        // After a reply that ends the session, what was still to be sent may or may not have left.
        prop_assert!(whole.0.starts_with(&split.0) || split.0.starts_with(&whole.0));
    }

    #[test]
    fn garbage_never_upsets_the_machine(peer in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut play = Play::new(config(Protocol::Smtp));
        play.peer(&peer);
        prop_assert!(!play.ready || peer.starts_with(b"220"));
    }
}
