//! Seams between the parts, where what passes is counted and told.

use std::sync::{Arc, Weak};

use postern_delivery::BoxFuture;
use postern_dispatch::content::Content;
use postern_events::budget::Budget;
use postern_events::context::{DestinationContext, Remote};
use postern_events::delivery::{Link, Result as DeliveryResult};
use postern_events::event::EventKind;
use postern_events::plan::Plan;
use postern_events::ruling::Ruling;
use postern_events::transport::{Resolve, ResolveAnswer, Route, RouteAnswer};
use postern_message::{Message, Origin, RecipientState};
use postern_spool::StoredMessage;
use postern_transport::{Case, Handle, Judge, OutgoingCase, Sinks, Tally};
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

    fn listens_outgoing(&self, server: &str) -> bool {
        self.sinks.listens_outgoing(server)
    }

    fn begin_outgoing(&self, server: &str, remote: Remote) -> Option<Arc<dyn OutgoingCase>> {
        self.sinks.begin_outgoing(server, remote)
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

    fn link(&self, server: &str, link: Link) {
        self.sinks.link(server, link);
    }

    fn plan(&self) -> Weak<Plan> {
        self.sinks.plan()
    }

    fn route(
        &self,
        destination: DestinationContext,
        event: Route,
        budget: &Budget,
    ) -> BoxFuture<'static, Ruling<RouteAnswer>> {
        self.sinks.route(destination, event, budget)
    }

    fn resolve(
        &self,
        destination: DestinationContext,
        event: Resolve,
        budget: &Budget,
    ) -> BoxFuture<'static, Ruling<ResolveAnswer>> {
        self.sinks.resolve(destination, event, budget)
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

    fn became(&self, message: &Message, changes: &[(usize, RecipientState)]) {
        let mut counted = [0; 5];
        for (_, state) in changes {
            let lost = matches!(
                state,
                RecipientState::Failed(_) | RecipientState::Expired(_)
            );
            if lost && message.origin == Origin::Dsn {
                self.metrics.lost_notifications.inc();
            }
            let place = match state {
                RecipientState::Delivered(_) => 0,
                RecipientState::Pending { .. } => 1,
                RecipientState::Failed(_) => 2,
                RecipientState::Expired(_) => 3,
                RecipientState::Relayed(_) => 4,
                RecipientState::Discarded(_) | RecipientState::Expanded(_) => continue,
            };
            counted[place] += 1;
        }
        let labels = [
            Label::Delivered,
            Label::Deferred,
            Label::Failed,
            Label::Expired,
            Label::Relayed,
        ];
        for (became, count) in labels.into_iter().zip(counted) {
            if count > 0 {
                let label = Delivered {
                    server: message.server.as_str().into(),
                    result: became,
                };
                self.metrics.deliveries.get_or_create(&label).inc_by(count);
            }
        }
    }

    fn notes(&self) -> bool {
        self.listen.is_some()
    }

    fn note(&self, message: &Message, result: &DeliveryResult) {
        if let Some(listen) = &self.listen {
            listen(&ServiceEvent::Delivery {
                server: &message.server,
                message,
                result,
            });
        }
    }
}
