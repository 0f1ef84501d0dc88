//! One session, one message in transport: the plan that it began with, what is known of it, and its bindings' places.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use postern_events::context::{Context, TransactionContext};
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_events::judge;
use postern_events::picture::Encodings;
use postern_events::plan::{Binding, Plan, Stage, limits};
use postern_events::question::Question;
use postern_message::{MessageId, SessionId};
use postern_proto::v1 as pb;

use crate::attachment::{Attachment, Subject, Unasked};
use crate::observer::{Observer, Record, What};
use crate::shared::Shared;
use crate::sink::{self, Command, Tell};

/// One scope of instances. Dropping it closes what is open.
pub(crate) struct Scope {
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) server: Arc<str>,
    subject: Subject,
    state: Mutex<State>,
}

/// What the futures of one scope share. They run on one thread; nothing else takes this lock.
pub(crate) struct State {
    pub(crate) context: Context,
    pub(crate) encodings: Encodings,
    attachments: Vec<Attachment>,
}

/// Whom a record is about.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    session: Option<SessionId>,
    message: Option<MessageId>,
}

impl Scope {
    /// Begins a scope with the plan that is in force now.
    pub(crate) fn new(
        scope: pb::Scope,
        shared: &Arc<Shared>,
        server: Arc<str>,
        context: Context,
    ) -> Self {
        let plan = shared.plan.load_full();
        Self::with_plan(scope, shared, plan, server, context)
    }

    /// Begins a scope with this plan.
    pub(crate) fn with_plan(
        scope: pb::Scope,
        shared: &Arc<Shared>,
        plan: Arc<Plan>,
        server: Arc<str>,
        context: Context,
    ) -> Self {
        let session = context.session_id();
        let message = context.message_id();
        let in_transport = scope == pb::Scope::Transport;
        let (name, trace) = match (session, message) {
            _ if scope == pb::Scope::OutboundSession => {
                let own = SessionId::new();
                (format!("outgoing session {own}"), Some(*own.as_bytes()))
            }
            (_, Some(message)) if in_transport => {
                (format!("message {message}"), Some(*message.as_bytes()))
            }
            (Some(session), _) => (format!("session {session}"), Some(*session.as_bytes())),
            (None, Some(message)) => (format!("message {message}"), Some(*message.as_bytes())),
            (None, None) => match &context {
                Context::Destination(own) => (format!("destination {}", own.domain), None),
                _ => ("the gateway".to_owned(), None),
            },
        };
        Self {
            shared: Arc::clone(shared),
            plan,
            server,
            subject: Subject {
                scope,
                name: Arc::from(name),
                trace,
            },
            state: Mutex::new(State {
                context,
                encodings: Encodings::default(),
                attachments: Vec::new(),
            }),
        }
    }

    /// Who is asked at an event.
    pub(crate) fn stage(&self, event: EventKind) -> Option<Arc<Stage>> {
        self.plan.stage(&self.server, event).cloned()
    }

    /// A binding has finished the message's inbound events.
    pub(crate) fn is_finished(&self) -> bool {
        match &self.state().context {
            Context::Inbound(own) => own
                .transaction()
                .is_some_and(TransactionContext::is_finished),
            _ => false,
        }
    }

    /// Nobody later is asked about this message's remaining inbound events.
    pub(crate) fn finish_message(&self) {
        if let Context::Inbound(own) = &mut self.state().context {
            own.finish_message();
        }
    }

    /// The transaction is over: what waits of it to be told is not told any more.
    pub(crate) fn transaction_ended(&self) {
        let mut state = self.state();
        for attachment in &mut state.attachments {
            attachment.transaction_ended();
        }
        if let Context::Inbound(own) = &mut state.context {
            own.end_transaction();
        }
    }

    /// The message that is received or in transport.
    pub(crate) fn message_id(&self) -> Option<MessageId> {
        self.state().context.message_id()
    }

    /// What names the session or message in replies.
    pub(crate) fn reference(&self) -> String {
        let ids = self.state().ids();
        match (ids.message, ids.session) {
            (Some(message), _) => message.to_string(),
            (None, Some(session)) => session.to_string(),
            (None, None) => self.subject.name.to_string(),
        }
    }

    /// The whole content is there.
    pub(crate) fn close_content(&self, size_bytes: u64) {
        if let Some(working) = self.state().context.working_mut() {
            working.close_content(size_bytes);
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The place of a binding, with what is known.
    pub(crate) fn attachment<'a>(
        &self,
        state: &'a mut State,
        binding: &Arc<Binding>,
    ) -> (&'a mut Attachment, &'a Context, &'a mut Encodings) {
        let place = state
            .attachments
            .iter()
            .position(|own| Arc::ptr_eq(own.binding(), binding))
            .unwrap_or_else(|| {
                let wire = self.shared.wire(binding);
                let limits = Arc::new(limits(&self.plan.limits(&self.server)));
                let sink = self.shared.sink(&binding.sink);
                let made = Attachment::new(Arc::clone(binding), wire, limits, sink);
                state.attachments.push(made);
                state.attachments.len() - 1
            });
        let State {
            context,
            encodings,
            attachments,
        } = state;
        #[expect(clippy::indexing_slicing, reason = "the place was found or made above")]
        (&mut attachments[place], context, encodings)
    }

    /// Tells everybody who is told of an event: of a one-way event at once, of others with the next question. Never
    /// waits.
    pub(crate) fn tell(&self, question: &Question) {
        let event = question.kind();
        for binding in self.plan.told(&self.server, event) {
            self.tell_one(binding, question);
        }
        // Who is bound to a one-way event is told of it, in the order in which others are asked.
        let bound = self.stage(event).filter(|_| event.is_one_way());
        for member in bound.iter().flat_map(|stage| &stage.members) {
            self.tell_one(&member.binding, question);
        }
    }

    /// Tells one binding of an event, if it fires there.
    pub(crate) fn tell_one(&self, binding: &Arc<Binding>, question: &Question) {
        let mut state = self.state();
        match judge::fires(binding, &state.context, question) {
            Ok(true) => {}
            Ok(false) => return,
            Err(fault) => {
                drop(state);
                return self.observe_failure(question, binding, &fault);
            }
        }
        let (attachment, context, encodings) = self.attachment(&mut state, binding);
        if !question.kind().is_one_way() {
            // Told, not asked: it travels with the next question.
            return attachment.wait(question);
        }
        let prepared = attachment.prepare_news(question, context, &self.subject, encodings);
        let sink = Arc::clone(attachment.sink());
        drop(state);
        let (prepared, news) = match prepared {
            Ok(prepared) => prepared,
            Err(Unasked::Declined) => return,
            Err(Unasked::Fault(fault)) => {
                return self.observe_failure(question, binding, &fault);
            }
        };
        let reporter = Reporter {
            observer: Arc::clone(&self.shared.observer),
            server: Arc::clone(&self.server),
            ids: self.state().ids(),
            event: question.kind(),
            detail: question.event().detail().into_owned(),
            binding: Arc::clone(binding),
        };
        let tell = Tell {
            attached: prepared.attached,
            begin: prepared.begin,
            told: prepared.told,
            news,
            report: Box::new(move |told| reporter.report(&told)),
        };
        if let Err(fault) = sink.send(Command::Tell(Box::new(tell))) {
            self.observe_failure(question, binding, &fault);
        }
    }

    /// Whether anybody reads the records of an event.
    pub(crate) fn listens(&self, event: EventKind) -> bool {
        self.shared.observer.listens(event)
    }

    fn observe_failure(&self, question: &Question, binding: &Binding, fault: &Fault) {
        let elapsed = Duration::ZERO;
        self.observe(question, Some(binding), "", What::Failed { elapsed, fault });
    }

    /// Reports what happened. Failures are always reported.
    pub(crate) fn observe(
        &self,
        question: &Question,
        binding: Option<&Binding>,
        replica: &str,
        what: What<'_>,
    ) {
        let event = question.kind();
        if !self.listens(event) && !matches!(what, What::Failed { .. }) {
            return;
        }
        let ids = self.state().ids();
        self.shared.observer.observe(&Record {
            server: &self.server,
            session: ids.session,
            message: ids.message,
            event: Some(event),
            detail: &question.event().detail(),
            binding: binding.map_or("", |binding| &binding.name),
            sink: binding.map_or("", |binding| &binding.sink.name),
            replica,
            what,
        });
    }
}

impl State {
    fn ids(&self) -> Ids {
        Ids {
            session: self.context.session_id(),
            message: self.context.message_id(),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let State {
            context,
            encodings,
            attachments,
        } = self.state.get_mut();
        for attachment in attachments {
            attachment.close(context, &self.subject, encodings);
        }
    }
}

/// Reports what became of one event that was told, when its scope may be over.
struct Reporter {
    observer: Arc<dyn Observer>,
    server: Arc<str>,
    ids: Ids,
    event: EventKind,
    detail: String,
    binding: Arc<Binding>,
}

impl Reporter {
    fn report(&self, told: &sink::Told<'_>) {
        match told {
            sink::Told::Sent { replica, lost } => {
                if *lost > 0 {
                    self.observe(replica, What::Dropped { count: *lost });
                }
                self.observe(replica, What::Told);
            }
            sink::Told::Declined => {}
            sink::Told::Failed(fault) => {
                let elapsed = Duration::ZERO;
                self.observe("", What::Failed { elapsed, fault });
            }
        }
    }

    fn observe(&self, replica: &str, what: What<'_>) {
        if !self.observer.listens(self.event) && !matches!(what, What::Failed { .. }) {
            return;
        }
        self.observer.observe(&Record {
            server: &self.server,
            session: self.ids.session,
            message: self.ids.message,
            event: Some(self.event),
            detail: &self.detail,
            binding: &self.binding.name,
            sink: &self.binding.sink.name,
            replica,
            what,
        });
    }
}
