//! Finds the answer to a question of the machine: `inbound.command`, the typed event, the service's own handling.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_dispatch::content::BoxFuture;
use postern_events::budget::Budget;
use postern_events::context::{self, CommandLine};
use postern_events::event::EventKind;
use postern_events::inbound::{Command, Data, Helo, Mail, Rcpt, Tls};
use postern_events::ruling::{Decision, Ruling};
use postern_message::{MessageId, RecipientId};
use postern_smtp::server::{Answer, Ask, Prospect, Question, QuestionId};
use postern_spool::{Purpose, Receiving};

use super::facts;
use super::message::storage_reply;
use super::ruling::{Refused, hold_back, refusal};
use super::shared::Shared;

/// Something that was found out.
pub(super) enum Done {
    /// The answer to a command.
    Answer {
        /// Its question.
        id: QuestionId,
        /// The answer.
        answer: Answer,
        /// The binding that it comes from.
        by: Option<String>,
        /// The recipient is accepted and dropped (`discard` at `inbound.rcpt`).
        dropped: bool,
    },
    /// Content may come, and here is where it goes.
    Content {
        /// The question about DATA or the first BDAT.
        id: QuestionId,
        /// Takes the content.
        incoming: Box<Receiving>,
    },
}

/// An open question.
pub(super) struct Asked {
    /// When the client began to wait.
    pub(super) since: Instant,
    /// The time that its reply may take.
    pub(super) budget: Budget,
    /// What it was about.
    pub(super) noted: Noted,
    /// The verb in upper case; empty for the banner and the end of content.
    pub(super) verb: Bytes,
    /// The binding whose reply it is.
    pub(super) by: Option<String>,
}

impl Asked {
    pub(super) fn new(noted: Noted, since: Instant, budget: Budget) -> Self {
        Self {
            since,
            budget,
            noted,
            verb: Bytes::new(),
            by: None,
        }
    }
}

/// What of a question has to be remembered until its reply is known.
pub(super) enum Noted {
    /// Nothing.
    Nothing,
    /// The connection.
    Greeting,
    /// HELO, EHLO, LHLO.
    Hello(context::Helo),
    /// MAIL.
    Mail(MessageId),
    /// RCPT.
    Rcpt(RecipientId),
    /// RCPT of a recipient that a sink drops.
    Dropped(RecipientId),
    /// The end of a message.
    Message,
}

/// The service's own handling, once no sink objects.
enum Own {
    /// What the machine would do.
    Proceed,
    /// Is there room for a message?
    Mail,
    /// May this client send there?
    Rcpt(RecipientId),
    /// A place for the content.
    Content,
}

/// A question on its way through the chains.
struct Chains {
    id: QuestionId,
    /// What the client reads if a sink fails.
    about: About,
    command: Option<BoxFuture<'static, Ruling>>,
    refused: bool,
    typed: Vec<BoxFuture<'static, Ruling>>,
    own: Own,
    budget: Budget,
}

/// The id under which a refusal can be looked up.
#[derive(Clone, Copy)]
enum About {
    Session,
    Message(MessageId),
}

/// Starts to find an answer. `message` is the running transaction's.
pub(super) fn begin(
    shared: &Arc<Shared>,
    question: Question,
    message: Option<MessageId>,
    since: Instant,
) -> (Asked, BoxFuture<'static, Done>) {
    let budget = Budget::starting(since, shared.server.command_budget);
    let line = question
        .line
        .as_ref()
        .map(facts::command_line)
        .unwrap_or_default();
    let command =
        (question.line.is_some() && shared.scope.wants(EventKind::InboundCommand)).then(|| {
            let command = Command {
                command: line.clone(),
                handling: question
                    .line
                    .as_ref()
                    .map(facts::handling)
                    .unwrap_or_default(),
                dialogue_input: None,
            };
            boxed(shared.scope.command(command, &budget))
        });
    let verb = line.verb.clone();
    let mut chains = Chains {
        id: question.id,
        about: message.map_or(About::Session, About::Message),
        command,
        refused: false,
        typed: Vec::new(),
        own: Own::Proceed,
        budget,
    };
    let noted = match question.prospect {
        Prospect::Accept(ask) => chains.add_typed(shared, ask, line),
        Prospect::Refuse(_) => {
            chains.refused = true;
            Noted::Nothing
        }
    };
    let asked = Asked {
        verb,
        ..Asked::new(noted, since, budget)
    };
    (asked, Box::pin(chains.run(Arc::clone(shared))))
}

impl Chains {
    /// The typed event of a command. Facts about sender and recipients are given in any case: later events need them.
    fn add_typed(&mut self, shared: &Shared, ask: Ask, line: CommandLine) -> Noted {
        let scope = &shared.scope;
        let budget = &self.budget;
        match ask {
            Ask::Greeting => {
                if scope.wants(EventKind::InboundConnect) {
                    self.typed.push(boxed(scope.connect(budget)));
                }
                if let Some(tls) = &shared.implicit_tls
                    && scope.wants(EventKind::InboundTls)
                {
                    self.typed.push(boxed(scope.tls(Tls(tls.clone()), budget)));
                }
                Noted::Greeting
            }
            Ask::Hello(hello) => {
                let helo = context::Helo {
                    verb: line.verb.clone(),
                    name: hello.name.octets(),
                };
                if scope.wants(EventKind::InboundHelo) {
                    let event = Helo {
                        command: line,
                        helo: helo.clone(),
                    };
                    self.typed.push(boxed(scope.helo(event, budget)));
                }
                Noted::Hello(helo)
            }
            Ask::Mail(mail) => {
                let id = MessageId::new();
                self.about = About::Message(id);
                self.own = Own::Mail;
                let parameters = facts::raw_parameters(&mail.parameters.raw);
                let envelope = facts::envelope(mail);
                let mail = Mail {
                    message_id: id,
                    envelope,
                    command: line,
                    parameters,
                };
                self.typed.push(boxed(scope.mail(mail, budget)));
                Noted::Mail(id)
            }
            Ask::Rcpt(rcpt) => {
                let parameters = facts::raw_parameters(&rcpt.parameters.raw);
                let recipient = facts::recipient(rcpt);
                let id = recipient.id;
                let recipient_kind = shared.recipient_kind(&recipient.address);
                let duplicate_of = shared.duplicate_of(&recipient);
                let rcpt = Rcpt {
                    recipient,
                    recipient_kind,
                    duplicate_of,
                    command: line,
                    parameters,
                };
                self.typed.push(boxed(scope.rcpt(rcpt, budget)));
                self.own = Own::Rcpt(id);
                Noted::Rcpt(id)
            }
            Ask::Data | Ask::Bdat { first: true, .. } => {
                if scope.wants(EventKind::InboundData) {
                    self.typed
                        .push(boxed(scope.data(Data { command: line }, budget)));
                }
                self.own = Own::Content;
                Noted::Nothing
            }
            Ask::MessageEnd(_) => Noted::Message,
            Ask::Bdat { .. }
            | Ask::Rset
            | Ask::StartTls
            | Ask::Noop
            | Ask::Quit
            | Ask::Vrfy(_)
            | Ask::Help(_) => Noted::Nothing,
        }
    }

    async fn run(mut self, shared: Arc<Shared>) -> Done {
        let id = self.id;
        let greeting = matches!(self.own, Own::Proceed) && id.value() == 0;
        if let Some(command) = self.command.take()
            && let Some(done) = ask(&shared, id, self.about, &self.budget, command).await
        {
            return done;
        }
        if self.refused {
            return Done::Answer {
                id,
                answer: Answer::Proceed,
                by: None,
                dropped: false,
            };
        }
        for typed in std::mem::take(&mut self.typed) {
            if let Some(done) = ask(&shared, id, self.about, &self.budget, typed).await {
                return if greeting { disconnecting(done) } else { done };
            }
        }
        self.decide(&shared)
    }

    /// The service's own handling.
    fn decide(self, shared: &Shared) -> Done {
        let message = match self.about {
            About::Message(id) => id.to_string(),
            About::Session => shared.session.to_string(),
        };
        let refused = match self.own {
            Own::Proceed => None,
            Own::Mail => shared
                .tools
                .spool
                .receive(Purpose::Mail)
                .err()
                .map(|error| storage_reply(shared, &message, &error)),
            // As sinks have left it. One that they took out is accepted, and gets nothing.
            Own::Rcpt(id) => shared.scope.recipient(id).and_then(|recipient| {
                shared
                    .server
                    .policy
                    .judge(&recipient.address, shared.may_relay)
                    .err()
            }),
            Own::Content => match shared.tools.spool.receive(Purpose::Mail) {
                Ok(incoming) => {
                    return Done::Content {
                        id: self.id,
                        incoming: Box::new(incoming),
                    };
                }
                Err(error) => Some(storage_reply(shared, &message, &error)),
            },
        };
        Done::Answer {
            id: self.id,
            answer: refused.map_or(Answer::Proceed, Answer::Reply),
            by: None,
            dropped: false,
        }
    }
}

/// Waits for one chain. `Some` if it ends the matter.
async fn ask(
    shared: &Shared,
    id: QuestionId,
    about: About,
    budget: &Budget,
    chain: BoxFuture<'static, Ruling>,
) -> Option<Done> {
    let ruling = chain.await;
    hold_back(&ruling, budget).await;
    if ruling.event == EventKind::InboundRcpt && matches!(ruling.decision, Decision::Discard) {
        return Some(Done::Answer {
            id,
            answer: Answer::Proceed,
            by: ruling.by.map(|by| by.binding.to_string()),
            dropped: true,
        });
    }
    let Refused {
        reply,
        disconnect,
        by,
    } = match about {
        About::Session => refusal(&ruling, &shared.session),
        About::Message(message) => refusal(&ruling, &message),
    }?;
    let answer = if disconnect {
        Answer::Disconnect(reply)
    } else {
        Answer::Reply(reply)
    };
    Some(Done::Answer {
        id,
        answer,
        by,
        dropped: false,
    })
}

/// A client that is refused at the connection is not kept.
fn disconnecting(done: Done) -> Done {
    match done {
        Done::Answer {
            id,
            answer: Answer::Reply(reply),
            by,
            dropped,
        } => Done::Answer {
            id,
            answer: Answer::Disconnect(reply),
            by,
            dropped,
        },
        done => done,
    }
}

fn boxed(chain: impl Future<Output = Ruling> + Send + 'static) -> BoxFuture<'static, Ruling> {
    Box::pin(chain)
}
