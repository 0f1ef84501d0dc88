//! Fuzz targets: what a client may send, in any pieces and with any answers.
//!
//! As tests they run on random input for a bounded number of iterations, on the stable toolchain. To run one longer:
//! `cargo bolero test -p postern-smtp a_client_says_anything`, or with more iterations
//! `BOLERO_RANDOM_ITERATIONS=1000000 cargo test -p postern-smtp --release --test fuzz_server`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bolero::TypeGenerator;
use bytes::{Bytes, BytesMut};
use postern_smtp::address::{AddressSyntax, Domain, ForwardPath, ReversePath};
use postern_smtp::command::{Command, Extensions, HelloNames};
use postern_smtp::content::{ContentCheck, ContentLimits};
use postern_smtp::data::DotDecoder;
use postern_smtp::reply::Reply;
use postern_smtp::server::{
    Action, Answer, AnswerError, Auth, Config, Expects, Protocol, Question, Session, Transport,
    Wants,
};

/// What a client does next. Whole commands among the noise let the fuzzer get deep.
#[derive(Debug, Clone, TypeGenerator)]
enum Move {
    Hello,
    Auth(u8),
    Response(Vec<u8>),
    Mail,
    Rcpt,
    Data,
    Chunk { size: u8, last: bool },
    Text(Vec<u8>),
    End,
    Line(Vec<u8>),
    Noise(Vec<u8>),
    Bare(u8),
    Answer { which: u8, how: u8 },
    Refuse,
    Wait(u8),
    Shutdown,
    HandshakeDone,
    Gone,
}

fn octets(step: &Move, lmtp: bool) -> Vec<u8> {
    match step {
        Move::Hello if lmtp => b"LHLO c.test\r\n".to_vec(),
        Move::Hello => b"EHLO c.test\r\n".to_vec(),
        Move::Auth(how) => [
            b"AUTH PLAIN\r\n".as_slice(),
            b"AUTH LOGIN AGEAYg==\r\n",
            b"auth plain =\r\n",
            b"AUTH PLAIN !\r\n",
            b"*\r\n",
        ][usize::from(how % 5)]
        .to_vec(),
        Move::Response(octets) => [STANDARD.encode(octets).as_bytes(), b"\r\n"].concat(),
        Move::Mail => b"MAIL FROM:<a@x.test>\r\n".to_vec(),
        Move::Rcpt => b"RCPT TO:<b@y.test>\r\n".to_vec(),
        Move::Data => b"DATA\r\n".to_vec(),
        Move::Chunk { size, last } => {
            format!("BDAT {size}{}\r\n", if *last { " LAST" } else { "" }).into_bytes()
        }
        Move::End => b"\r\n.\r\n".to_vec(),
        Move::Line(line) => [line, b"\r\n".as_slice()].concat(),
        Move::Text(octets) | Move::Noise(octets) => octets.clone(),
        Move::Bare(which) => {
            [b"\r".as_slice(), b"\n", b"\n.\r\n", b"\r\n.\n"][usize::from(which % 4)].to_vec()
        }
        _ => Vec::new(),
    }
}

fn answer(how: u8, lmtp: bool) -> Answer {
    let reply = |code, text: &str| Reply::parse(code, None, text).unwrap();
    match how % 12 {
        0..=2 => Answer::Proceed,
        3 => Answer::Reply(reply(250, "yes")),
        4 => Answer::Reply(reply(450, "later\nor never")),
        5 if lmtp => Answer::PerRecipient(vec![reply(250, "yes")]),
        5 => Answer::Reply(reply(354, "go on")),
        6 => Answer::Reply(reply(550, "no")),
        7 => Answer::Challenge(Bytes::from(vec![b'x'; usize::from(how) * 3])),
        8 => Answer::Reply(reply(535, "no")),
        9 => Answer::Dialogue {
            reply: Some(reply(354, "go on")),
            expects: Expects::Line(usize::from(how)),
        },
        10 => Answer::Dialogue {
            reply: None,
            expects: Expects::Octets(usize::from(how)),
        },
        _ => Answer::Disconnect(reply(421, "bye")),
    }
}

/// Follows a session and checks what must hold of it at any time.
struct Watch {
    session: Session,
    open: Vec<Question>,
    closed: bool,
    content: u64,
}

impl Watch {
    fn act(&mut self) {
        while let Some(action) = self.session.poll_action() {
            assert!(!self.closed, "{action:?} after the end");
            match action {
                Action::Ask(question) => self.open.push(question),
                Action::Reply(_, reply) => {
                    let mut out = BytesMut::new();
                    reply.encode(false, &mut out);
                    assert!(out.is_ascii() && out.ends_with(b"\r\n"));
                    assert!(out[..].split(|&b| b == b'\n').all(|line| line.len() < 512));
                }
                Action::Content(content) => self.content += content.len() as u64,
                Action::ContentEnd | Action::ContentRefused(_) | Action::TransactionReset(_) => {
                    self.content = 0
                }
                Action::StartTls => assert_eq!(self.session.wants(), Wants::Tls),
                Action::Close(_) => self.closed = true,
            }
        }
        assert_eq!(self.closed, self.session.wants() == Wants::Nothing);
        assert!(self.content <= 300, "more content than the limit");
        assert!(self.open.len() <= 4, "questions are bounded");
    }
}

#[test]
fn a_client_says_anything() {
    bolero::check!()
        .with_type()
        .with_iterations(20_000)
        .for_each(|(lmtp, auth, moves): &(bool, Option<bool>, Vec<Move>)| {
            let mut config = Config::new(Protocol::Smtp, Domain::parse(b"mx.test", false).unwrap());
            config.starttls = true;
            config.auth = auth.map(|in_clear| Auth {
                mechanisms: vec!["PLAIN".to_owned(), "LOGIN".to_owned()],
                in_clear,
                required: true,
            });
            config.limits.max_message_size = 300;
            config.limits.command_line = 64;
            config.limits.line_length = 100;
            config.limits.recipients_in_flight = 3;
            config.limits.drain = 1000;
            if *lmtp {
                config.protocol = Protocol::Lmtp;
            }
            let mut now = Instant::now();
            let session = Session::new(Arc::new(config), Transport::default(), now);
            let mut watch = Watch {
                session,
                open: Vec::new(),
                closed: false,
                content: 0,
            };
            let mut input = BytesMut::new();
            for step in moves {
                watch.act();
                match step {
                    Move::Answer { which, how } if !watch.open.is_empty() => {
                        let index = usize::from(*which) % watch.open.len();
                        let question = watch.open.remove(index);
                        // A closed session knows no question any more; an unfit answer is settled.
                        let closed = watch.session.wants() == Wants::Nothing;
                        let result = watch.session.answer(question.id, answer(*how, *lmtp), now);
                        let unknown = matches!(result, Err(AnswerError::UnknownQuestion(_)));
                        assert_eq!(unknown, closed, "{result:?}");
                    }
                    Move::Refuse => {
                        watch
                            .session
                            .refuse_content(Reply::parse(550, None, "no").unwrap(), now);
                    }
                    Move::Wait(seconds) => {
                        now += Duration::from_secs(u64::from(*seconds));
                        watch.session.handle_timeout(now);
                    }
                    Move::Shutdown => watch.session.shutdown(),
                    Move::HandshakeDone => {
                        watch.act();
                        if watch.session.wants() == Wants::Tls {
                            watch.session.tls_established(&mut input, now);
                        }
                    }
                    Move::Gone => watch.session.handle_eof(),
                    step => input.extend_from_slice(&octets(step, *lmtp)),
                }
                watch.session.handle_input(&mut input, now);
                let clear = !watch.session.is_tls() && *auth != Some(true);
                assert!(
                    !(clear && watch.session.is_authenticated()),
                    "AUTH in clear"
                );
            }
            watch.act();
        });
}

#[test]
fn any_line_is_a_command_or_an_error() {
    bolero::check!()
        .with_type()
        .with_iterations(50_000)
        .for_each(
            |(prefix, rest, utf8, lenient): &(u8, Vec<u8>, bool, bool)| {
                let prefixes = [
                    "",
                    "MAIL FROM:<",
                    "RCPT TO:<",
                    "RCPT TO:<a@b> ",
                    "MAIL FROM:<> ",
                    "MAIL FROM: ",
                    "BDAT ",
                    "EHLO ",
                    "\"",
                ];
                let line = [
                    prefixes[usize::from(*prefix) % prefixes.len()].as_bytes(),
                    rest,
                ]
                .concat();
                let extensions = Extensions {
                    offered: true,
                    smtp_utf8: *utf8,
                    priorities: true,
                    auth: true,
                    hello_names: HelloNames::Any,
                    addresses: if *lenient {
                        AddressSyntax::Lenient
                    } else {
                        AddressSyntax::Strict
                    },
                };
                let syntax = extensions.addresses;
                let Ok(command) = Command::parse(&Bytes::from(line.clone()), extensions) else {
                    return;
                };
                assert!(line.iter().all(|&b| b >= 0x20 && b != 0x7f));
                // What was accepted can be written and read again.
                match command {
                    Command::Mail(mail) => {
                        let written = mail.sender.to_string();
                        let utf8 = mail.parameters.smtp_utf8;
                        assert!(utf8 || written.is_ascii());
                        assert_eq!(
                            ReversePath::parse_with(written.as_bytes(), utf8, syntax),
                            Ok(mail.sender)
                        );
                    }
                    Command::Rcpt(rcpt) => {
                        let written = rcpt.recipient.to_string();
                        assert!(*utf8 || written.is_ascii());
                        assert_eq!(
                            ForwardPath::parse_with(written.as_bytes(), *utf8, syntax),
                            Ok(rcpt.recipient)
                        );
                    }
                    _ => {}
                }
            },
        );
}

/// What leaves the decoder and passes the check has no bare CR or LF, however it was cut.
#[test]
fn content_is_text_or_refused() {
    bolero::check!()
        .with_type()
        .with_iterations(50_000)
        .for_each(|pieces: &Vec<Vec<u8>>| {
            let mut decoder = DotDecoder::new();
            let mut check = ContentCheck::new(
                ContentLimits {
                    line_length: 100,
                    size: 1000,
                },
                false,
            );
            let (mut input, mut content) = (BytesMut::new(), Vec::new());
            for piece in pieces {
                // Random octets rarely are line ends: map some on what matters.
                input.extend(
                    piece
                        .iter()
                        .map(|&b| *b"\r\n.\r\n.xyz\0".get(usize::from(b >> 4)).unwrap_or(&b)),
                );
                let decoded = decoder.decode(&mut input);
                content.extend_from_slice(&decoded.content);
                if check.check(&decoded.content).is_err() {
                    return;
                }
                if decoded.end {
                    break;
                }
            }
            if check.finish().is_ok() {
                let without_ends =
                    content
                        .split(|&b| b == b'\n')
                        .fold(Vec::new(), |mut all: Vec<u8>, line| {
                            all.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                            all
                        });
                assert!(!without_ends.contains(&b'\r'));
                let ends = content.windows(2).filter(|pair| pair == b"\r\n").count();
                assert_eq!(ends, content.iter().filter(|&&b| b == b'\n').count());
            }
        });
}
