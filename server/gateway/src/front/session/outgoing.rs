//! Replies on their way to the client: in order, asked about at `inbound.response` where a sink wants that, and
//! gathered until the client is waited for.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use postern_dispatch::content::BoxFuture;
use postern_events::context::CommandLine;
use postern_events::event::EventKind;
use postern_events::inbound::Response;
use postern_smtp::command::Verb;
use postern_smtp::reply::Reply;
use postern_smtp::server::ReplyTo;

use super::ask::{Asked, Noted};
use crate::front::reception::Reception;
use crate::front::reception::reply::{self, Said};
use crate::front::reception::ruling::Refused;
use crate::front::wire::Wire;

/// The replies that have not been written yet.
pub(super) struct Outgoing {
    reception: Arc<Reception>,
    output: BytesMut,
    /// Replies that sinks are asked about, and those behind them.
    queue: FuturesOrdered<BoxFuture<'static, Line>>,
    /// A sink has ended the session in place of a reply: this was the last one.
    hung_up: Option<Refused>,
    /// Among the replies that sinks are asked about is a list of extensions: what the client may use is open.
    greets: bool,
    /// Keywords that were taken out of it.
    withdrawn: Vec<Bytes>,
    /// Octets written.
    pub(super) sent: u64,
}

/// A reply as it will be sent.
struct Line {
    said: Said,
    utf8: bool,
}

impl Line {
    fn ours(reply: Reply, utf8: bool) -> Self {
        let said = Said::ours(reply);
        Self { said, utf8 }
    }
}

impl Outgoing {
    pub(super) fn new(reception: Arc<Reception>) -> Self {
        Self {
            reception,
            output: BytesMut::new(),
            queue: FuturesOrdered::new(),
            hung_up: None,
            greets: false,
            withdrawn: Vec::new(),
            sent: 0,
        }
    }

    /// Octets that wait to be written.
    pub(super) fn octets(&self) -> usize {
        self.output.capacity()
    }

    /// Adds a reply behind the others.
    pub(super) fn push(&mut self, to: &ReplyTo, reply: Reply, asked: Option<Asked>, utf8: bool) {
        if self.hung_up.is_some() {
            return;
        }
        match asked {
            Some(asked) if self.reception.scope.wants(EventKind::InboundResponse) => {
                self.greets |= matches!(to, ReplyTo::Command(_, Verb::Ehlo | Verb::Lhlo));
                self.queue.push_back(self.ask(to, reply, asked, utf8));
            }
            _ if self.queue.is_empty() => self.encode(&Line::ours(reply, utf8)),
            _ => self
                .queue
                .push_back(Box::pin(std::future::ready(Line::ours(reply, utf8)))),
        }
    }

    fn ask(
        &self,
        to: &ReplyTo,
        reply: Reply,
        asked: Asked,
        utf8: bool,
    ) -> BoxFuture<'static, Line> {
        let verb = match to {
            ReplyTo::Greeting(_) => Bytes::from_static(b"CONNECT"),
            ReplyTo::Message(..) => Bytes::from_static(b"."),
            ReplyTo::Command(..) | ReplyTo::Unsolicited => asked.verb,
        };
        let recipient = match asked.noted {
            Noted::Rcpt(id) => Some(id),
            _ => None,
        };
        let response = Response {
            command: CommandLine {
                verb,
                ..CommandLine::default()
            },
            reply,
            origin: asked.by,
            recipient,
        };
        let said = reply::ask(&self.reception, response, &asked.budget);
        Box::pin(async move {
            let said = said.await;
            Line { said, utf8 }
        })
    }

    /// A sink has ended the session with this: what was gathered is to be sent, then the connection ends.
    pub(super) const fn hang_up(&self) -> Option<&Refused> {
        self.hung_up.as_ref()
    }

    /// No reply waits for a sink.
    pub(super) fn is_settled(&self) -> bool {
        self.queue.is_empty()
    }

    /// What the client may use is open until a reply is settled: nothing that it says is to be looked at.
    pub(super) fn is_greeting(&self) -> bool {
        self.greets && !self.queue.is_empty()
    }

    /// The keywords that were taken out of a list of extensions since this was asked last.
    pub(super) fn take_withdrawn(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.withdrawn)
    }

    /// Waits for the next reply that a sink is asked about.
    pub(super) async fn next(&mut self) {
        if let Some(mut line) = self.queue.next().await {
            self.encode(&line);
            self.withdrawn.append(&mut line.said.withdrawn);
            self.greets &= !self.queue.is_empty();
            if line.said.hang_up.is_some() {
                self.hung_up = line.said.hang_up;
                self.queue.clear();
            }
        }
    }

    fn encode(&mut self, line: &Line) {
        let class = line.said.reply.code().class();
        self.reception
            .tools
            .metrics
            .count_reply(&self.reception.server.name, class);
        line.said.reply.encode(line.utf8, &mut self.output);
    }

    /// Writes what has been gathered. False if there was nothing.
    pub(super) async fn write(&mut self, wire: &mut Wire) -> io::Result<bool> {
        if self.output.is_empty() {
            return Ok(false);
        }
        self.sent += self.output.len() as u64;
        wire.write(&mut self.output).await?;
        Ok(true)
    }
}
