//! Fuzz target: a client session against a peer that says anything.
//!
//! As a test it runs on random and known input; `cargo bolero test -p postern-smtp peer_says_anything` fuzzes it.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use postern_smtp::client::{
    Action, Body, ClientName, Config, Protocol, Recipient, Session, Transaction, Wants,
};

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.\r\n..\r\ntext\r\n";

fn transaction() -> Transaction {
    Transaction {
        sender: Bytes::from_static(b"a@x.test"),
        recipients: vec![Recipient::new("b@y.test"), Recipient::new("c@y.test")],
        size: CONTENT.len() as u64,
        body: Body::SevenBit,
        smtp_utf8: false,
        ret: None,
        envelope_id: None,
        priority: 0,
    }
}

/// Does all actions; the number of transactions that ended.
fn act(session: &mut Session, now: Instant) -> usize {
    let mut finished = 0;
    loop {
        while let Some(action) = session.poll_action() {
            match action {
                Action::StartTls => session.tls_established(now),
                Action::Finished(report) => {
                    assert_eq!(report.recipients.len(), 2);
                    finished += 1;
                }
                Action::Ask(_) => panic!("nothing is to be asked"),
                Action::Send(_) | Action::Ready | Action::Close(_) => {}
            }
        }
        if session.wants() != Wants::Content {
            return finished;
        }
        session.content(Bytes::from_static(CONTENT), now);
        session.content_end(now);
    }
}

#[test]
fn peer_says_anything() {
    bolero::check!()
        .with_type()
        .for_each(|(lmtp, pieces): &(bool, Vec<Vec<u8>>)| {
            let protocol = if *lmtp {
                Protocol::Lmtp
            } else {
                Protocol::Smtp
            };
            let Ok(name) = ClientName::new("client.test") else {
                return;
            };
            let now = Instant::now();
            let mut session = Session::new(Arc::new(Config::new(protocol, name)), false, now);
            let mut input = BytesMut::from(&b"220 x\r\n250-x\r\n250 PIPELINING\r\n"[..]);
            let (mut begun, mut ended) = (0, 0);
            for piece in pieces {
                input.extend_from_slice(piece);
                session.handle_input(&mut input, now);
                ended += act(&mut session, now);
                assert!(
                    input.len() <= 2048,
                    "what is not understood does not pile up"
                );
                if session.send(transaction(), now).is_ok() {
                    begun += 1;
                }
                ended += act(&mut session, now);
            }
            session.handle_eof();
            ended += act(&mut session, now);
            assert_eq!(begun, ended, "every transaction has an end");
            assert_eq!(session.wants(), Wants::Nothing);
        });
}
