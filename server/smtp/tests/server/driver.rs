//! A client that plays a script against a session, with the clock in its hand.
//!
//! A script is a transcript, one step a line:
//!
//! | step | means |
//! | --- | --- |
//! | `C: text` | the client sends the line and CRLF; lines that follow each other leave in one piece |
//! | `C= text` | the same without CRLF; `\r`, `\n`, `\0` and `\xNN` are octets |
//! | `S: text` | the next reply line; with `..` at the end of the step, how it begins |
//! | `S.` | nothing more was said |
//! | `M: text` | a message was complete, its content as in `C=` |
//! | `R: reason` | content was refused while it arrived, with this reply |
//! | `T.` | the session asked for a handshake, which then succeeds |
//! | `W: n` | n seconds pass |
//! | `X: reason` | the session closed |
//! | `Z.` | the transaction was reset |

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use postern_smtp::address::Domain;
use postern_smtp::reply::Reply;
use postern_smtp::server::{
    Action, Answer, Ask, CloseReason, Config, Prospect, Protocol, Question, Session, Transport,
    Wants,
};

pub(crate) type Respond = Box<dyn FnMut(&Question) -> Option<Answer>>;

pub(crate) fn config() -> Config {
    Config::new(Protocol::Smtp, Domain::parse(b"mx.test", false).unwrap())
}

pub(crate) fn reply(text: &str) -> Reply {
    let mut words = text.splitn(3, ' ');
    let code = words.next().unwrap().parse().unwrap();
    Reply::parse(code, words.next(), words.next().unwrap_or_default()).unwrap()
}

/// What a caller without opinions answers: the session's own handling, and yes to every message.
pub(crate) fn agree(question: &Question) -> Option<Answer> {
    Some(match question.prospect {
        Prospect::Accept(Ask::MessageEnd(_)) => Answer::Reply(reply("250 2.6.0 Kept")),
        _ => Answer::Proceed,
    })
}

pub(crate) struct Play {
    pub(crate) session: Session,
    pub(crate) now: Instant,
    pub(crate) input: BytesMut,
    /// Questions that the responder left open.
    pub(crate) open: Vec<Question>,
    /// All that was asked.
    pub(crate) asked: Vec<Question>,
    pub(crate) closed: Option<CloseReason>,
    respond: Respond,
    said: VecDeque<String>,
    content: Vec<u8>,
    messages: VecDeque<Vec<u8>>,
    refused: VecDeque<String>,
    resets: usize,
    wants_handshake: bool,
}

impl Play {
    pub(crate) fn new(config: Config) -> Self {
        Self::with(config, Box::new(agree))
    }

    pub(crate) fn with(config: Config, respond: Respond) -> Self {
        let mut play = Self::silent(config, respond);
        play.drive();
        play
    }

    /// A session whose greeting is still to be answered.
    pub(crate) fn silent(config: Config, respond: Respond) -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(Arc::new(config), Transport::default(), now),
            now,
            input: BytesMut::new(),
            open: Vec::new(),
            asked: Vec::new(),
            closed: None,
            respond,
            said: VecDeque::new(),
            content: Vec::new(),
            messages: VecDeque::new(),
            refused: VecDeque::new(),
            resets: 0,
            wants_handshake: false,
        }
    }

    /// A session past its greeting and EHLO.
    pub(crate) fn greeted(config: Config) -> Self {
        let mut play = Self::new(config);
        play.send(b"EHLO client.test\r\n");
        play.said.clear();
        play
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.drive();
    }

    pub(crate) fn answer(&mut self, index: usize, answer: Answer) {
        let question = self.open.remove(index);
        self.session.answer(question.id, answer, self.now).unwrap();
        self.drive();
    }

    /// Does all there is to do, until the session waits for somebody else.
    pub(crate) fn drive(&mut self) {
        loop {
            while let Some(action) = self.session.poll_action() {
                self.act(action);
            }
            if !self.session.handle_input(&mut self.input, self.now) {
                break;
            }
        }
        if self.session.wants() == Wants::Nothing {
            assert!(self.closed.is_some(), "closed without an action");
        }
    }

    /// Lets time pass, with every deadline on the way told.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((deadline, _)) = self.session.poll_timeout().filter(|due| due.0 <= until) {
            self.now = deadline.max(self.now);
            self.session.handle_timeout(self.now);
            self.drive();
        }
        self.now = until;
    }

    pub(crate) fn script(&mut self, script: &str) {
        let mut sending = Vec::new();
        for (number, line) in script.lines().map(str::trim_start).enumerate() {
            let Some((step, text)) = line.split_at_checked(2) else {
                continue;
            };
            let text = text.strip_prefix(' ').unwrap_or(text);
            match step {
                "C:" => {
                    sending.extend_from_slice(text.as_bytes());
                    sending.extend_from_slice(b"\r\n");
                    continue;
                }
                "C=" => {
                    sending.extend_from_slice(&unescape(text));
                    continue;
                }
                _ => self.send(&std::mem::take(&mut sending)),
            }
            self.expect(step, text, &format!("line {}: {line}", number + 1));
        }
        self.send(&sending);
    }

    /// All that came of the session, as text.
    pub(crate) fn transcript(&self) -> String {
        let said = self.said.iter().map(|line| format!("S {line}\n"));
        let messages = self
            .messages
            .iter()
            .map(|message| format!("M {}\n", message.escape_ascii()));
        let closed = self.closed.map(|reason| format!("{reason:?}"));
        said.chain(messages).chain(closed).collect()
    }

    /// Nothing that the script did not mention has happened.
    pub(crate) fn finish(self) {
        assert!(self.said.is_empty(), "also said: {:?}", self.said);
        assert!(self.messages.is_empty(), "messages that were not expected");
        assert!(self.refused.is_empty(), "also refused: {:?}", self.refused);
    }

    fn expect(&mut self, step: &str, text: &str, place: &str) {
        match step {
            "S:" => {
                let said = self
                    .said
                    .pop_front()
                    .unwrap_or_else(|| panic!("{place}: nothing said"));
                match text.strip_suffix("..") {
                    Some(start) => assert!(said.starts_with(start), "{place}: said {said:?}"),
                    None => assert_eq!(said, text, "{place}"),
                }
            }
            "S." => assert!(self.said.is_empty(), "{place}: said {:?}", self.said),
            "M:" => {
                let message = self
                    .messages
                    .pop_front()
                    .unwrap_or_else(|| panic!("{place}: no message"));
                assert_eq!(
                    message.escape_ascii().to_string(),
                    unescape(text).escape_ascii().to_string(),
                    "{place}"
                );
            }
            "R:" => {
                let refused = self
                    .refused
                    .pop_front()
                    .unwrap_or_else(|| panic!("{place}: not refused"));
                assert!(refused.starts_with(text), "{place}: {refused}");
            }
            "T." => {
                assert!(
                    std::mem::take(&mut self.wants_handshake),
                    "{place}: no handshake"
                );
                self.session.tls_established(&mut self.input, self.now);
                self.drive();
            }
            "W:" => self.wait(Duration::from_secs(text.parse().unwrap())),
            "X:" => assert_eq!(
                self.closed.map(|reason| format!("{reason:?}")).as_deref(),
                Some(text),
                "{place}"
            ),
            "Z." => {
                assert!(self.resets > 0, "{place}: no reset");
                self.resets -= 1;
            }
            _ => panic!("{place}: not a step"),
        }
    }

    fn act(&mut self, action: Action) {
        assert!(self.closed.is_none(), "{action:?} after the end");
        match action {
            Action::Ask(question) => {
                self.asked.push(question.clone());
                match (self.respond)(&question) {
                    Some(answer) => self.session.answer(question.id, answer, self.now).unwrap(),
                    None => self.open.push(question),
                }
            }
            Action::Reply(_, reply) => {
                let mut out = BytesMut::new();
                reply.encode(self.session.replies_utf8(), &mut out);
                check_wire(&out);
                let text = String::from_utf8(out.to_vec()).unwrap();
                self.said
                    .extend(text.split_terminator("\r\n").map(str::to_owned));
            }
            Action::Content(content) => {
                assert!(!content.is_empty(), "empty content");
                self.content.extend_from_slice(&content);
            }
            Action::ContentEnd => self.messages.push_back(std::mem::take(&mut self.content)),
            Action::ContentRefused(reply) => {
                self.content.clear();
                self.refused.push_back(reply.to_string());
            }
            Action::TransactionReset(_) => {
                self.content.clear();
                self.resets += 1;
            }
            Action::StartTls => self.wants_handshake = true,
            Action::Close(reason) => self.closed = Some(reason),
        }
    }
}

/// What holds for every reply: lines of at most 512 octets, one code, a blank or a dash, CRLF and no other control,
/// and in all but greetings an enhanced code of the same class.
fn check_wire(out: &[u8]) {
    let lines: Vec<&[u8]> = out
        .strip_suffix(b"\r\n")
        .unwrap()
        .split(|&b| b == b'\n')
        .collect();
    for (index, line) in lines.iter().enumerate() {
        let is_last = index + 1 == lines.len();
        let line = if is_last {
            line
        } else {
            line.strip_suffix(b"\r").unwrap()
        };
        assert!(line.len() <= 510);
        assert!(line.iter().all(|&b| b >= 0x20), "{}", line.escape_ascii());
        assert_eq!(line[..3], lines[0][..3]);
        assert_eq!(line[3], if is_last { b' ' } else { b'-' });
        let class = line[0];
        if class == b'4' || class == b'5' {
            assert_eq!((line[4], line[5]), (class, b'.'), "{}", line.escape_ascii());
        }
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        octets.push(match (byte, byte == b'\\') {
            (_, true) => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'0' => 0,
                b's' => b' ',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
            (byte, false) => byte,
        });
    }
    octets
}

/// Plays a script on a session of its own, greeting included.
pub(crate) fn play(config: Config, script: &str) {
    let mut play = Play::new(config);
    play.script(script);
    play.finish();
}

/// Plays a script on a session past EHLO.
pub(crate) fn play_greeted(config: Config, script: &str) {
    let mut play = Play::greeted(config);
    play.script(script);
    play.finish();
}
