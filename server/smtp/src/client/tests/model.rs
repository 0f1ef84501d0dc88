//! A peer that holds the client to the order of RFC 5321 4.1.4, the groups of RFC 2920 and the framing of RFC 3030.
//!
//! What it answers follows from a seed, the message and the command alone, so that two sessions that send the same are
//! answered the same, however they group it.

use std::collections::VecDeque;

/// What a peer offers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offers {
    pub(super) lmtp: bool,
    pub(super) pipelining: bool,
    pub(super) chunking: bool,
    /// Every command is welcome.
    pub(super) kind: bool,
}

/// What a peer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) recipients: Vec<String>,
    pub(super) content: Vec<u8>,
}

#[derive(Debug)]
enum Mode {
    Commands,
    Dialogue,
    Data,
    Chunk(usize),
    Closed,
}

pub(super) struct Peer {
    offers: Offers,
    seed: u64,
    mode: Mode,
    input: Vec<u8>,
    /// Replies that the client has not been given, each whole.
    replies: VecDeque<Vec<u8>>,
    /// The last command ends its group.
    group_ended: bool,
    greeted: bool,
    in_transaction: bool,
    accepted: Vec<String>,
    content: Vec<u8>,
    messages: usize,
    extras: usize,
    /// The commands, but for those that were said in vain.
    pub(super) lines: Vec<String>,
    pub(super) taken: Vec<Taken>,
}

impl Peer {
    pub(super) fn new(offers: Offers, seed: u64) -> Self {
        let mut peer = Self {
            offers,
            seed,
            mode: Mode::Commands,
            input: Vec::new(),
            replies: VecDeque::new(),
            group_ended: true,
            greeted: false,
            in_transaction: false,
            accepted: Vec::new(),
            content: Vec::new(),
            messages: 0,
            extras: 0,
            lines: Vec::new(),
            taken: Vec::new(),
        };
        peer.replies.push_back(b"220 model\r\n".to_vec());
        peer
    }

    /// The octets of the next replies, up to `most`; whole replies are gone from the front.
    pub(super) fn says(&mut self, most: usize) -> Vec<u8> {
        let mut said = Vec::new();
        while said.len() < most {
            let Some(reply) = self.replies.front_mut() else {
                break;
            };
            let length = reply.len().min(most - said.len());
            said.extend(reply.drain(..length));
            if reply.is_empty() {
                self.replies.pop_front();
            }
        }
        said
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.mode, Mode::Closed) && self.replies.is_empty()
    }

    pub(super) fn takes(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            match self.mode {
                Mode::Closed => return self.input.clear(),
                Mode::Chunk(left) => {
                    let now = left.min(self.input.len());
                    self.content.extend(self.input.drain(..now));
                    self.mode = Mode::Chunk(left - now);
                    if now < left {
                        return;
                    }
                    self.content_reply();
                }
                _ => {
                    let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") else {
                        return;
                    };
                    let line: Vec<u8> = self.input.drain(..end + 2).take(end).collect();
                    self.line(&line);
                }
            }
        }
    }

    fn line(&mut self, line: &[u8]) {
        match self.mode {
            Mode::Data if line == b"." => self.content_reply(),
            Mode::Data => {
                let line = line.strip_prefix(b".").unwrap_or(line);
                self.content.extend_from_slice(line);
                self.content.extend_from_slice(b"\r\n");
            }
            Mode::Dialogue => {
                let own = !matches!(line.first(), Some(b'X' | b'P'));
                assert!(!own, "a command within a dialogue: {:?}", self.lines);
                self.mode = Mode::Commands;
                self.says_one(&[250, 535], "dialogue");
            }
            _ => self.command(std::str::from_utf8(line).unwrap()),
        }
    }

    fn command(&mut self, line: &str) {
        if line == "PAYLOAD" {
            return;
        }
        assert!(line.len() <= 2046, "a line of {}", line.len());
        let owed = !self.replies.is_empty();
        if owed {
            assert!(self.offers.pipelining, "{line} was not waited with");
            assert!(!self.group_ended, "{line} behind the end of a group");
        }
        let verb = line.split(' ').next().unwrap();
        self.group_ended = !matches!(verb, "RSET" | "MAIL" | "RCPT") && !verb.starts_with('P');
        let nobody = self.accepted.is_empty();
        match verb {
            "EHLO" | "LHLO" | "HELO" => {
                assert!(!owed && self.messages == 0, "{line} within the session");
                self.lines.push(line.to_owned());
                self.hello(verb);
            }
            "RSET" => {
                self.lines.push(line.to_owned());
                self.reset();
                self.says_one(&[250], line);
            }
            "MAIL" => {
                self.lines.push(line.to_owned());
                assert!(
                    self.greeted && !self.in_transaction,
                    "MAIL has no place: {:?}",
                    self.lines
                );
                self.messages += 1;
                let code = self.says_one(&[250, 250, 250, 250, 451, 550, 530, 421], line);
                self.in_transaction = code == 250;
            }
            "RCPT" => {
                self.lines.push(line.to_owned());
                assert!(self.in_transaction || owed, "RCPT without MAIL");
                let choices: &[u16] = match self.in_transaction {
                    true => &[250, 250, 250, 251, 450, 550, 452, 421],
                    false => &[503],
                };
                let code = self.says_one(choices, line);
                if code / 100 == 2 {
                    let address = line.split(['<', '>']).nth(1).unwrap();
                    self.accepted.push(address.to_owned());
                }
            }
            "DATA" | "BDAT" if nobody => {
                assert!(owed, "{line} without anybody accepted");
                self.in_vain(line);
            }
            "DATA" => {
                self.lines.push(line.to_owned());
                let code = self.says_one(&[354, 354, 354, 354, 451, 554, 421], line);
                if code == 354 {
                    self.mode = Mode::Data;
                }
            }
            "BDAT" => {
                self.lines.push(line.to_owned());
                self.mode = Mode::Chunk(size(line));
            }
            "QUIT" => {
                self.lines.push(line.to_owned());
                self.says_one(&[221], line);
                self.mode = Mode::Closed;
            }
            _ => {
                assert!(verb.starts_with(['X', 'P']), "{line}");
                self.lines.push(line.to_owned());
                self.extras += 1;
                let choices: &[u16] = match verb.starts_with('X') {
                    true => &[250, 250, 250, 502, 334, 421],
                    false => &[250, 502],
                };
                let number = self.extras.to_string();
                if self.says_one(choices, &number) == 334 {
                    self.mode = Mode::Dialogue;
                }
            }
        }
    }

    fn hello(&mut self, verb: &str) {
        assert_eq!(verb == "LHLO", self.offers.lmtp);
        let choices: &[u16] = match verb {
            "HELO" => &[250, 250, 550],
            _ => &[250, 250, 250, 250, 250, 502, 450, 421],
        };
        let code = self.says_one(choices, verb);
        if code != 250 {
            return;
        }
        self.greeted = true;
        self.offers.pipelining &= verb != "HELO";
        let mut reply = b"250-model\r\n".to_vec();
        for (offered, keyword) in [
            (self.offers.pipelining, "PIPELINING"),
            (self.offers.chunking, "CHUNKING"),
        ] {
            if offered {
                reply.extend_from_slice(format!("250-{keyword}\r\n").as_bytes());
            }
        }
        reply.extend_from_slice(b"250 8BITMIME\r\n");
        *self.replies.back_mut().unwrap() = reply;
    }

    /// Content that nobody is there for.
    fn in_vain(&mut self, line: &str) {
        if line.starts_with("BDAT") {
            self.mode = Mode::Chunk(size(line));
            return;
        }
        // RFC 2033 does not say what follows a 354 then.
        let choices: &[u16] = match self.offers.lmtp {
            true => &[503],
            false => &[503, 554, 354],
        };
        if self.says_one(choices, line) == 354 {
            self.mode = Mode::Data;
        }
    }

    fn content_reply(&mut self) {
        self.mode = Mode::Commands;
        let recipients = std::mem::take(&mut self.accepted);
        let content = std::mem::take(&mut self.content);
        self.in_transaction = false;
        if recipients.is_empty() {
            assert!(content.is_empty() || self.offers.chunking);
            self.replies.push_back(b"503 nobody\r\n".to_vec());
            return;
        }
        let choices = [250, 250, 250, 250, 451, 554, 421];
        let mut taken = Taken {
            recipients: Vec::new(),
            content,
        };
        match self.offers.lmtp {
            true => {
                for recipient in recipients {
                    if matches!(self.mode, Mode::Closed) {
                        break;
                    }
                    if self.says_one(&choices, &format!("content {recipient}")) == 250 {
                        taken.recipients.push(recipient);
                    }
                }
            }
            false => {
                if self.says_one(&choices, "content") == 250 {
                    taken.recipients = recipients;
                }
            }
        }
        self.taken.push(taken);
    }

    fn reset(&mut self) {
        self.in_transaction = false;
        self.accepted.clear();
    }

    /// Says one of these, by what it is about.
    fn says_one(&mut self, choices: &[u16], about: &str) -> u16 {
        let key = format!("{} {} {about}", self.seed, self.messages);
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        let most = if self.offers.kind { 1 } else { choices.len() };
        let code = choices[usize::try_from(hash >> 33).unwrap() % most];
        self.replies
            .push_back(format!("{code} model\r\n").into_bytes());
        if code == 421 {
            self.mode = Mode::Closed;
        }
        code
    }
}

fn size(line: &str) -> usize {
    line.split(' ').nth(1).unwrap().parse().unwrap()
}
