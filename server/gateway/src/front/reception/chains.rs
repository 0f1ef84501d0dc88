//! What a client does, put to the chains of sinks one after the other, until one ends the matter; then the service's own
//! handling.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use postern_dispatch::content::BoxFuture;
use postern_events::budget::Budget;
use postern_events::event::EventKind;
use postern_events::inbound::{Command, Data, Helo, Mail, Rcpt, Tls};
use postern_events::ruling::{Decision, Ruling};
use postern_message::{MessageId, RecipientId};
use postern_smtp::reply::Reply;
use postern_spool::{Purpose, Receiving};

use super::Reception;
use super::message::storage_reply;
use super::ruling::{Refused, hold_back, refusal};

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
    /// It is refused.
    Refused(Refused),
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
    own: Own,
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
                own: Own::Refuses,
            },
            command: None,
            deed: Vec::new(),
        }
    }

    /// A command has come, by which the client does what it does.
    pub(in crate::front) fn command(&mut self, command: Command) {
        self.matter.verb.clone_from(&command.command.verb);
        let Matter {
            reception, budget, ..
        } = &self.matter;
        let chain = reception.scope.command(command, budget);
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
            Deed::Other => Own::Proceeds,
        };
    }

    /// Asks one chain after the other, and then decides.
    pub(in crate::front) async fn run(self) -> Finding {
        let Self {
            matter,
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
    async fn ask(&self, chain: BoxFuture<'static, Ruling>) -> Option<Finding> {
        let ruling = chain.await;
        let scope = &self.reception.scope;
        let budget = scope.reserving(&self.budget, ruling.event, &self.verb);
        hold_back(&ruling, &budget).await;
        if ruling.event == EventKind::InboundRcpt && matches!(ruling.decision, Decision::Discard) {
            let by = ruling.by.map(|by| by.binding.to_string());
            return Some(Finding::Dropped { by });
        }
        let mut refused = refusal(&ruling, self.reference())?;
        refused.disconnect |= matches!(self.own, Own::Admits);
        Some(Finding::Refused(refused))
    }

    fn reference(&self) -> &dyn Display {
        match &self.about {
            About::Session => &self.reception.session,
            About::Message(message) => message,
        }
    }

    /// The service's own handling.
    fn decide(&self) -> Finding {
        let Reception {
            tools,
            scope,
            server,
            ..
        } = &*self.reception;
        let refused = match &self.own {
            Own::Refuses | Own::Proceeds | Own::Admits => None,
            Own::Mail(Some(refused)) => Some(refused.clone()),
            Own::Mail(None) => match tools.spool.receive(Purpose::Mail) {
                Ok(_) => self.reception.count_message().err(),
                Err(error) => Some(storage_reply(&self.reception, self.reference(), &error)),
            },
            // As sinks have left it. One that they took out is accepted, and gets nothing.
            Own::Rcpt(id) => scope.recipient(*id).and_then(|recipient| {
                let judged = server.policy.judge(&recipient.address, scope.may_relay());
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
