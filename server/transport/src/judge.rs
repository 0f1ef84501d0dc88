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
use postern_events::transport::{Categorize, Expand, PostCategorize, PreCategorize, Submit};
use postern_message::Message;
use tokio::sync::broadcast;

use super::categorizer::Tally;
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

    /// Hears what became of every attempt, whether or not a sink wants to know. Must not block.
    fn note(&self, _message: &Message, _result: &DeliveryResult) {}

    /// Hears that the sender of a message is told of its delay. Must not block.
    fn warned(&self, _message: &Message) {}

    /// Hears what the recipients of a message were found to be. Must not block.
    fn categorized(&self, _message: &Message, _tally: &Tally) {}
}

/// What is asked about a message.
#[derive(Debug, Clone)]
pub enum About {
    /// An inbound event that it was held at, once more.
    Inbound(EventKind),
    /// `transport.submit`.
    Submit,
    /// `transport.pre_categorize`.
    PreCategorize,
    /// `transport.categorize`.
    Categorize(Categorize),
    /// `transport.expand`.
    Expand(Expand),
    /// `transport.post_categorize`.
    PostCategorize(PostCategorize),
}

impl About {
    /// The event.
    #[must_use]
    pub const fn event(&self) -> EventKind {
        match self {
            Self::Inbound(event) => *event,
            Self::Submit => EventKind::TransportSubmit,
            Self::PreCategorize => EventKind::TransportPreCategorize,
            Self::Categorize(_) => EventKind::TransportCategorize,
            Self::Expand(_) => EventKind::TransportExpand,
            Self::PostCategorize(_) => EventKind::TransportPostCategorize,
        }
    }
}

/// One message before the sinks.
pub trait Case: Send + Sync {
    /// Asks about the message, from where it was put off if it was.
    fn ask(
        &self,
        about: About,
        budget: &Budget,
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
    fn ask(
        &self,
        about: About,
        budget: &Budget,
        start: Start,
        attempt: Attempt,
    ) -> BoxFuture<'static, MessageRuling> {
        match about {
            About::Inbound(event) => Box::pin(self.redo_inbound(budget, event, start, attempt)),
            About::Submit => Box::pin(self.judge(Submit, budget, start, attempt)),
            About::PreCategorize => Box::pin(self.judge(PreCategorize, budget, start, attempt)),
            About::Categorize(event) => Box::pin(self.judge(event, budget, start, attempt)),
            About::Expand(event) => Box::pin(self.judge(event, budget, start, attempt)),
            About::PostCategorize(event) => Box::pin(self.judge(event, budget, start, attempt)),
        }
    }

    fn tell(&self, result: DeliveryResult) {
        self.tell_delivery_result(result);
    }
}
