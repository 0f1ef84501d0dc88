//! However the octets of a client are cut into pieces, the session is the same.

use proptest::prelude::*;

use crate::driver::{Play, config};

/// What holds a dialogue: each element is sent when the one before it is answered.
const DIALOGUE: [&[u8]; 9] = [
    b"EHLO client.test\r\n",
    b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nRCPT TO:<>\r\nDATA\r\n",
    b"Subject: x\r\n\r\n..\r\n.x\r\ntext\r\n.\r\n",
    b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nBDAT 4\r\n\r\n.\rBDAT 3 LAST\r\n\n\r\n",
    b"BDAT 8\r\nRSET\r\n\r\nNOOP\r\n",
    b"MAIL FROM:<c@x.test>\r\nRCPT TO:<d@y.test>\r\nDATA\r\n",
    b"\r\n.\r\n",
    b"VRFY x\r\n",
    b"QUIT\r\n",
];

fn transcript(cut: impl Fn(usize) -> usize) -> String {
    let mut play = Play::new(config());
    let mut count = 0;
    for part in DIALOGUE {
        let mut rest = part;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(cut(count).clamp(1, rest.len()));
            play.send(piece);
            rest = tail;
            count += 1;
        }
    }
    play.transcript()
}

#[test]
fn one_octet_at_a_time() {
    let whole = transcript(|_| usize::MAX);
    assert!(
        whole.contains(r"M Subject: x\r\n\r\n.\r\nx\r\ntext\r\n"),
        "{whole}"
    );
    assert!(whole.contains(r"M \r\n.\r\n\r\n"), "{whole}");
    assert!(whole.ends_with("Quit"), "{whole}");
    assert_eq!(transcript(|_| 1), whole);
}

proptest! {
    #[test]
    fn pieces_do_not_matter(cuts in proptest::collection::vec(1usize..40, 1..40)) {
        prop_assert_eq!(transcript(|n| cuts[n % cuts.len()]), transcript(|_| usize::MAX));
    }
}
