//! The client machine against the project's own server machine: what is sent arrives, octet for octet.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::play::{Play, config};
use crate::address::Domain;
use crate::client::{self, Body, Delivery, Recipient, Transaction};
use crate::reply::Reply;
use crate::server::{self, Answer, Ask, Prospect, Transport};

/// A server session with its caller played: recipients that start with `no` are refused, everything else is taken.
struct Server {
    lmtp: bool,
    session: server::Session,
    input: BytesMut,
    output: BytesMut,
    content: Vec<u8>,
    messages: Vec<Vec<u8>>,
    now: Instant,
}

impl Server {
    fn new(lmtp: bool, now: Instant) -> Self {
        let protocol = if lmtp {
            server::Protocol::Lmtp
        } else {
            server::Protocol::Smtp
        };
        let mut config = server::Config::new(protocol, Domain::parse(b"mx.test", false).unwrap());
        config.starttls = true;
        let session = server::Session::new(Arc::new(config), Transport { tls: false }, now);
        Self {
            lmtp,
            session,
            input: BytesMut::new(),
            output: BytesMut::new(),
            content: Vec::new(),
            messages: Vec::new(),
            now,
        }
    }

    /// Takes what the client sent; the result is what is sent back.
    fn takes(&mut self, octets: &[u8]) -> Bytes {
        self.input.extend_from_slice(octets);
        loop {
            let mut progress = self.session.handle_input(&mut self.input, self.now);
            while let Some(action) = self.session.poll_action() {
                progress = true;
                self.act(action);
            }
            if !progress {
                return self.output.split().freeze();
            }
        }
    }

    fn act(&mut self, action: server::Action) {
        match action {
            server::Action::Ask(question) => {
                let answer = self.answer(&question.prospect);
                self.session.answer(question.id, answer, self.now).unwrap();
            }
            server::Action::Reply(_, reply) => reply.encode(false, &mut self.output),
            server::Action::Content(octets) => self.content.extend_from_slice(&octets),
            server::Action::ContentEnd => {}
            server::Action::ContentRefused(reply) => panic!("refused: {reply}"),
            server::Action::StartTls => {
                self.session.tls_established(&mut self.input, self.now);
            }
            server::Action::TransactionReset(_) | server::Action::Close(_) => self.content.clear(),
        }
    }

    fn answer(&mut self, prospect: &Prospect) -> Answer {
        let reply = |code, text| Reply::parse(code, None, text).unwrap();
        match prospect {
            Prospect::Accept(Ask::Rcpt(rcpt)) => match rcpt.recipient.mailbox() {
                Some(mailbox) if mailbox.local_part().starts_with("no") => {
                    Answer::Reply(reply(550, "no"))
                }
                _ => Answer::Proceed,
            },
            Prospect::Accept(Ask::MessageEnd(end)) => {
                self.messages.push(std::mem::take(&mut self.content));
                if self.lmtp {
                    Answer::PerRecipient((0..end.recipients).map(|_| reply(250, "kept")).collect())
                } else {
                    Answer::Reply(reply(250, "kept"))
                }
            }
            _ => Answer::Proceed,
        }
    }
}

/// Sends messages over one connection; what became of each recipient, and what the server got.
fn run(
    lmtp: bool,
    slice: usize,
    bdat_up_to: u64,
    mails: &[(Vec<String>, Vec<u8>)],
) -> (Vec<String>, Vec<Vec<u8>>) {
    let protocol = if lmtp {
        client::Protocol::Lmtp
    } else {
        client::Protocol::Smtp
    };
    let mut config = config(protocol);
    config.bdat_up_to = bdat_up_to;
    let mut play = Play::new(config);
    play.slice = slice;
    let mut server = Server::new(lmtp, play.now);
    let mut to_client = server.takes(b"");
    let mut words = Vec::new();
    exchange(&mut play, &mut server, &mut to_client);
    for (recipients, content) in mails {
        let mail = Transaction {
            sender: Bytes::from_static(b"from@client.test"),
            recipients: recipients
                .iter()
                .map(|r| Recipient::new(r.clone()))
                .collect(),
            size: content.len() as u64,
            body: Body::EightBitMime,
            smtp_utf8: false,
            ret: None,
            envelope_id: None,
            priority: 0,
        };
        let sent = play.send_octets(mail, content);
        to_client = server.takes(&sent);
        exchange(&mut play, &mut server, &mut to_client);
        words.extend(play.results());
        let report = play.finished.last().unwrap();
        assert!(
            report
                .recipients
                .iter()
                .all(|d| matches!(d, Delivery::Accepted(_) | Delivery::Refused { .. }))
        );
    }
    assert!(
        play.session.is_ready() && play.session.encrypted(),
        "still open, and encrypted"
    );
    (words, server.messages)
}

fn exchange(play: &mut Play, server: &mut Server, to_client: &mut Bytes) {
    while !to_client.is_empty() {
        let mut to_server = play.peer(std::mem::take(to_client));
        if std::mem::take(&mut play.start_tls) {
            play.session.tls_established(play.now);
            to_server.extend(play.sent());
        }
        *to_client = server.takes(&to_server);
    }
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![4 => Just(b'.'), 8 => 32u8..127, 1 => 128u8..=255];
    prop::collection::vec(prop::collection::vec(octet, 0..6), 0..8).prop_map(|lines| {
        let mut content = b"Subject: x\r\n\r\n".to_vec();
        for line in lines {
            content.extend_from_slice(&line);
            content.extend_from_slice(b"\r\n");
        }
        content
    })
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        lmtp: bool,
        slice in 1usize..40,
        bdat_up_to in prop_oneof![Just(0u64), Just(20), Just(1000)],
        mails in prop::collection::vec((prop::collection::vec("(no|yes)[a-z]{1,3}@mx\\.test", 1..4), content()), 1..4),
    ) {
        let (words, arrived) = run(lmtp, slice, bdat_up_to, &mails);
        let expected: Vec<&Vec<u8>> = mails
            .iter()
            .filter(|(recipients, _)| recipients.iter().any(|r| r.starts_with("yes")))
            .map(|(_, content)| content)
            .collect();
        prop_assert_eq!(arrived.iter().collect::<Vec<_>>(), expected);
        let recipients = mails.iter().flat_map(|(recipients, _)| recipients);
        for (word, recipient) in words.iter().zip(recipients) {
            let good = recipient.starts_with("yes");
            prop_assert_eq!(word.as_str(), if good { "accepted 250" } else { "550 at RCPT" });
        }
    }
}
