//! One message in transport, as the transport core sees the dispatcher.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_message::{AttemptId, Message, RecipientId};
use postern_proto::v1 as pb;
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;

use crate::budget::Budget;
use crate::content::Content;
use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::exchange::{MessageRuling, merge};
use crate::facts::Facts;
use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::verdict::Ruling;
use crate::wire::Happening;

/// What became of one recipient in one attempt.
#[derive(Clone, Debug)]
pub struct RecipientResult {
    /// The recipient.
    pub id: RecipientId,
    /// Its address.
    pub address: ForwardPath,
    /// What became of it.
    pub status: DeliveryStatus,
    /// The remote's reply, or the gateway's own where there was none.
    pub reply: Option<Reply>,
    /// Attempts so far.
    pub attempts: u32,
    /// Time to the next attempt; absent where there is none.
    pub retry_in: Option<Duration>,
}

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// In its mailbox, or at a server that reports on its own.
    Delivered,
    /// To be tried again.
    Deferred,
    /// Failed for good.
    Failed,
    /// Given up after the last retry.
    Expired,
    /// At a server that does not report on its own.
    Relayed,
}

impl DeliveryStatus {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Deferred => "deferred",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Relayed => "relayed",
        }
    }
}

/// What became of an attempt (`delivery.result`).
#[derive(Clone, Debug)]
pub struct DeliveryResult {
    /// The attempt.
    pub attempt: AttemptId,
    /// The destination: a domain or a configured next hop.
    pub destination: Bytes,
    /// Name of the host; empty where no connection was made.
    pub host: Bytes,
    /// Its address as text; empty where no connection was made.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The recipients of the attempt.
    pub recipients: Vec<RecipientResult>,
    /// Time since the message was accepted.
    pub age: Duration,
}

/// One message in transport. Dropping it closes what is open at the sinks.
pub struct TransportScope {
    shared: Arc<Shared>,
    message: Arc<Message>,
    content: Arc<dyn Content>,
    scope: Arc<Scope>,
}

impl TransportScope {
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        message: Arc<Message>,
        content: Arc<dyn Content>,
    ) -> Self {
        let scope = Scope::new(
            pb::Scope::Transport,
            shared,
            &message.server,
            Facts::of_message(Arc::clone(&message)),
        );
        Self {
            shared: Arc::clone(shared),
            message,
            content,
            scope: Arc::new(scope),
        }
    }

    /// Whether any binding is bound to the event for this message.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        self.scope.plan.wants(&self.scope.server, event)
    }

    /// `transport.submit`: asks all bindings, or those from `from` on where the message was held or deferred by
    /// that one. `attempt` counts earlier times that this was asked.
    pub fn submit(
        &self,
        budget: &Budget,
        from: Option<&str>,
        attempt: u32,
    ) -> impl Future<Output = MessageRuling> + Send + use<> {
        let begin = Begin {
            budget: Some(*budget),
            from,
            earlier: attempt,
            content: Some(Arc::clone(&self.content)),
            reply_stands: false,
        };
        let run = Run::begin(&self.scope, Arc::new(Happening::Submit), begin);
        let scope = Arc::clone(&self.scope);
        async move {
            let ruling = match run {
                Some(run) => run.ruling(None).await,
                None => Ruling::proceed(EventKind::TransportSubmit),
            };
            let draft = scope.facts.lock().draft.clone();
            MessageRuling { ruling, draft }
        }
    }

    /// `inbound.message`, or `inbound.headers` and then `inbound.message`, for a message that was held at `event`:
    /// asks from the binding `from` on. The session is told from what the message knows of it.
    pub fn redo_inbound(
        &self,
        budget: &Budget,
        event: EventKind,
        from: &str,
        attempt: u32,
    ) -> impl Future<Output = MessageRuling> + Send + use<> {
        let facts = Facts::of_held(&self.message);
        let scope = Arc::new(Scope::new(
            pb::Scope::InboundSession,
            &self.shared,
            &self.message.server,
            facts,
        ));
        let (budget, from, id) = (*budget, from.to_owned(), self.message.id);
        let content = Arc::clone(&self.content);
        async move {
            let mut ruling = Ruling::proceed(EventKind::InboundMessage);
            let mut first = Some(from.as_str());
            for (of, happening) in [
                (EventKind::InboundHeaders, Happening::Headers(id)),
                (EventKind::InboundMessage, Happening::Message(id)),
            ] {
                if event == EventKind::InboundMessage && of == EventKind::InboundHeaders {
                    continue;
                }
                let begin = Begin {
                    budget: Some(budget),
                    from: first.take(),
                    earlier: attempt,
                    content: Some(Arc::clone(&content)),
                    reply_stands: false,
                };
                if let Some(run) = Run::begin(&scope, Arc::new(happening), begin) {
                    ruling = merge(ruling, run.ruling(None).await);
                }
                if ruling.decision.ends_chain() {
                    break;
                }
            }
            let draft = scope.facts.lock().draft.clone();
            MessageRuling { ruling, draft }
        }
    }

    /// `delivery.result`: tells what became of an attempt. Never waits.
    pub fn tell_delivery_result(&self, result: DeliveryResult) {
        self.scope
            .tell_service(Happening::Delivery(self.message.id, Arc::new(result)));
    }
}
