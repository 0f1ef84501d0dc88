//! Seams between the parts, where what passes is counted and told.

use std::sync::Arc;

use postern_dispatch::content::Content;
use postern_events::delivery::{DeliveryStatus, Result as DeliveryResult};
use postern_events::event::EventKind;
use postern_message::{Message, Origin};
use postern_spool::StoredMessage;
use postern_transport::{Case, Handle, Judge, Sinks, Tally};
use tokio::sync::broadcast;

use super::{Listen, ServiceEvent};
use crate::front::Onward;
use crate::metrics::Metrics;
use crate::metrics::labels::{Categorized, Delivered, DeliveryResult as Label, Found};

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
    fn begin(&self, message: &Arc<Message>, content: Arc<dyn Content>) -> Box<dyn Case> {
        self.sinks.begin(message, content)
    }

    fn listens(&self, server: &str, event: EventKind) -> bool {
        self.sinks.listens(server, event)
    }

    fn shows_content(&self, server: &str, event: EventKind) -> bool {
        self.sinks.shows_content(server, event)
    }

    fn sink_of(&self, binding: &str) -> Option<Arc<str>> {
        self.sinks.sink_of(binding)
    }

    fn bindings_of(&self, sink: &str) -> Vec<String> {
        self.sinks.bindings_of(sink)
    }

    fn sinks(&self) -> Vec<Arc<str>> {
        self.sinks.sinks()
    }

    fn is_reachable(&self, sink: &str) -> bool {
        self.sinks.is_reachable(sink)
    }

    fn sinks_back(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        self.sinks.sinks_back()
    }

    fn categorized(&self, message: &Message, tally: &Tally) {
        let counts = [
            (Found::Expanded, tally.expanded),
            (Found::Member, tally.members),
            (Found::Rewritten, tally.rewritten),
            (Found::Failed, tally.failed),
        ];
        for (found, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            let label = Categorized {
                server: message.server.as_str().into(),
                result: found,
            };
            self.metrics.categorized.get_or_create(&label).inc_by(count);
        }
    }

    fn warned(&self, _message: &Message) {
        self.metrics.delay_notifications.inc();
    }

    fn note(&self, message: &Message, result: &DeliveryResult) {
        for recipient in &result.recipients {
            let lost = matches!(
                recipient.status,
                DeliveryStatus::Failed | DeliveryStatus::Expired
            );
            if lost && message.origin == Origin::Dsn {
                self.metrics.lost_notifications.inc();
            }
            let became = match recipient.status {
                DeliveryStatus::Delivered => Label::Delivered,
                DeliveryStatus::Deferred => Label::Deferred,
                DeliveryStatus::Failed => Label::Failed,
                DeliveryStatus::Expired => Label::Expired,
                DeliveryStatus::Relayed => Label::Relayed,
            };
            let label = Delivered {
                server: message.server.as_str().into(),
                result: became,
            };
            self.metrics.deliveries.get_or_create(&label).inc();
        }
        if let Some(listen) = &self.listen {
            listen(&ServiceEvent::Delivery {
                server: &message.server,
                message,
                result,
            });
        }
    }
}
