//! The test kit: runs a sink in process against scripted sessions.
//!
//! ```
//! use postern_sdk::{EventKind, testing::Session};
//! # use postern_sdk::*;
//! # struct NoRobots;
//! # impl Sink for NoRobots {
//! #     fn describe(&self) -> Description { describe!().on(EventKind::InboundMail) }
//! #     async fn on_mail(&self, _: &Instance, mail: &Mail) -> Result {
//! #         Ok(if mail.sender().starts_with("robot@") { Verdict::reject("No robots") } else { Verdict::proceed() })
//! #     }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let transcript = Session::connect(NoRobots, "192.0.2.1")
//!     .ehlo("client.example.test")
//!     .mail("robot@example.test")
//!     .rcpt("a@example.test")
//!     .message("Subject: hello\r\n\r\nHello.\r\n")
//!     .await;
//! assert_eq!(transcript.reply(EventKind::InboundMail), Some((550, "No robots".to_owned())));
//! assert!(!transcript.accepted());
//! # });
//! ```
//!
//! A script does what the gateway would do: it asks for the events that the sink describes, obeys its verdicts
//! (what is refused is not gone on with), pushes content under credit, answers reads, applies edits. After an
//! accepted message it asks `transport.submit` too, about the message as edited. `inbound.command`,
//! `inbound.response` and whatever else a script does not lead to is sent with [`Session::event`].

mod mail;
mod script;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;

pub use self::mail::Mail;
use self::script::{Player, Step};
use crate::v1::{self, EventKind, decision};
use crate::{Fault, NoProperties, NoState, Sink, Verdict};

/// A scripted session. It runs when it is awaited.
#[must_use = "a script runs when it is awaited"]
pub struct Session<S, P = NoProperties, T = NoState> {
    sink: S,
    steps: Vec<Step>,
    setup: Setup,
    types: std::marker::PhantomData<fn() -> (P, T)>,
}

/// What a script is run with.
pub(crate) struct Setup {
    pub(crate) client: String,
    pub(crate) properties: Bytes,
    pub(crate) chunk: usize,
    pub(crate) deadline: Duration,
}

impl<S, P, T> Session<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    /// A client connects from this address.
    pub fn connect(sink: S, client: &str) -> Self {
        let setup = Setup {
            client: client.to_owned(),
            properties: Bytes::new(),
            chunk: 64 * 1024,
            deadline: Duration::from_secs(10),
        };
        Self {
            sink,
            steps: Vec::new(),
            setup,
            types: std::marker::PhantomData,
        }
    }

    /// The properties of the binding.
    pub fn properties(mut self, properties: &serde_json::Value) -> Self {
        self.setup.properties = Bytes::from(properties.to_string());
        self
    }

    /// Content comes in chunks of so many octets. 64 KiB unless said.
    pub fn chunks_of(mut self, octets: usize) -> Self {
        self.setup.chunk = octets.clamp(1, 64 * 1024);
        self
    }

    /// How long the sink has for a verdict. 10 s unless said. Past it, the event is cancelled.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.setup.deadline = deadline;
        self
    }

    /// EHLO.
    pub fn ehlo(self, name: &str) -> Self {
        self.step(Step::Ehlo(name.to_owned()))
    }

    /// MAIL.
    pub fn mail(self, sender: &str) -> Self {
        self.step(Step::Mail(sender.to_owned()))
    }

    /// RCPT.
    pub fn rcpt(self, address: &str) -> Self {
        self.step(Step::Rcpts(vec![address.to_owned()]))
    }

    /// Several RCPTs in one go: asked at the same time.
    pub fn pipelined_rcpts(self, addresses: &[&str]) -> Self {
        self.step(Step::Rcpts(
            addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
        ))
    }

    /// DATA and the message. Lines end in CRLF.
    pub fn message(self, raw: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Message(raw.into()))
    }

    /// RSET.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Any other event of the session. Nobody waits for an answer to one that only tells.
    pub fn event(self, body: v1::event::Kind) -> Self {
        self.step(Step::Event(Box::new(body)))
    }

    /// QUIT. A script that does not say so ends with the client going away.
    pub fn quit(self) -> Self {
        self.step(Step::Quit)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl<S, P, T> IntoFuture for Session<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    type Output = Transcript;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Transcript> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Player::play(Arc::new(self.sink), self.setup, self.steps))
    }
}

/// What came of a script.
#[derive(Debug, Default)]
pub struct Transcript {
    pub(crate) answers: Vec<(EventKind, Result<Verdict, Fault>)>,
    pub(crate) mails: Vec<Mail>,
    pub(crate) activities: Vec<String>,
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

    /// The last verdict on this event. Panics, so that the test fails, if there is none.
    #[track_caller]
    pub fn verdict(&self, event: EventKind) -> &Verdict {
        match self.answers_to(event).last() {
            Some(Ok(verdict)) => verdict,
            Some(Err(fault)) => panic!("{event:?} was answered with a fault: {fault:?}"),
            None => panic!("{event:?} was not asked"),
        }
    }

    /// The last fault at this event. Panics, so that the test fails, if there is none.
    #[track_caller]
    pub fn fault(&self, event: EventKind) -> &Fault {
        match self.answers_to(event).last() {
            Some(Err(fault)) => fault,
            Some(Ok(verdict)) => panic!("{event:?} was answered with a verdict: {verdict:?}"),
            None => panic!("{event:?} was not asked"),
        }
    }

    /// Code and first line of the reply that the last verdict on this event asks for, if it asks for one.
    #[track_caller]
    pub fn reply(&self, event: EventKind) -> Option<(u32, String)> {
        let reply = match self.verdict(event).decision()? {
            decision::Kind::Reject(v1::Reject { reply })
            | decision::Kind::Tempfail(v1::Tempfail { reply })
            | decision::Kind::Respond(v1::Respond { reply })
            | decision::Kind::Disconnect(v1::Disconnect { reply }) => reply.as_ref()?,
            _ => return None,
        };
        let line = reply
            .lines
            .first()
            .map(|line| String::from_utf8_lossy(line).into_owned());
        Some((reply.code, line.unwrap_or_default()))
    }

    /// Whether a message was accepted.
    pub fn accepted(&self) -> bool {
        !self.mails.is_empty()
    }

    /// The message that was accepted last, as edited. Panics, so that the test fails, if there is none.
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
}
