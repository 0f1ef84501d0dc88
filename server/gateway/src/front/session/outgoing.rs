//! Replies on their way to the client: in order, asked about at `inbound.response` where a sink wants that, and
//! gathered until the client is waited for.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use postern_dispatch::content::BoxFuture;
use postern_events::answer::ResponseAnswer;
use postern_events::context::CommandLine;
use postern_events::event::EventKind;
use postern_events::inbound::Response;
use postern_smtp::reply::Reply;
use postern_smtp::server::ReplyTo;

use super::ask::{Asked, Noted};
use super::ruling::{Refused, refusal};
use super::shared::Shared;
use crate::front::wire::Wire;

/// The replies that have not been written yet.
pub(super) struct Outgoing {
    shared: Arc<Shared>,
    output: BytesMut,
    /// Replies that sinks are asked about, and those behind them.
    queue: FuturesOrdered<BoxFuture<'static, Line>>,
    /// A sink has ended the session in place of a reply: this was the last one.
    hung_up: Option<Refused>,
    /// Octets written.
    pub(super) sent: u64,
}

/// A reply as it will be sent.
struct Line {
    reply: Reply,
    utf8: bool,
    /// The connection ends behind it, and why.
    hang_up: Option<Refused>,
}

impl Line {
    fn new(reply: Reply, utf8: bool) -> Self {
        Self {
            reply,
            utf8,
            hang_up: None,
        }
    }
}

impl Outgoing {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            output: BytesMut::new(),
            queue: FuturesOrdered::new(),
            hung_up: None,
            sent: 0,
        }
    }

    /// Adds a reply behind the others.
    pub(super) fn push(&mut self, to: &ReplyTo, reply: Reply, asked: Option<Asked>, utf8: bool) {
        if self.hung_up.is_some() {
            return;
        }
        match asked {
            Some(asked) if self.shared.scope.wants(EventKind::InboundResponse) => {
                self.queue.push_back(self.ask(to, reply, asked, utf8));
            }
            _ if self.queue.is_empty() => self.encode(&Line::new(reply, utf8)),
            _ => self
                .queue
                .push_back(Box::pin(std::future::ready(Line::new(reply, utf8)))),
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
            reply: reply.clone(),
            origin: asked.by,
            recipient,
        };
        let ruling = self.shared.scope.response(response.clone(), &asked.budget);
        let session = self.shared.session;
        Box::pin(async move {
            let ruling = ruling.await;
            if let Some(refused) = refusal(&ruling, &session).filter(|refused| refused.disconnect) {
                return Line {
                    reply: refused.reply.clone(),
                    utf8,
                    hang_up: Some(refused),
                };
            }
            // What the reply means has happened: no failure policy can take it back.
            let changed = ruling
                .typed::<ResponseAnswer>()
                .answer
                .map(|answer| response.replied(&answer));
            let reply = match changed {
                Some(Ok(instead)) if may_replace(&reply, &instead) => instead,
                Some(Ok(instead)) => {
                    tracing::warn!(
                        %session, from = reply.code().value(), to = instead.code().value(),
                        "a sink may not change what a reply means; ours is sent"
                    );
                    reply
                }
                Some(Err(error)) => {
                    tracing::warn!(%session, %error, "a reply as a sink wants it cannot be sent; ours is");
                    reply
                }
                None => reply,
            };
            Line::new(reply, utf8)
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

    /// Waits for the next reply that a sink is asked about.
    pub(super) async fn next(&mut self) {
        if let Some(line) = self.queue.next().await {
            self.encode(&line);
            if let Some(refused) = line.hang_up {
                self.hung_up = Some(refused);
                self.queue.clear();
            }
        }
    }

    fn encode(&mut self, line: &Line) {
        let class = line.reply.code().class();
        self.shared
            .tools
            .metrics
            .count_reply(&self.shared.server.name, class);
        line.reply.encode(line.utf8, &mut self.output);
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

/// The text may change, and the code within its class: by now the machine acts on what the reply means. A 250 that
/// became something else would make the client send again what is durable already.
fn may_replace(ours: &Reply, theirs: &Reply) -> bool {
    let class = ours.code().class();
    class == theirs.code().class() && (class != 3 || ours.code() == theirs.code())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reply_keeps_its_meaning() {
        let reply = |code, text| Reply::parse(code, None, text).unwrap();
        assert!(may_replace(&reply(250, "ok"), &reply(250, "well done")));
        assert!(may_replace(&reply(550, "no"), &reply(554, "no, really")));
        assert!(!may_replace(&reply(250, "ok"), &reply(451, "later")));
        assert!(!may_replace(&reply(550, "no"), &reply(250, "yes")));
        assert!(!may_replace(&reply(354, "go"), &reply(334, "what")));
    }
}
