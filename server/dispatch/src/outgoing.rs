//! One outgoing session, as the transport core sees the dispatcher.

use std::future::Future;
use std::sync::Arc;

use postern_events::budget::Budget;
use postern_events::context::{Context, Fit, MessageContext, OutgoingContext, Remote};
use postern_events::event::EventKind;
use postern_events::question::Question;
use postern_events::ruling::Ruling;
use postern_message::Draft;
use postern_proto::v1 as pb;

use crate::content::Content;
use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::shared::Shared;

/// One outgoing session, with the messages of one virtual server, one after the other. Dropping it closes what is open at
/// the sinks.
pub struct OutgoingScope {
    shared: Arc<Shared>,
    scope: Arc<Scope>,
}

impl OutgoingScope {
    pub(crate) fn begin(shared: &Arc<Shared>, server: Arc<str>, remote: Remote) -> Self {
        let context = OutgoingContext::new(Arc::clone(&server), remote);
        let context = Context::from(context);
        let scope = Scope::new(pb::Scope::OutboundSession, shared, server, context);
        Self {
            shared: Arc::clone(shared),
            scope: Arc::new(scope),
        }
    }

    /// Whether any binding of this session's plan has the event.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        self.scope.plan.wants(&self.scope.server, event)
    }

    /// The plan that it began with is still the one in force.
    #[must_use]
    pub fn is_current(&self) -> bool {
        Arc::ptr_eq(&self.scope.plan, &self.shared.plan.load())
    }

    /// More is known of the remote.
    pub fn meet(&self, remote: Remote) {
        self.change(|own| own.remote = remote);
    }

    /// A message begins. Edits of its content have to fit the remote.
    pub fn take(&self, message: MessageContext, fit: Fit) {
        self.change(|own| own.take_fitting(message, fit));
    }

    /// The message is over.
    pub fn release(&self) {
        self.change(OutgoingContext::release);
    }

    /// The remote has accepted the content: no verdict and no failure of a sink makes the attempt fail any more.
    pub fn note_accepted(&self) {
        self.change(|own| own.accepted = true);
    }

    /// The message with the edits of applied verdicts; absent between two.
    #[must_use]
    pub fn draft(&self) -> Option<Draft> {
        let state = self.scope.state();
        let working = state.context.working()?;
        Some(working.draft().clone())
    }

    /// Asks about an event of the session. [`Ruling::typed`] has the answer. `content`: of the message, where the event
    /// shows it.
    pub fn ask(
        &self,
        question: Question,
        budget: &Budget,
        content: Option<Arc<dyn Content>>,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        let event = question.kind();
        self.scope.tell(&question);
        let begin = Begin {
            budget: Some(*budget),
            content,
            reply_stands: self.is_accepted(),
            ..Begin::default()
        };
        let stage = self.scope.stage(event);
        let run = stage.map(|stage| Run::new(&self.scope, stage, vec![question], begin));
        async move {
            match run {
                Some(run) => run.ruling(None).await,
                None => Ruling::proceed(event),
            }
        }
    }

    fn is_accepted(&self) -> bool {
        match &self.scope.state().context {
            Context::Outgoing(own) => own.accepted,
            _ => false,
        }
    }

    fn change(&self, change: impl FnOnce(&mut OutgoingContext)) {
        if let Context::Outgoing(own) = &mut self.scope.state().context {
            change(own);
        }
    }
}
