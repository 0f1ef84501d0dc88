//! What a client does, put to the chains of sinks one after the other, until one ends the matter; then the service's own
//! handling.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_dispatch::content::BoxFuture;
use postern_events::budget::Budget;
use postern_events::event::EventKind;
use postern_events::inbound::{
    Auth, AuthAnswer, Command, Data, DialogueAnswer, Expects, Handling, Helo, Mail, Rcpt,
    RcptAnswer, Tls,
};
use postern_events::ruling::{Cause, Decision, Ruling};
use postern_message::{MessageId, Recipient, RecipientId};
use postern_smtp::reply::Reply;
use postern_spool::{Purpose, Receiving};

use super::Reception;
use super::message::storage_reply;
use super::ruling::{Refused, hold_back, refusal};
use super::vouching::Word;
use crate::front::policy::{Claim, Unclaimed};
use crate::front::replies;

/// What a client does, where an event tells of it.
pub(in crate::front) enum Deed {
    /// It has connected. With TLS from the first octet the handshake is asked about too.
    Connect,
    /// It greets.
    Helo(Helo),
    /// It begins a transaction.
    Mail(Mail),
    /// It names a recipient.
    Rcpt(Rcpt),
    /// It wants to send content.
    Data(Data),
    /// It takes a step of AUTH. With the binding that carries the exchange on, if one does.
    Auth(Auth, Option<Arc<str>>),
    /// Something else.
    Other,
}

/// What came of it.
pub(in crate::front) enum Finding {
    /// Nobody objects.
    Proceed,
    /// Content may come, and goes here.
    Content(Box<Receiving>),
    /// The recipient is accepted and dropped.
    Dropped {
        /// The binding that says so.
        by: Option<String>,
    },
    /// The greeting is to be told of these mechanisms of AUTH too.
    Offers(Vec<Bytes>),
    /// Sinks have something to say of a step of AUTH.
    Word(Word),
    /// A sink goes on about it with the client.
    Dialogue(Box<Said>),
    /// It is refused.
    Refused(Refused),
}

/// What a sink says in a dialogue.
pub(in crate::front) struct Said {
    /// What goes to the client now.
    pub(in crate::front) reply: Option<Reply>,
    /// What it wants to hear then.
    pub(in crate::front) expects: Expects,
    /// How it goes on.
    pub(in crate::front) next: Dialogue,
}

/// A dialogue between two steps.
pub(in crate::front) struct Dialogue {
    /// The binding that carries it on.
    pub(in crate::front) binding: Arc<str>,
    /// What it is about.
    command: Command,
}

impl Dialogue {
    /// The verb that it is about.
    pub(in crate::front) fn verb(&self) -> Bytes {
        self.command.command.verb.clone()
    }
}

/// The chains about one deed. Questions are put as they are added, and sent when the run is first polled.
pub(in crate::front) struct Chains {
    matter: Matter,
    command: Option<BoxFuture<'static, Ruling>>,
    deed: Vec<BoxFuture<'static, Ruling>>,
}

/// What the chains are about.
struct Matter {
    reception: Arc<Reception>,
    budget: Budget,
    /// What the client reads if a sink fails, and the operator looks for.
    about: About,
    /// The command's verb, where sinks are asked about the command.
    verb: Bytes,
    /// The command, where sinks may go on about it.
    command: Option<Command>,
    own: Own,
    /// What sinks have answered about the recipient.
    said: Option<RcptAnswer>,
    /// Mechanisms that sinks want offered.
    mechanisms: Vec<Bytes>,
    /// The step of AUTH that is asked about.
    step: Option<Step>,
}

/// A step of AUTH.
struct Step {
    mechanism: Bytes,
    /// A binding carries the exchange on.
    carried: bool,
    began: Instant,
}

/// The id under which a refusal can be looked up.
#[derive(Clone, Copy)]
enum About {
    Session,
    Message(MessageId),
}

/// The service's own handling, once no sink objects.
enum Own {
    /// It has refused, whatever sinks say.
    Refuses,
    /// Nothing stands against it.
    Proceeds,
    /// A client that is refused now is not kept.
    Admits,
    /// May this client name this sender? Is there room for a message? With the refusal of the sender that the client gave.
    Mail(Option<Reply>),
    /// May this client send there?
    Rcpt(RecipientId),
    /// A place for the content.
    Content,
    /// Nothing: it is the sink's.
    Dialogue,
}

impl Chains {
    /// None yet: without a [`Chains::deed`] the service itself refuses. `message` is the running transaction's.
    pub(in crate::front) fn new(
        reception: Arc<Reception>,
        message: Option<MessageId>,
        budget: Budget,
    ) -> Self {
        Self {
            matter: Matter {
                reception,
                budget,
                about: message.map_or(About::Session, About::Message),
                verb: Bytes::new(),
                command: None,
                own: Own::Refuses,
                said: None,
                mechanisms: Vec::new(),
                step: None,
            },
            command: None,
            deed: Vec::new(),
        }
    }

    /// A command has come, by which the client does what it does.
    pub(in crate::front) fn command(&mut self, command: Command) {
        self.matter.verb.clone_from(&command.command.verb);
        if command.handling != Handling::Effective {
            self.matter.command = Some(command.clone());
        }
        let Matter {
            reception, budget, ..
        } = &self.matter;
        let chain = reception.scope.command(command, budget);
        self.command = Some(Box::pin(chain));
    }

    /// What the client says in a dialogue.
    pub(in crate::front) fn dialogue(&mut self, dialogue: Dialogue, input: Bytes) {
        let Dialogue {
            binding,
            mut command,
        } = dialogue;
        self.matter.verb.clone_from(&command.command.verb);
        self.matter.own = Own::Dialogue;
        command.dialogue_input = Some(input);
        self.matter.command = Some(command.clone());
        let Matter {
            reception, budget, ..
        } = &self.matter;
        let chain = reception.scope.ask_only(&binding, command, budget);
        self.command = Some(Box::pin(chain));
    }

    /// What the client does. Facts about sender and recipients are given in any case: later events need them.
    pub(in crate::front) fn deed(&mut self, deed: Deed) {
        let reception = Arc::clone(&self.matter.reception);
        let scope = &reception.scope;
        let budget = &self.matter.budget;
        self.matter.own = match deed {
            Deed::Connect => {
                if scope.wants(EventKind::InboundConnect) {
                    self.deed.push(Box::pin(scope.connect(budget)));
                }
                if let Some(tls) = &reception.implicit_tls
                    && scope.wants(EventKind::InboundTls)
                {
                    self.deed
                        .push(Box::pin(scope.tls(Tls(tls.clone()), budget)));
                }
                Own::Admits
            }
            Deed::Helo(helo) => {
                if scope.wants(EventKind::InboundHelo) {
                    self.deed.push(Box::pin(scope.helo(helo, budget)));
                }
                Own::Proceeds
            }
            Deed::Mail(mail) => {
                self.matter.about = About::Message(mail.message_id);
                // As the client gave it: sinks may make another one of it.
                let refused = reception.judge_sender(&mail.envelope.sender);
                self.deed.push(Box::pin(scope.mail(mail, budget)));
                Own::Mail(refused.err())
            }
            Deed::Rcpt(rcpt) => {
                let id = rcpt.recipient.id;
                self.deed.push(Box::pin(scope.rcpt(rcpt, budget)));
                Own::Rcpt(id)
            }
            Deed::Data(data) => {
                if scope.wants(EventKind::InboundData) {
                    self.deed.push(Box::pin(scope.data(data, budget)));
                }
                Own::Content
            }
            Deed::Auth(auth, carried) => {
                self.matter.step = Some(Step {
                    mechanism: auth.mechanism.clone(),
                    carried: carried.is_some(),
                    began: Instant::now(),
                });
                self.deed.push(match carried {
                    Some(binding) => Box::pin(scope.ask_only(&binding, auth, budget)),
                    None => Box::pin(scope.ask(auth, budget)),
                });
                Own::Proceeds
            }
            Deed::Other => Own::Proceeds,
        };
    }

    /// Asks one chain after the other, and then decides.
    pub(in crate::front) async fn run(self) -> Finding {
        let Self {
            mut matter,
            command,
            deed,
        } = self;
        for chain in command.into_iter().chain(deed) {
            if let Some(finding) = matter.ask(chain).await {
                return finding;
            }
        }
        matter.decide()
    }
}

impl Matter {
    /// Waits for one chain. `Some` if it ends the matter.
    async fn ask(&mut self, chain: BoxFuture<'static, Ruling>) -> Option<Finding> {
        let ruling = chain.await;
        let scope = &self.reception.scope;
        let budget = scope.reserving(&self.budget, ruling.event, &self.verb);
        hold_back(&ruling, &budget).await;
        if ruling.event == EventKind::InboundRcpt && matches!(ruling.decision, Decision::Discard) {
            let by = ruling.by.map(|by| by.binding.to_string());
            return Some(Finding::Dropped { by });
        }
        if let Some(step) = self
            .step
            .as_ref()
            .filter(|_| ruling.event == EventKind::InboundAuth)
        {
            let Step {
                mechanism,
                carried,
                began,
            } = step;
            let word = self.reception.hear(ruling, mechanism, *carried, *began);
            return match word.await {
                Word::None => None,
                Word::Refused(refused) => Some(Finding::Refused(refused)),
                word => Some(Finding::Word(word)),
            };
        }
        if let Some(said) = self.goes_on(&ruling) {
            return Some(said);
        }
        if let Some(mut refused) = refusal(&ruling, self.reference()) {
            refused.disconnect |= matches!(self.own, Own::Admits) || self.is_in_the_dark(&ruling);
            return Some(Finding::Refused(refused));
        }
        match ruling.event {
            EventKind::InboundRcpt => self.said = ruling.typed::<RcptAnswer>().answer,
            EventKind::InboundHelo => {
                if let Some(AuthAnswer::Mechanisms(names)) = ruling.typed::<AuthAnswer>().answer {
                    self.mechanisms = names;
                }
            }
            _ => {}
        }
        None
    }

    /// What a sink says that goes on about the command; or has said its last word.
    fn goes_on(&mut self, ruling: &Ruling) -> Option<Finding> {
        let Decision::Respond(own) = &ruling.decision else {
            return None;
        };
        let said = ruling.answer.as_ref()?.get::<DialogueAnswer>()?;
        let binding = Arc::clone(&ruling.by.as_ref()?.binding);
        let reply = said.reply.clone().or_else(|| own.clone());
        let Some(expects) = said.expects else {
            return Some(Finding::Refused(Refused {
                reply: reply?,
                disconnect: false,
                by: Some(binding.to_string()),
            }));
        };
        let mut command = self.command.take()?;
        command.dialogue_input = None;
        Some(Finding::Dialogue(Box::new(Said {
            reply,
            expects,
            next: Dialogue { binding, command },
        })))
    }

    /// A sink has failed of which nobody knows what it would have taken from the client: what follows may be the rest of a
    /// dialogue, or belong to a verb that a sink has added, and is not to be read as commands. It may come later than the
    /// command, too.
    fn is_in_the_dark(&self, ruling: &Ruling) -> bool {
        let Some(command) = self.command.as_ref() else {
            return false;
        };
        let failed = |cause: &Cause| matches!(cause, Cause::Failure(..));
        let ends = ruling.by.as_ref().is_some_and(|by| failed(&by.cause));
        match command.dialogue_input {
            Some(_) => ends,
            // One whose failure is passed over may be the one that has added the verb, unless another one has answered.
            None if command.handling == Handling::Registered => {
                let is_answered = matches!(ruling.decision, Decision::Respond(_));
                ends || !(is_answered || ruling.failures.is_empty())
            }
            None => false,
        }
    }

    fn reference(&self) -> &dyn Display {
        match &self.about {
            About::Session => &self.reception.session,
            About::Message(message) => message,
        }
    }

    /// The service's own handling.
    fn decide(&self) -> Finding {
        let Reception { tools, scope, .. } = &*self.reception;
        let refused = match &self.own {
            Own::Proceeds if !self.mechanisms.is_empty() => {
                return Finding::Offers(self.mechanisms.clone());
            }
            Own::Refuses | Own::Proceeds | Own::Admits => None,
            // The sink is not asked any more: it has left, or its failure is passed over. Nobody knows what it waited for.
            Own::Dialogue => {
                return Finding::Refused(Refused {
                    disconnect: true,
                    ..Refused::by_service(replies::dialogue_ended())
                });
            }
            Own::Mail(Some(refused)) => Some(refused.clone()),
            Own::Mail(None) => match tools.spool.receive(Purpose::Mail) {
                Ok(_) => self.reception.count_message().err(),
                Err(error) => Some(storage_reply(&self.reception, self.reference(), &error)),
            },
            // As sinks have left it. One that they took out is accepted, and gets nothing.
            Own::Rcpt(id) => scope.recipient(*id).and_then(|recipient| {
                let judged = self.judge_recipient(&recipient);
                judged.and_then(|()| self.reception.count_recipient()).err()
            }),
            Own::Content => match tools.spool.receive(Purpose::Mail) {
                Ok(incoming) => return Finding::Content(Box::new(incoming)),
                Err(error) => Some(storage_reply(&self.reception, self.reference(), &error)),
            },
        };
        refused.map_or(Finding::Proceed, |reply| {
            Finding::Refused(Refused::by_service(reply))
        })
    }
}

impl Matter {
    /// May this client send there, by what the service knows and sinks have answered?
    fn judge_recipient(&self, recipient: &Recipient) -> Result<(), Reply> {
        let Reception { scope, server, .. } = &*self.reception;
        let may_relay = scope.may_relay();
        let Some(said) = &self.said else {
            return server.policy.judge(&recipient.address, may_relay);
        };
        scope.claim(recipient.id, said);
        let claimed = Claim {
            kind: said.recipient_kind,
            routed: said.next_hop.is_some(),
        };
        let judged = server
            .policy
            .judge_claimed(&recipient.address, may_relay, claimed);
        judged.map_err(|error| {
            if matches!(error, Unclaimed::NoWay) {
                tracing::error!(
                    session = %self.reception.session, server = %server.name,
                    to = self.reception.show_recipient(&recipient.address),
                    "a sink admits a recipient of a domain that no [[domain]] has, and gives it no next hop: nothing would deliver it"
                );
            }
            error.into_reply()
        })
    }
}

/// Asks about a handshake that is not part of the connection. Of one that failed nobody waits for the ruling but to tell it.
pub(in crate::front) async fn handshake(
    reception: &Reception,
    tls: Tls,
    budget: &Budget,
) -> Option<Refused> {
    let failed = !tls.0.failure.is_empty();
    if failed && !reception.scope.wants(EventKind::InboundTls) {
        return None;
    }
    let ruling = reception.scope.tls(tls, budget).await;
    refusal(&ruling, &reception.session)
}
