//! One message in transport, as the transport core sees the dispatcher.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_message::{AttemptId, Message, RecipientId};
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;

use crate::budget::Budget;
use crate::content::Content;
use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::exchange::MessageRuling;

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

/// What became of an attempt (`delivery.result`).
#[derive(Clone, Debug)]
pub struct DeliveryResult {
    /// The attempt.
    pub attempt: AttemptId,
    /// The destination: a domain or a configured next hop.
    pub destination: Bytes,
    /// Name of the host; empty where no connection was made.
    pub host: Bytes,
    /// Its address and port as text; empty where no connection was made.
    pub address: String,
    /// The recipients of the attempt.
    pub recipients: Vec<RecipientResult>,
    /// Time since the message was accepted.
    pub age: Duration,
}

/// One message in transport. Dropping it closes what is open at the sinks.
pub struct TransportScope {
    shared: Arc<Shared>,
}

impl TransportScope {
    pub(crate) fn begin(shared: Arc<Shared>, message: Message, content: Arc<dyn Content>) -> Self {
        let _ = (message, content);
        Self { shared }
    }

    /// Whether any binding is bound to the event for this message.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        let _ = (event, &self.shared);
        todo!()
    }

    /// `transport.submit`: asks all bindings, or those from `from` on where the message was held or deferred by
    /// that one. `attempt` counts earlier times that this was asked.
    pub fn submit(
        &self,
        budget: &Budget,
        from: Option<&str>,
        attempt: u32,
    ) -> impl Future<Output = MessageRuling> + Send + use<> {
        let _ = (budget, from, attempt);
        async { todo!() }
    }

    /// `inbound.message` for a message that was held at it: asks from the binding `from` on.
    pub fn redo_inbound_message(
        &self,
        budget: &Budget,
        from: &str,
        attempt: u32,
    ) -> impl Future<Output = MessageRuling> + Send + use<> {
        let _ = (budget, from, attempt);
        async { todo!() }
    }

    /// `delivery.result`: tells what became of an attempt. Never waits.
    pub fn tell_delivery_result(&self, result: DeliveryResult) {
        let _ = result;
    }
}
