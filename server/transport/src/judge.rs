//! What the transport core asks of the dispatcher. A seam, so that the core is tested without sinks.

use std::sync::Arc;

use postern_dispatch::content::Content;
use postern_dispatch::dispatcher::{Dispatcher, SharedPlan};
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::transport::{Attempt, TransportScope};
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::context::MessageContext;
use postern_events::delivery::Result as DeliveryResult;
use postern_events::event::EventKind;
use postern_events::plan::BodyDepth;
use postern_message::{Message, RecipientState};
use tokio::sync::broadcast;

use postern_delivery::BoxFuture;

/// Asks the sinks about messages. One for each runtime thread.
pub trait Judge: Send + Sync {
    /// Begins with a message.
    fn begin(&self, message: &Arc<Message>, content: Arc<dyn Content>) -> Box<dyn Case>;

    /// Whether any binding is bound to the event on this virtual server.
    fn listens(&self, server: &str, event: EventKind) -> bool;

    /// Whether any binding is shown some of the content at the event.
    fn shows_content(&self, _server: &str, _event: EventKind) -> bool {
        true
    }

    /// The sink of a binding.
    fn sink_of(&self, _binding: &str) -> Option<Arc<str>> {
        None
    }

    /// The bindings of a sink, by name.
    fn bindings_of(&self, _sink: &str) -> Vec<String> {
        Vec::new()
    }

    /// All sinks.
    fn sinks(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Whether this thread can ask the sink now.
    fn is_reachable(&self, _sink: &str) -> bool {
        false
    }

    /// Hears the names of sinks that this thread can ask again.
    fn sinks_back(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        None
    }

    /// Hears what became of recipients, by their places in the message, whether or not a sink wants to know. Must not block.
    fn became(&self, _message: &Message, _changes: &[(usize, RecipientState)]) {}

    /// Whether [`Judge::note`] is to hear of attempts of which no sink wants to know.
    fn notes(&self) -> bool {
        false
    }

    /// Hears what became of an attempt. Must not block.
    fn note(&self, _message: &Message, _result: &DeliveryResult) {}

    /// Hears that the sender of a message is told of its delay. Must not block.
    fn warned(&self, _message: &Message) {}
}

/// One message before the sinks.
pub trait Case: Send + Sync {
    /// Asks about `transport.submit`.
    fn submit(
        &self,
        budget: &Budget,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling>;

    /// Asks again about an inbound event that the message was held at.
    fn redo_inbound(
        &self,
        budget: &Budget,
        event: EventKind,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling>;

    /// Tells what became of an attempt. Never waits.
    fn tell(&self, result: DeliveryResult);
}

/// The sinks of the plan, asked by the dispatcher of this thread.
pub struct Sinks {
    dispatcher: Dispatcher,
    plan: SharedPlan,
}

impl Sinks {
    /// Asks by `dispatcher`, which has the same plan.
    pub fn new(dispatcher: Dispatcher, plan: SharedPlan) -> Self {
        Self { dispatcher, plan }
    }
}

impl Judge for Sinks {
    fn begin(&self, message: &Arc<Message>, content: Arc<dyn Content>) -> Box<dyn Case> {
        let context = MessageContext::new(Arc::clone(message)).unwrap_or_else(|error| {
            tracing::error!(id = %message.id, %error, "the session of a message cannot be read");
            MessageContext::with_session(Arc::clone(message), None)
        });
        Box::new(self.dispatcher.begin_message(context, content))
    }

    fn listens(&self, server: &str, event: EventKind) -> bool {
        self.plan.load().wants(server, event)
    }

    fn shows_content(&self, server: &str, event: EventKind) -> bool {
        self.plan.load().stage(server, event).is_some_and(|stage| {
            let mut depths = stage
                .members
                .iter()
                .map(|member| member.binding.depth(event));
            depths.any(|depth| depth != BodyDepth::None)
        })
    }

    fn sink_of(&self, binding: &str) -> Option<Arc<str>> {
        self.dispatcher.sink_of(binding)
    }

    fn bindings_of(&self, sink: &str) -> Vec<String> {
        let plan = self.plan.load();
        let own = plan.bindings().iter().filter(|own| *own.sink.name == *sink);
        own.map(|own| own.name.to_string()).collect()
    }

    fn sinks(&self) -> Vec<Arc<str>> {
        let plan = self.plan.load();
        let names = plan.sinks().iter().map(|sink| Arc::clone(&sink.name));
        names.collect()
    }

    fn is_reachable(&self, sink: &str) -> bool {
        self.dispatcher.is_reachable(sink)
    }

    fn sinks_back(&self) -> Option<broadcast::Receiver<Arc<str>>> {
        Some(self.dispatcher.sinks_back())
    }
}

impl Case for TransportScope {
    fn submit(
        &self,
        budget: &Budget,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling> {
        Box::pin(TransportScope::submit(self, budget, start, attempt))
    }

    fn redo_inbound(
        &self,
        budget: &Budget,
        event: EventKind,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling> {
        Box::pin(TransportScope::redo_inbound(
            self, budget, event, start, attempt,
        ))
    }

    fn tell(&self, result: DeliveryResult) {
        self.tell_delivery_result(result);
    }
}
