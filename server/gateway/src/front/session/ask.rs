//! Questions of the machine, in the terms of the chains.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_dispatch::content::BoxFuture;
use postern_events::budget::Budget;
use postern_events::context::{self, CommandLine};
use postern_events::event::EventKind;
use postern_events::inbound::{Command, Data, Handling, Helo, Mail, Rcpt};
use postern_message::{MessageId, RecipientId};
use postern_smtp::server::{Ask, Prospect, Question, QuestionId};

use super::facts;
use crate::front::reception::Reception;
use crate::front::reception::authentication::{self, Authenticated, Outcome, Running};
use crate::front::reception::chains::{Chains, Deed, Dialogue, Finding};
use crate::front::reception::ruling::Refused;
use crate::front::reception::vouching::Vouched;

/// What was found out about a question.
pub(super) struct Done {
    pub(super) id: QuestionId,
    pub(super) found: Found,
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
    /// Octets that were set aside for what it would add to the envelope.
    pub(super) entry: u64,
}

impl Asked {
    pub(super) fn new(noted: Noted, since: Instant, budget: Budget) -> Self {
        Self {
            since,
            budget,
            noted,
            verb: Bytes::new(),
            by: None,
            entry: 0,
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
    /// AUTH that has proved who the client is.
    Authenticated(Box<Authenticated>),
    /// AUTH of which a sink says who the client is.
    Vouched(Box<Vouched>),
    /// RCPT of a recipient that a sink drops.
    Dropped(RecipientId),
    /// The end of a message.
    Message,
}

/// What was found out.
pub(super) enum Found {
    /// By the chains, and the service's own handling.
    Finding(Finding),
    /// By a step of an AUTH exchange.
    Authentication(Outcome),
}

/// What the last step of something that takes several has left.
pub(super) enum Left {
    /// Of AUTH.
    Exchange(Running),
    /// Of AUTH, which this binding carries on.
    Vouching(Arc<str>),
    /// Of a dialogue that a sink carries on.
    Dialogue(Dialogue),
}

/// Starts to find an answer. `message` is the running transaction's, `left` what the last step before it has left.
pub(super) fn begin(
    reception: &Arc<Reception>,
    question: Question,
    message: Option<MessageId>,
    left: Option<Left>,
    since: Instant,
) -> (Asked, BoxFuture<'static, Done>) {
    let Question { id, line, prospect } = question;
    let budget = Budget::starting(since, reception.server.command_budget);
    let mut chains = Chains::new(Arc::clone(reception), message, budget);
    let command = line.as_ref().map(facts::command_line).unwrap_or_default();
    let handling = line
        .as_ref()
        .map(|line| facts::handling(line, &command.verb, reception.scope.additions()));
    if let Some(handling) = handling.filter(|_| reception.scope.wants(EventKind::InboundCommand)) {
        chains.command(Command {
            command: command.clone(),
            handling,
            dialogue_input: None,
        });
    }
    let unanswered = match &prospect {
        Prospect::Refuse(reply) if handling == Some(Handling::Registered) => Some(reply.clone()),
        _ => None,
    };
    let (mut exchange, mut vouching, mut dialogue) = (None, None, None);
    match left {
        Some(Left::Exchange(own)) => exchange = Some(own),
        Some(Left::Vouching(binding)) => vouching = Some(binding),
        Some(Left::Dialogue(own)) => dialogue = Some(own),
        None => {}
    }
    let mut verb = command.verb.clone();
    let step = match &prospect {
        Prospect::Accept(Ask::Auth(step)) => Some(step.clone()),
        _ => None,
    };
    let mut barred = None;
    let noted = match prospect {
        Prospect::Accept(Ask::Dialogue(input)) => {
            if let Some(dialogue) = dialogue {
                verb = dialogue.verb();
                chains.dialogue(dialogue, input);
            }
            Noted::Nothing
        }
        Prospect::Accept(Ask::Auth(step)) => {
            let deed = match reception.scope.wants(EventKind::InboundAuth) {
                true => {
                    barred = reception.may_ask_sinks().err().filter(|_| step.step == 1);
                    // One that the client has broken off has left its binding behind.
                    let vouching = vouching.filter(|_| step.step > 1);
                    Deed::Auth(facts::auth(step, command), vouching)
                }
                false => Deed::Other,
            };
            if barred.is_none() {
                chains.deed(deed);
            }
            Noted::Nothing
        }
        Prospect::Accept(ask) => {
            let (deed, noted) = deed(reception, ask, command);
            chains.deed(deed);
            noted
        }
        Prospect::Refuse(_) => Noted::Nothing,
    };
    let asked = Asked {
        verb,
        ..Asked::new(noted, since, budget)
    };
    let reception = Arc::clone(reception);
    let done = async move {
        let finding = match (chains.run().await, unanswered) {
            // A verb that a sink has added, and that none has answered: what belongs to it may follow, and is no command.
            (Finding::Proceed, Some(reply)) => Finding::Refused(Refused {
                disconnect: true,
                ..Refused::by_service(reply)
            }),
            (finding, _) => finding,
        };
        let found = match (finding, step, barred) {
            (Finding::Proceed, _, Some(reply)) => {
                Found::Finding(Finding::Refused(Refused::by_service(reply)))
            }
            (Finding::Proceed, Some(step), None) if reception.has_mechanism(&step.mechanism) => {
                Found::Authentication(authentication::step(&reception, exchange, step).await)
            }
            (Finding::Proceed, Some(_), None) => {
                let reply = reception.nobody_vouches(since).await;
                Found::Finding(Finding::Refused(Refused::by_service(reply)))
            }
            (finding, ..) => Found::Finding(finding),
        };
        Done { id, found }
    };
    (asked, Box::pin(done))
}

/// What the client does by a command that the machine would accept.
fn deed(reception: &Reception, ask: Ask, command: CommandLine) -> (Deed, Noted) {
    match ask {
        Ask::Greeting => (Deed::Connect, Noted::Greeting),
        Ask::Hello(hello) => {
            let helo = context::Helo {
                verb: command.verb.clone(),
                name: hello.name.octets(),
            };
            let event = Helo {
                command,
                helo: helo.clone(),
            };
            (Deed::Helo(event), Noted::Hello(helo))
        }
        Ask::Mail(mail) => {
            let message_id = MessageId::new();
            let parameters = facts::raw_parameters(&mail.parameters.raw);
            let mail = Mail {
                message_id,
                envelope: facts::envelope(mail),
                command,
                parameters,
            };
            (Deed::Mail(mail), Noted::Mail(message_id))
        }
        Ask::Rcpt(rcpt) => {
            let parameters = facts::raw_parameters(&rcpt.parameters.raw);
            let recipient = facts::recipient(rcpt);
            let id = recipient.id;
            let rcpt = Rcpt {
                recipient_kind: reception.recipient_kind(&recipient.address),
                duplicate_of: reception.duplicate_of(&recipient),
                recipient,
                command,
                parameters,
            };
            (Deed::Rcpt(rcpt), Noted::Rcpt(id))
        }
        Ask::Data | Ask::Bdat { first: true, .. } => (Deed::Data(Data { command }), Noted::Nothing),
        Ask::MessageEnd(_) => (Deed::Other, Noted::Message),
        Ask::Bdat { .. }
        | Ask::Rset
        | Ask::StartTls
        | Ask::Auth(_)
        | Ask::Noop
        | Ask::Quit
        | Ask::Vrfy(_)
        | Ask::Help(_)
        | Ask::Dialogue(_) => (Deed::Other, Noted::Nothing),
    }
}
