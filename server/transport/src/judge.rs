//! What the transport core asks of the dispatcher. A seam, so that the core is tested without sinks.

use std::sync::{Arc, Weak};

use postern_dispatch::content::Content;
use postern_dispatch::dispatcher::{Dispatcher, SharedPlan};
use postern_dispatch::exchange::MessageRuling;
use postern_dispatch::outgoing::OutgoingScope;
use postern_dispatch::stores::{Mailboxes, Said, Stores};
use postern_dispatch::transport::{Attempt, TransportScope};
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::context::{DestinationContext, Fit, MessageContext, Remote};
use postern_events::delivery::{Link, Result as DeliveryResult};
use postern_events::event::EventKind;
use postern_events::outbound;
use postern_events::plan::{BodyDepth, Plan};
use postern_events::question::{Event as _, Question};
use postern_events::ruling::Ruling;
use postern_events::transport::{
    Categorize, Expand, PostCategorize, PreCategorize, Resolve, ResolveAnswer, Route, RouteAnswer,
    Submit,
};
use postern_message::{Draft, Message, RecipientState};
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

    /// Whether any binding is bound to an event of outgoing sessions on this virtual server.
    fn listens_outgoing(&self, _server: &str) -> bool {
        false
    }

    /// Begins with a session for messages of this virtual server. `None`: nobody wants to be asked about it.
    fn begin_outgoing(&self, _server: &str, _remote: Remote) -> Option<Arc<dyn OutgoingCase>> {
        None
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

    /// Tells that a destination went down or came back, as mail of a virtual server has it. Never waits.
    fn link(&self, _server: &str, _link: Link) {}

    /// The plan by whose bindings destinations are asked about: what others said of them holds no more.
    fn plan(&self) -> Weak<Plan> {
        Weak::new()
    }

    /// Asks about `transport.route` of a destination.
    fn route(
        &self,
        _destination: DestinationContext,
        _event: Route,
        _budget: &Budget,
    ) -> BoxFuture<'static, Ruling<RouteAnswer>> {
        Box::pin(std::future::ready(Ruling::proceed(Route::KIND)))
    }

    /// Asks about `transport.resolve` of a destination.
    fn resolve(
        &self,
        _destination: DestinationContext,
        _event: Resolve,
        _budget: &Budget,
    ) -> BoxFuture<'static, Ruling<ResolveAnswer>> {
        Box::pin(std::future::ready(Ruling::proceed(Resolve::KIND)))
    }

    /// Hears what became of an attempt. Must not block.
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

    /// Asks mailbox stores about `transport.local_delivery`.
    fn local_delivery(
        &self,
        _stores: &Stores,
        _mailboxes: Mailboxes,
        _budget: &Budget,
        _attempt: Attempt,
    ) -> BoxFuture<'static, Vec<Said>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    /// Tells what became of an attempt. Never waits.
    fn tell(&self, result: DeliveryResult);
}

/// One outgoing session before the sinks, with one message after the other.
pub trait OutgoingCase: Send + Sync {
    /// Whether any binding has the event.
    fn wants(&self, event: EventKind) -> bool;

    /// The bindings that it began with are those in force.
    fn is_current(&self) -> bool;

    /// More is known of the remote.
    fn meet(&self, remote: Remote);

    /// A message begins.
    fn take(&self, message: MessageContext, fit: Fit);

    /// The message is over.
    fn release(&self);

    /// The remote has accepted the content.
    fn note_accepted(&self);

    /// The message with the edits of applied verdicts; absent between two.
    fn draft(&self) -> Option<Draft>;

    /// Asks about an event of the session. `content`: of the message, where the event shows it.
    fn ask(
        &self,
        question: Question,
        budget: &Budget,
        content: Option<Arc<dyn Content>>,
    ) -> BoxFuture<'static, Ruling>;
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

    fn listens_outgoing(&self, server: &str) -> bool {
        self.plan.load().wants_any(server, &outbound::EVENTS)
    }

    fn begin_outgoing(&self, server: &str, remote: Remote) -> Option<Arc<dyn OutgoingCase>> {
        let begin = || self.dispatcher.begin_outgoing(Arc::from(server), remote);
        let case = self.listens_outgoing(server).then(begin)?;
        Some(Arc::new(case))
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

    fn link(&self, server: &str, link: Link) {
        self.dispatcher.tell_delivery(server, link);
    }

    fn plan(&self) -> Weak<Plan> {
        Arc::downgrade(&self.plan.load())
    }

    fn route(
        &self,
        destination: DestinationContext,
        event: Route,
        budget: &Budget,
    ) -> BoxFuture<'static, Ruling<RouteAnswer>> {
        let ruling = self.dispatcher.ask_destination(destination, event, budget);
        Box::pin(async move { ruling.await.typed() })
    }

    fn resolve(
        &self,
        destination: DestinationContext,
        event: Resolve,
        budget: &Budget,
    ) -> BoxFuture<'static, Ruling<ResolveAnswer>> {
        let ruling = self.dispatcher.ask_destination(destination, event, budget);
        Box::pin(async move { ruling.await.typed() })
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

    fn local_delivery(
        &self,
        stores: &Stores,
        mailboxes: Mailboxes,
        budget: &Budget,
        attempt: Attempt,
    ) -> BoxFuture<'static, Vec<Said>> {
        Box::pin(TransportScope::local_delivery(
            self, stores, mailboxes, budget, attempt,
        ))
    }

    fn tell(&self, result: DeliveryResult) {
        self.tell_delivery_result(result);
    }
}

impl OutgoingCase for OutgoingScope {
    fn wants(&self, event: EventKind) -> bool {
        OutgoingScope::wants(self, event)
    }

    fn is_current(&self) -> bool {
        OutgoingScope::is_current(self)
    }

    fn meet(&self, remote: Remote) {
        OutgoingScope::meet(self, remote);
    }

    fn take(&self, message: MessageContext, fit: Fit) {
        OutgoingScope::take(self, message, fit);
    }

    fn release(&self) {
        OutgoingScope::release(self);
    }

    fn note_accepted(&self) {
        OutgoingScope::note_accepted(self);
    }

    fn draft(&self) -> Option<Draft> {
        OutgoingScope::draft(self)
    }

    fn ask(
        &self,
        question: Question,
        budget: &Budget,
        content: Option<Arc<dyn Content>>,
    ) -> BoxFuture<'static, Ruling> {
        Box::pin(OutgoingScope::ask(self, question, budget, content))
    }
}
