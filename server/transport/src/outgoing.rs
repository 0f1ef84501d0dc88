//! Asks the sinks about outgoing sessions: what a connection is asked, as events, and what rulings come to in the session.
//!
//! A session is a scope of its own, for the messages of one virtual server. Its questions are asked one after the other, each
//! within [`BUDGET`]; other connections go on meanwhile. A failure of a sink comes to what its failure policy says: by
//! default the attempt is put off, and nothing of the message is lost.

mod commands;
mod replies;
mod revision;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use postern_delivery::{
    BoxFuture, CommandReply, Hooks, Hop, RemoteEnd, Sending, SessionHooks, TlsPolicy,
};
use postern_events::budget::Budget;
use postern_events::context::{CommandLine, Fit, MessageContext, Remote, Tls};
use postern_events::event::EventKind;
use postern_events::outbound::{
    self, BeforeData, Command, MessageStart, PolicySource, Recipient, SessionEnd, SessionStart,
};
use postern_events::question::Question;
use postern_events::route;
use postern_message::{Message, RecipientId};
use postern_smtp::client::{
    AnswerError, CommandAnswer, CommandQuestion, Occasion, Questions, ResponseAnswer,
    ResponseQuestion, TlsAnswer,
};

use self::revision::Revising;
use super::core::Core;
use super::judge::{Judge, OutgoingCase};

/// The time for one question, all bindings together.
const BUDGET: Duration = Duration::from_secs(2 * 60);

/// Who is asked about the sessions with one hop, for the messages of one virtual server.
pub(crate) struct Asked {
    judge: Arc<dyn Judge>,
    core: Arc<Core>,
    server: Arc<str>,
    hop: Hop,
}

impl Asked {
    /// Who is asked about sessions with this hop. `None`: nobody.
    pub(crate) fn about(
        judge: &Arc<dyn Judge>,
        core: &Arc<Core>,
        hop: &Hop,
    ) -> Option<Arc<dyn Hooks>> {
        let server = hop.asked_for.clone()?;
        Some(Arc::new(Self {
            judge: Arc::clone(judge),
            core: Arc::clone(core),
            server,
            hop: hop.clone(),
        }))
    }
}

impl Hooks for Asked {
    fn begin(&self) -> Option<Box<dyn SessionHooks>> {
        let remote = Remote {
            destination: self.hop.to_string().into(),
            ..Remote::default()
        };
        let case = self.judge.begin_outgoing(&self.server, remote)?;
        Some(Box::new(Talk {
            case,
            core: Arc::clone(&self.core),
            hop: self.hop.clone(),
            met: None,
            message: None,
            last: None,
        }))
    }
}

/// One session before the sinks.
struct Talk {
    case: Arc<dyn OutgoingCase>,
    core: Arc<Core>,
    hop: Hop,
    /// The remote as the sinks know it.
    met: Option<Arc<RemoteEnd>>,
    message: Option<Current>,
    /// The last question.
    last: Option<EventKind>,
}

/// The message that is being sent.
struct Current {
    sending: Sending,
    /// The sinks are told of it.
    told: bool,
    /// The remote has accepted the content.
    accepted: bool,
}

impl Current {
    fn recipient(&self, place: usize) -> Option<(RecipientId, &postern_message::Recipient)> {
        let index = *self.sending.recipients.get(place)?;
        let recipient = self.sending.message.recipients.get(index)?;
        Some((recipient.id, recipient))
    }

    fn ids(&self, places: impl Iterator<Item = usize>) -> Vec<RecipientId> {
        places
            .filter_map(|place| self.recipient(place))
            .map(|(id, _)| id)
            .collect()
    }
}

/// What the sinks are shown of a message that was accepted in some session.
fn context_of(message: &Arc<Message>) -> MessageContext {
    MessageContext::new(Arc::clone(message)).unwrap_or_else(|error| {
        tracing::error!(id = %message.id, %error, "the session of a message cannot be read");
        MessageContext::with_session(Arc::clone(message), None)
    })
}

impl Talk {
    fn meet(&mut self, remote: &Arc<RemoteEnd>) {
        let known = self.met.as_ref();
        if known.is_none_or(|known| !Arc::ptr_eq(known, remote)) {
            self.case.meet(remote_of(&self.hop, remote));
            self.met = Some(Arc::clone(remote));
        }
    }

    /// The sinks are told of the message, from its first command on.
    fn take(&mut self) {
        if let Some(current) = self.message.as_mut().filter(|current| !current.told) {
            current.told = true;
            let sending = &current.sending;
            let fit = Fit {
                way: sending.way,
                original: sending.fitted.original(&sending.source),
            };
            self.case.take(context_of(&sending.message), fit);
        }
    }

    fn is_accepted(&self) -> bool {
        self.message
            .as_ref()
            .is_some_and(|current| current.accepted)
    }

    fn budget() -> Budget {
        Budget::starting(now(), BUDGET)
    }

    /// The event that a question about a command is.
    fn event(&self, question: &CommandQuestion, command: CommandLine) -> Option<Question> {
        Some(match &question.occasion {
            Occasion::SessionStart => Question::new(SessionStart { command }),
            Occasion::SessionEnd => Question::new(SessionEnd { command }),
            Occasion::Command => Question::new(Command { command }),
            Occasion::BeforeData { accepted } => {
                let current = self.message.as_ref()?;
                Question::new(BeforeData {
                    recipients: current.ids(accepted.iter().copied()),
                    command,
                })
            }
            Occasion::Recipient => {
                let (id, recipient) = self.message.as_ref()?.recipient(question.recipient?)?;
                Question::new(Recipient {
                    recipient: id,
                    is_local: self.core.settings.routes.is_own(&recipient.address),
                    command,
                })
            }
            Occasion::MessageStart => {
                let current = self.message.as_ref()?;
                Question::new(MessageStart {
                    command,
                    attempt: current.sending.attempt,
                    recipients: current.ids(0..current.sending.recipients.len()),
                    revisions: Vec::new(),
                })
            }
        })
    }
}

impl SessionHooks for Talk {
    fn questions(&self) -> Questions {
        let wants = |event| self.case.wants(event);
        Questions {
            session_start: wants(EventKind::OutboundSessionStart),
            tls: wants(EventKind::OutboundTls),
            message_start: wants(EventKind::OutboundMessageStart),
            recipients: wants(EventKind::OutboundRecipient),
            before_data: wants(EventKind::OutboundBeforeData),
            session_end: wants(EventKind::OutboundSessionEnd),
            commands: wants(EventKind::OutboundCommand),
            responses: wants(EventKind::OutboundResponse),
        }
    }

    fn command(
        &mut self,
        question: CommandQuestion,
        remote: &Arc<RemoteEnd>,
    ) -> BoxFuture<'static, CommandReply> {
        self.meet(remote);
        let command = line_of(question.line.clone());
        let opens = question.occasion == Occasion::MessageStart;
        // RSET ends what was before it.
        if !opens && command.verb != "RSET" {
            self.take();
        }
        let Some(event) = self.event(&question, command) else {
            return Box::pin(std::future::ready(CommandAnswer::Proceed.into()));
        };
        self.last = Some(event.kind());
        let (case, budget) = (Arc::clone(&self.case), Self::budget());
        if let Some(current) = self.message.as_mut().filter(|_| opens) {
            let told = std::mem::replace(&mut current.told, true);
            let revising = Revising {
                case,
                sending: current.sending.clone(),
                told,
            };
            return Box::pin(revising.ask(event, budget, question.line));
        }
        let accepted = self.is_accepted();
        let ruling = case.ask(event, &budget, None);
        Box::pin(async move {
            let ruling = ruling.await;
            commands::answer(ruling, accepted, &question.line).into()
        })
    }

    fn tls(&mut self, remote: &Arc<RemoteEnd>, failure: String) -> BoxFuture<'static, TlsAnswer> {
        self.meet(remote);
        let terms = &self.hop.terms;
        let event = outbound::Tls {
            handshake: remote.tls.as_ref().map(handshake_of),
            policy: match &terms.tls {
                TlsPolicy::Opportunistic => route::TlsPolicy::Opportunistic,
                TlsPolicy::Required => route::TlsPolicy::Encrypt,
                TlsPolicy::Verified(_) => route::TlsPolicy::Verify,
                TlsPolicy::Off => route::TlsPolicy::None,
            },
            policy_source: match terms.name.is_empty() {
                true => PolicySource::Default,
                false => PolicySource::Route,
            },
            failure,
        };
        self.last = Some(EventKind::OutboundTls);
        let ruling = self.case.ask(Question::new(event), &Self::budget(), None);
        Box::pin(async move { replies::tls_answer(&ruling.await) })
    }

    fn response(
        &mut self,
        question: ResponseQuestion,
        remote: &Arc<RemoteEnd>,
    ) -> BoxFuture<'static, ResponseAnswer> {
        self.meet(remote);
        let command = replies::answered(&question);
        if command.verb != "RSET" {
            self.take();
        }
        if command.verb == "." && question.response.is_positive() {
            // Whatever is said now: what the remote has taken is not sent again.
            self.case.note_accepted();
            if let Some(current) = &mut self.message {
                current.accepted = true;
            }
        }
        let recipient = question.recipient.and_then(|place| {
            let current = self.message.as_ref()?;
            current.recipient(place).map(|(id, _)| id)
        });
        let event = outbound::Response {
            command,
            reply: replies::reply_of(&question.response),
            recipient,
        };
        self.last = Some(EventKind::OutboundResponse);
        let accepted = self.is_accepted();
        let ruling = self.case.ask(Question::new(event), &Self::budget(), None);
        Box::pin(async move { replies::response_answer(ruling.await, accepted) })
    }

    fn unfit(&mut self, error: AnswerError) {
        let event = self.last.map_or("", EventKind::name);
        let destination = &self.hop;
        tracing::warn!(%destination, event, %error, "what the sinks asked for does not fit the session");
    }

    fn is_current(&self) -> bool {
        self.case.is_current()
    }

    fn begin_message(&mut self, sending: Sending) {
        self.message = Some(Current {
            sending,
            told: false,
            accepted: false,
        });
    }

    fn end_message(&mut self) {
        self.message = None;
        self.case.release();
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A line that is about to be sent.
fn line_of(line: Bytes) -> CommandLine {
    let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t'));
    let verb = line.slice(..end.unwrap_or(line.len())).to_ascii_uppercase();
    CommandLine {
        verb: verb.into(),
        line,
        pipelined: false,
    }
}

fn remote_of(hop: &Hop, remote: &RemoteEnd) -> Remote {
    let (address, port) = match remote.address.parse::<SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port()),
        Err(_) => (remote.address.clone(), 0),
    };
    let source = remote.source_address.parse::<SocketAddr>();
    Remote {
        destination: hop.to_string().into(),
        host: remote.host.clone().into(),
        address,
        port,
        source_address: source.map_or_else(|_| String::new(), |own| own.ip().to_string()),
        tls: remote.tls.as_ref().map(handshake_of),
        extensions: remote.offers.clone(),
    }
}

fn handshake_of(secured: &postern_delivery::Secured) -> Tls {
    Tls {
        version: secured.version.to_owned(),
        cipher: secured.cipher.clone(),
        server_name: Some(secured.server_name.clone()),
        peer_certificates: secured.certificates.clone(),
        peer_verified: secured.verified,
        failure: String::new(),
    }
}
