//! Seams between the parts, where what passes is counted and told.

use std::sync::Arc;

use postern_dispatch::budget::Budget;
use postern_dispatch::content::Content;
use postern_dispatch::event::EventKind;
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::{DeliveryResult, DeliveryStatus};
use postern_message::Message;
use postern_spool::StoredMessage;

use super::{Listen, ServiceEvent};
use crate::delivery::BoxFuture;
use crate::front::Onward;
use crate::metrics::Metrics;
use crate::metrics::labels::{Delivered, DeliveryResult as Label};
use crate::transport::{Case, Handle, Judge, Sinks};

/// Hands accepted messages to the transport core.
pub(super) struct Submit {
    pub(super) handle: Handle,
    pub(super) listen: Option<Listen>,
}

impl Onward for Submit {
    fn accept(&self, message: StoredMessage) {
        if let Some(listen) = &self.listen {
            listen(&ServiceEvent::Accepted(&message.message));
        }
        self.handle.accept(message);
    }
}

/// Counts what became of recipients, whether or not a sink wants to know.
pub(super) struct CountedJudge {
    pub(super) sinks: Sinks,
    pub(super) metrics: Arc<Metrics>,
    pub(super) listen: Option<Listen>,
}

impl Judge for CountedJudge {
    fn begin(&self, message: &Message, content: Arc<dyn Content>) -> Box<dyn Case> {
        Box::new(CountedCase {
            case: self.sinks.begin(message, content),
            told: self.sinks.listens(&message.server, EventKind::DeliveryResult),
            server: message.server.clone(),
            message: self.listen.is_some().then(|| message.clone()),
            metrics: Arc::clone(&self.metrics),
            listen: self.listen.clone(),
        })
    }

    fn listens(&self, server: &str, event: EventKind) -> bool {
        event == EventKind::DeliveryResult || self.sinks.listens(server, event)
    }
}

/// One message before the sinks.
struct CountedCase {
    case: Box<dyn Case>,
    /// A sink wants to know what becomes of it.
    told: bool,
    server: String,
    /// Kept only if somebody listens.
    message: Option<Message>,
    metrics: Arc<Metrics>,
    listen: Option<Listen>,
}

impl Case for CountedCase {
    fn submit(&self, budget: &Budget, from: Option<&str>, attempt: u32) -> BoxFuture<'static, MessageRuling> {
        self.case.submit(budget, from, attempt)
    }

    fn redo_inbound(
        &self,
        budget: &Budget,
        event: EventKind,
        from: &str,
        attempt: u32,
    ) -> BoxFuture<'static, MessageRuling> {
        self.case.redo_inbound(budget, event, from, attempt)
    }

    fn tell(&self, result: DeliveryResult) {
        for recipient in &result.recipients {
            let became = match recipient.status {
                DeliveryStatus::Delivered => Label::Delivered,
                DeliveryStatus::Deferred => Label::Deferred,
                DeliveryStatus::Failed => Label::Failed,
                DeliveryStatus::Expired => Label::Expired,
                DeliveryStatus::Relayed => Label::Relayed,
            };
            let label = Delivered { server: self.server.as_str().into(), result: became };
            self.metrics.deliveries.get_or_create(&label).inc();
        }
        if let (Some(listen), Some(message)) = (&self.listen, &self.message) {
            listen(&ServiceEvent::Delivery { server: &self.server, message, result: &result });
        }
        if self.told {
            self.case.tell(result);
        }
    }
}
