//! One message in transport, as the transport core sees the dispatcher.

use std::future::Future;
use std::sync::Arc;

use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::context::{Client, Context, InboundContext, MessageContext, SessionContext};
use postern_events::delivery;
use postern_events::event::EventKind;
use postern_events::inbound::{Headers, Message};
use postern_events::question::{Event, Question};
use postern_events::ruling::Ruling;
use postern_proto::v1 as pb;

use crate::content::Content;
use crate::exchange::MessageRuling;
use crate::news::NewsDesk;
use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::shared::Shared;
use crate::stores::{self, Mailboxes, Said, Stores};

/// Replicas that may be asked the same each time that a stage is begun: the one, and another if that fails.
const ASKINGS: u32 = 2;

/// How often, and why, a stage is begun for a message.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// How often it may have been begun before. 0: certainly never.
    pub earlier: u32,
    /// Why it is begun now.
    pub reason: pb::AskReason,
}

impl Attempt {
    /// How often a sink may have been asked before. That another replica was asked is recorded nowhere, and is taken to
    /// have happened each time.
    const fn askings(self) -> u32 {
        self.earlier.saturating_mul(ASKINGS)
    }
}

/// One message in transport. Dropping it closes what is open at the sinks.
pub struct TransportScope {
    shared: Arc<Shared>,
    news: Arc<NewsDesk>,
    content: Arc<dyn Content>,
    scope: Arc<Scope>,
}

impl TransportScope {
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        news: &Arc<NewsDesk>,
        message: MessageContext,
        content: Arc<dyn Content>,
    ) -> Self {
        let server = Arc::clone(message.server());
        let context = Context::from(message);
        let scope = Scope::new(pb::Scope::Transport, shared, server, context);
        Self {
            shared: Arc::clone(shared),
            news: Arc::clone(news),
            content,
            scope: Arc::new(scope),
        }
    }

    /// Whether any binding has the event for this message.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        self.scope.plan.wants(&self.scope.server, event)
    }

    /// Asks all bindings, or those from where the message was put off. What they made of the message is returned with
    /// their ruling; [`Ruling::typed`] has the answer.
    pub fn judge<E: Event<Context = MessageContext>>(
        &self,
        event: E,
        budget: &Budget,
        start: Start,
        attempt: Attempt,
    ) -> impl Future<Output = MessageRuling> + Send + use<E> {
        if let Context::Transport(own) = &mut self.scope.state().context {
            own.attempt = attempt.earlier.saturating_add(1);
        }
        let begin = Begin {
            start,
            ..self.beginning(budget, attempt)
        };
        let ruling = self.ask_with(event, begin);
        let scope = Arc::clone(&self.scope);
        async move { MessageRuling::of(&scope, ruling.await) }
    }

    /// Asks about any event of a message in transport. [`Ruling::typed`] has the answer.
    pub fn ask<E: Event<Context = MessageContext>>(
        &self,
        event: E,
        budget: &Budget,
        attempt: Attempt,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        self.ask_with(event, self.beginning(budget, attempt))
    }

    /// `transport.local_delivery`: asks mailbox stores about some recipients, and says which binding said what. A recipient
    /// that is in no [`Said`] was asked of nobody.
    pub fn local_delivery(
        &self,
        stores: &Stores,
        mailboxes: Mailboxes,
        budget: &Budget,
        attempt: Attempt,
    ) -> impl Future<Output = Vec<Said>> + Send + use<> {
        if let Context::Transport(own) = &mut self.scope.state().context {
            own.attempt = attempt.earlier.saturating_add(1);
        }
        let (content, budget) = (Arc::clone(&self.content), *budget);
        let begin = move || Begin {
            budget: Some(budget),
            earlier: attempt.askings(),
            reason: attempt.reason,
            content: Some(Arc::clone(&content)),
            ..Begin::default()
        };
        stores::ask(&self.scope, stores, mailboxes, begin)
    }

    fn ask_with<E: Event>(
        &self,
        event: E,
        begin: Begin,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        let question = Question::new(event);
        self.scope.tell(&question);
        let stage = self.scope.stage(E::KIND);
        let run = stage.map(|stage| Run::new(&self.scope, stage, vec![question], begin));
        async move {
            match run {
                Some(run) => run.ruling(None).await,
                None => Ruling::proceed(E::KIND),
            }
        }
    }

    fn beginning(&self, budget: &Budget, attempt: Attempt) -> Begin {
        Begin {
            budget: Some(*budget),
            earlier: attempt.askings(),
            reason: attempt.reason,
            content: Some(Arc::clone(&self.content)),
            ..Begin::default()
        }
    }

    /// `inbound.message`, or `inbound.headers` and then `inbound.message`, for a message that was held at `event`: asks
    /// from where it was put off. The session is the one that brought the message, as it was stored.
    pub fn redo_inbound(
        &self,
        budget: &Budget,
        event: EventKind,
        start: Start,
        attempt: Attempt,
    ) -> impl Future<Output = MessageRuling> + Send + use<> {
        let scope = self.held_scope();
        let budget = *budget;
        let content = Arc::clone(&self.content);
        async move {
            let mut ruling = Ruling::proceed(EventKind::InboundMessage);
            let mut start = Some(start);
            let Some(id) = scope.message_id() else {
                return MessageRuling::of(&scope, ruling);
            };
            for of in [EventKind::InboundHeaders, EventKind::InboundMessage] {
                if event == EventKind::InboundMessage && of == EventKind::InboundHeaders {
                    continue;
                }
                let Some(stage) = scope.stage(of) else {
                    start = None;
                    continue;
                };
                let question = match of {
                    EventKind::InboundHeaders => Question::new(Headers { message_id: id }),
                    _ => Question::new(Message { message_id: id }),
                };
                let begin = Begin {
                    budget: Some(budget),
                    start: start.take().unwrap_or(Start::First),
                    earlier: attempt.askings(),
                    reason: attempt.reason,
                    content: Some(Arc::clone(&content)),
                    reply_stands: false,
                };
                let run = Run::new(&scope, stage, vec![question], begin);
                ruling = ruling.then(run.ruling(None).await);
                if ruling.decision.ends_chain() {
                    break;
                }
            }
            MessageRuling::of(&scope, ruling)
        }
    }

    /// An inbound session without a client, for a message that was held in one.
    fn held_scope(&self) -> Arc<Scope> {
        let state = self.scope.state();
        let context = match &state.context {
            Context::Transport(own) => {
                let message = own.message();
                let session = own.session().cloned().unwrap_or_else(|| unknown(own));
                Context::from(InboundContext::of_held(session, message))
            }
            other => other.clone(),
        };
        drop(state);
        Arc::new(Scope::new(
            pb::Scope::InboundSession,
            &self.shared,
            Arc::clone(&self.scope.server),
            context,
        ))
    }

    /// `delivery.result`: tells what became of an attempt. Never waits.
    pub fn tell_delivery_result(&self, result: delivery::Result) {
        let question = Question::new(result);
        self.news.tell(
            &self.shared,
            &self.scope.plan,
            &self.scope.server,
            &question,
        );
    }
}

/// The session of a message that has no record of it: nothing is known but which it was.
fn unknown(message: &MessageContext) -> SessionContext {
    let mut session = SessionContext::new(
        Arc::clone(message.server()),
        Arc::from(""),
        Client::default(),
        message.message().received_at,
    );
    if let Some(id) = message.message().session {
        session.id = id;
    }
    session
}
