//! The test kit: runs a sink in process against scripted sessions, on a virtual clock.
//!
//! ```
//! use postern_sdk::testing::Session;
//! use postern_sdk::{EventKind, Mail, Verdict, inbound, sink};
//!
//! async fn no_robots(mail: Mail) -> Verdict {
//!     match mail.sender().address().is_some_and(|sender| sender.local() == "robot") {
//!         true => Verdict::reject("No robots"),
//!         false => Verdict::proceed(),
//!     }
//! }
//!
//! let transcript = Session::connect(sink!().on(inbound::MAIL, no_robots), "192.0.2.1")
//!     .ehlo("client.example.test")
//!     .mail("robot@example.test")
//!     .rcpt("a@example.test")
//!     .message("Subject: hello\r\n\r\nHello.\r\n")
//!     .play();
//! assert_eq!(transcript.reply(EventKind::InboundMail), Some((550, "No robots".to_owned())));
//! assert!(!transcript.accepted());
//! ```
//!
//! A script does what the gateway would do: it asks for the events that the sink describes, when it wants to be asked;
//! obeys its verdicts (what is refused is not gone on with); pushes content under credit, answers reads, sends long lists
//! in parts, applies edits. After an accepted message it asks `transport.submit` too, about the message as edited.
//! Whatever else a script does not lead to is sent with [`Session::event`].
//!
//! It holds the sink to the contract: a verdict that breaks the table, the binding's grants or the limits, a frame that
//! is too long or about nothing, fails the test in the gateway's words. Time is virtual: a sink that sleeps for a minute
//! costs none, and a deadline passes at once when the sink waits for nothing else.

mod apply;
mod content;
mod hub;
mod mail;
mod opening;
mod player;
mod questions;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use self::mail::Mail;
use self::player::{Player, Step};
use crate::v1::{self, EventKind, decision};
use crate::{Fault, Sink, Verdict};

/// A scripted session. [`play`](Self::play) runs it.
#[must_use = "a script runs when it is played"]
pub struct Session {
    sink: Sink,
    steps: Vec<Step>,
    setup: Setup,
}

/// What a script is run with.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) client: String,
    pub(crate) properties: Bytes,
    pub(crate) chunk: usize,
    pub(crate) deadline: Duration,
    pub(crate) limits: v1::Limits,
    pub(crate) grants: Option<Vec<String>>,
    pub(crate) reads: Option<Vec<String>>,
    pub(crate) tolerant: bool,
    pub(crate) part: usize,
    pub(crate) seed: u64,
}

impl Session {
    /// A client connects from this address.
    pub fn connect(sink: Sink, client: &str) -> Self {
        let setup = Setup {
            client: client.to_owned(),
            properties: Bytes::new(),
            chunk: 64 * 1024,
            deadline: Duration::from_secs(10),
            limits: opening::limits(),
            grants: None,
            reads: None,
            tolerant: false,
            part: 1000,
            seed: 0,
        };
        Self {
            sink,
            steps: Vec::new(),
            setup,
        }
    }

    /// The properties of the binding.
    pub fn properties(mut self, properties: &serde_json::Value) -> Self {
        self.setup.properties = Bytes::from(properties.to_string());
        self
    }

    /// What the binding's verdicts may do. What the sink describes, unless said.
    pub fn may(mut self, grants: &[&str]) -> Self {
        self.setup.grants = Some(grants.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// What the binding reads. What the sink describes, unless said.
    pub fn reads(mut self, words: &[&str]) -> Self {
        self.setup.reads = Some(words.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// Changes the bounds that the gateway enforces.
    pub fn limits(mut self, change: impl FnOnce(&mut v1::Limits)) -> Self {
        change(&mut self.setup.limits);
        self
    }

    /// Sends content in chunks of so many octets. 64 KiB unless said.
    pub fn chunks_of(mut self, octets: usize) -> Self {
        self.setup.chunk = octets.clamp(1, 256 * 1024);
        self
    }

    /// Sends lists of recipients and header fields in parts of so many elements. 1000 unless said.
    pub fn parts_of(mut self, elements: usize) -> Self {
        self.setup.part = elements.max(1);
        self
    }

    /// How long the sink has for a verdict. 10 s unless said. Past it, the event is cancelled.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.setup.deadline = deadline;
        self
    }

    /// Keeps what the gateway would refuse in [`Transcript::refusals`] instead of failing the test. Such a verdict counts as
    /// a failure of the sink.
    pub fn tolerant(mut self) -> Self {
        self.setup.tolerant = true;
        self
    }

    /// EHLO.
    pub fn ehlo(self, name: &str) -> Self {
        self.step(Step::Ehlo(name.to_owned()))
    }

    /// MAIL. An empty sender is the null reverse-path.
    pub fn mail(self, sender: &str) -> Self {
        self.step(Step::Mail(sender.to_owned()))
    }

    /// RCPT.
    pub fn rcpt(self, address: &str) -> Self {
        self.step(Step::Rcpts(vec![address.to_owned()]))
    }

    /// Several RCPTs in one go: a group, asked at the same time.
    pub fn pipelined_rcpts<T: AsRef<str>>(self, addresses: &[T]) -> Self {
        let addresses = addresses.iter().map(|address| address.as_ref().to_owned());
        self.step(Step::Rcpts(addresses.collect()))
    }

    /// DATA and the message. Lines end in CRLF.
    pub fn message(self, raw: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Message(raw.into(), None))
    }

    /// DATA and a message whose client goes away after so many octets of its body.
    pub fn message_cut(self, raw: impl Into<Vec<u8>>, after: usize) -> Self {
        self.step(Step::Message(raw.into(), Some(after)))
    }

    /// RSET.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Any other event of the session. Nobody waits for an answer to one that only tells.
    pub fn event(self, body: v1::event::Kind) -> Self {
        self.step(Step::Event(Box::new(body)))
    }

    /// The gateway parks the instance: at the next event it is opened again from a snapshot, and the running transaction's
    /// events are told again.
    pub fn parked(self) -> Self {
        self.step(Step::Park)
    }

    /// The gateway gives the next question to another replica: the first is cancelled, and it is asked again in a new
    /// instance.
    pub fn moved(self) -> Self {
        self.step(Step::Move)
    }

    /// QUIT. A script that does not say so ends with the client going away.
    pub fn quit(self) -> Self {
        self.step(Step::Quit)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Plays the script. It may be called anywhere, also in an async test.
    ///
    /// # Panics
    /// Where the sink breaks the contract, and so fails the test.
    #[track_caller]
    pub fn play(self) -> Transcript {
        let mut transcripts = self.play_many(1, 0);
        transcripts.pop().unwrap_or_default()
    }

    /// Plays so many sessions of the same script on one stream, their frames in an order that `seed` decides. The order of
    /// each session's own frames is kept.
    ///
    /// # Panics
    /// Where the sink breaks the contract, and so fails the test.
    #[track_caller]
    pub fn play_interleaved(self, sessions: usize, seed: u64) -> Vec<Transcript> {
        self.play_many(sessions, seed)
    }

    #[track_caller]
    fn play_many(self, sessions: usize, seed: u64) -> Vec<Transcript> {
        let Self {
            sink,
            steps,
            mut setup,
            ..
        } = self;
        let sink = match sink.ready() {
            Ok(sink) => sink,
            Err(error) => panic!("{error}"),
        };
        // A runtime of its own, on a thread of its own: its clock is virtual, and the test's may be another.
        let played = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => panic!("no runtime for the script: {error}"),
            };
            runtime.block_on(async {
                let hub = hub::Hub::start(Arc::clone(&sink));
                let mut playing = Vec::new();
                for number in 0..sessions {
                    setup.seed = match sessions {
                        1 => 0,
                        _ => {
                            seed.wrapping_add(number as u64)
                                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                                | 1
                        }
                    };
                    let player =
                        Player::new(hub.clone(), sink.description.clone(), setup.clone(), number);
                    playing.push(player.run(steps.clone()));
                }
                let transcripts = futures_util::future::join_all(playing).await;
                hub.finish().await;
                transcripts
            })
        });
        match played.join() {
            Ok(transcripts) => transcripts,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// What came of a script.
#[derive(Debug, Default)]
pub struct Transcript {
    pub(crate) answers: Vec<(EventKind, Result<Verdict, Fault>)>,
    pub(crate) mails: Vec<Mail>,
    pub(crate) activities: Vec<String>,
    pub(crate) refusals: Vec<String>,
    pub(crate) actions: Vec<v1::SinkAction>,
    /// Of the last question, until its verdict is applied.
    uploads: std::collections::HashMap<u64, Vec<u8>>,
}

impl Transcript {
    /// All answers in the order of the questions.
    pub fn answers(&self) -> &[(EventKind, Result<Verdict, Fault>)] {
        &self.answers
    }

    /// The answers to one kind of event.
    pub fn answers_to(&self, event: EventKind) -> impl Iterator<Item = &Result<Verdict, Fault>> {
        self.answers
            .iter()
            .filter(move |(kind, _)| *kind == event)
            .map(|(_, answer)| answer)
    }

    /// The last verdict on this event.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn verdict(&self, event: EventKind) -> &Verdict {
        match self.answers_to(event).last() {
            Some(Ok(verdict)) => verdict,
            Some(Err(fault)) => panic!("{event:?} was answered with a fault: {fault:?}"),
            None => panic!("{event:?} was not asked"),
        }
    }

    /// The last fault at this event.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn fault(&self, event: EventKind) -> &Fault {
        match self.answers_to(event).last() {
            Some(Err(fault)) => fault,
            Some(Ok(verdict)) => panic!("{event:?} was answered with a verdict: {verdict:?}"),
            None => panic!("{event:?} was not asked"),
        }
    }

    /// Code and first line of the reply that the last verdict on this event asks for, if it asks for one.
    ///
    /// # Panics
    /// There is no verdict.
    #[track_caller]
    pub fn reply(&self, event: EventKind) -> Option<(u32, String)> {
        let reply = match self.verdict(event).decision()? {
            decision::Kind::Reject(v1::Reject { reply })
            | decision::Kind::Tempfail(v1::Tempfail { reply })
            | decision::Kind::Respond(v1::Respond { reply })
            | decision::Kind::Disconnect(v1::Disconnect { reply }) => reply.as_ref()?,
            _ => return None,
        };
        let line = reply.lines.first();
        let line = line.map(|line| String::from_utf8_lossy(line).into_owned());
        Some((reply.code, line.unwrap_or_default()))
    }

    /// Whether a message was accepted.
    pub fn accepted(&self) -> bool {
        !self.mails.is_empty()
    }

    /// The message that was accepted last, as edited.
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn mail(&self) -> &Mail {
        match self.mails.last() {
            Some(mail) => mail,
            None => panic!("no message was accepted: {:?}", self.answers),
        }
    }

    /// All messages that were accepted, as edited.
    pub fn mails(&self) -> &[Mail] {
        &self.mails
    }

    /// What the sink said while it asked for more time.
    pub fn activities(&self) -> &[String] {
        &self.activities
    }

    /// What the sink asked for of its own accord. The kit answers that it is done, and does nothing.
    pub fn actions(&self) -> &[v1::SinkAction] {
        &self.actions
    }

    /// What the gateway would refuse, of a [`tolerant`](Session::tolerant) script.
    pub fn refusals(&self) -> &[String] {
        &self.refusals
    }
}
