//! One inbound session, as the front end sees the dispatcher.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use postern_events::budget::Budget;
use postern_events::chain::Start;
use postern_events::context::{
    Authentication, Conduct, Context, InboundContext, SessionContext, tenant_of,
};
use postern_events::deferred::Deferred;
use postern_events::event::EventKind;
use postern_events::inbound::{
    Command, Connect, Data, Disconnect, Helo, Mail, Outcome, Rcpt, RcptAnswer, Reset, Response, Tls,
};
use postern_events::order::Orders;
use postern_events::question::{Event, Question};
use postern_events::ruling::{Ruling, Standing};
use postern_message::{Envelope, MessageId, Properties, Recipient, RecipientId};
use postern_proto::v1 as pb;
use postern_smtp::server::Additions;

use crate::exchange::{IncomingMessage, MessageExchange};
use crate::run::{Begin, Gathering, Run};
use crate::scope::Scope;
use crate::shared::Shared;

/// One inbound session. Dropping it closes what is open at the sinks.
///
/// The futures own what they need: they may outlive a borrow of the scope and run side by side. A question is sent when
/// its future is first polled. Dropping a future cancels its questions.
///
/// What was said counts for later events only once it is noted as accepted.
pub struct InboundScope {
    scope: Arc<Scope>,
    deferred: Arc<Mutex<Deferred>>,
    gathering: Arc<Gathering>,
}

impl InboundScope {
    pub(crate) fn begin(shared: &Arc<Shared>, session: SessionContext) -> Self {
        let server = Arc::clone(&session.server);
        let context = Context::from(InboundContext::new(session));
        let scope = Scope::new(pb::Scope::InboundSession, shared, server, context);
        Self {
            scope: Arc::new(scope),
            deferred: Arc::default(),
            gathering: Arc::default(),
        }
    }

    /// Whether any binding of this session's plan has the event. False: asking or telling would do nothing.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        self.scope.plan.wants(&self.scope.server, event)
    }

    /// The verbs and keywords that sinks add to this session's virtual server.
    #[must_use]
    pub fn additions(&self) -> &Additions {
        static NONE: Additions = Additions {
            verbs: Vec::new(),
            keywords: Vec::new(),
        };
        let own = self.scope.plan.additions(&self.scope.server);
        own.map_or(&NONE, AsRef::as_ref)
    }

    /// The session as it is now.
    #[must_use]
    pub fn session(&self) -> Option<SessionContext> {
        self.read(|own| Some(own.session().clone()))
    }

    /// The client may send to any domain.
    #[must_use]
    pub fn may_relay(&self) -> bool {
        self.read(|own| own.session().may_relay)
    }

    /// Whose a message of this session to these recipients is; empty: nobody's.
    #[must_use]
    pub fn tenant_of(&self, recipients: &[Recipient]) -> String {
        self.read(|own| tenant_of(Some(own.session()), recipients).to_owned())
    }

    /// Somebody has proved who the client is, or a sink has said so.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.read(|own| own.session().authentication.is_some())
    }

    /// The client has proved who it is, and may relay, or not. `tenant`: whose it is; empty: nobody's.
    pub fn authenticate(&self, authentication: Authentication, may_relay: bool, tenant: String) {
        self.change(|own| {
            own.authenticate(authentication);
            own.set_relay(may_relay);
            if !tenant.is_empty() {
                own.set_tenant(tenant);
            }
        });
    }

    /// The client has its banner: whether it may relay by now does not come of anything that it said.
    pub fn note_connect(&self) {
        self.change(InboundContext::admitted);
    }

    /// How the client has behaved so far; goes with the next events.
    pub fn note_conduct(&self, conduct: Conduct) {
        self.change(|own| own.note_conduct(conduct));
    }

    /// Asks about any event of the session, as the methods for single events do. [`Ruling::typed`] has the answer.
    pub fn ask<E: Event<Context = InboundContext>>(
        &self,
        event: E,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        let verb = event
            .facts()
            .command
            .map_or_else(Bytes::new, |command| command.verb.clone());
        let begin = Begin {
            budget: Some(self.reserving(budget, E::KIND, &verb)),
            ..Begin::default()
        };
        self.ask_with(event, begin)
    }

    /// `inbound.connect`: asks whether the client may have a banner.
    pub fn connect(&self, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(Connect, budget)
    }

    /// `inbound.command`: asks before anything is done about a command.
    pub fn command(
        &self,
        command: Command,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(command, budget)
    }

    /// Asks one binding alone about an event: it has fired before, and carries on a dialogue or an exchange. Its rule and
    /// condition are not looked at again.
    pub fn ask_only<E: Event<Context = InboundContext>>(
        &self,
        binding: &str,
        event: E,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        let stage = self.scope.stage(E::KIND);
        let stage = stage.and_then(|stage| stage.only(binding));
        let run = stage.map(|stage| {
            let begin = Begin {
                budget: Some(*budget),
                start: Start::At {
                    binding: binding.to_owned(),
                    passed: Vec::new(),
                },
                ..Begin::default()
            };
            let questions = vec![Question::new(event)];
            Run::new(&self.scope, Arc::new(stage), questions, begin)
        });
        async move {
            match run {
                Some(run) => run.ruling(None).await,
                None => Ruling::proceed(E::KIND),
            }
        }
    }

    /// `inbound.helo`: asks about HELO, EHLO or LHLO.
    pub fn helo(&self, helo: Helo, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(helo, budget)
    }

    /// The greeting was accepted.
    pub fn note_helo(&self, helo: postern_events::context::Helo) {
        self.change(|own| own.greet(helo));
    }

    /// `inbound.tls`: asks about a handshake, one that failed included. One that succeeded counts from here on.
    pub fn tls(&self, tls: Tls, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        if tls.0.failure.is_empty() {
            self.change(|own| own.secure(tls.0.clone()));
        }
        self.ask(tls, budget)
    }

    /// `inbound.mail`: asks about a sender. Edits of applied verdicts are in [`InboundScope::envelope`]. Whatever
    /// transaction there was is forgotten.
    pub fn mail(&self, mail: Mail, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.forget_transaction();
        self.change(|own| mail.begin(own));
        self.ask(mail, budget)
    }

    /// MAIL was accepted: the transaction has begun.
    pub fn note_mail(&self) {
        self.change(InboundContext::begun);
    }

    /// `inbound.rcpt`: asks about a recipient. Call it for each of a pipelined group before polling any of the futures:
    /// they are asked about as one group.
    pub fn rcpt(&self, rcpt: Rcpt, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.change(|own| rcpt.propose(own));
        let event = EventKind::InboundRcpt;
        let question = Question::new(rcpt);
        self.scope.tell(&question);
        let place = self
            .rcpt_run(question, budget)
            .map(|run| self.gathering.add(run));
        let (scope, gathering) = (Arc::clone(&self.scope), Arc::clone(&self.gathering));
        let deferred = Arc::clone(&self.deferred);
        async move {
            // A refusal of what waited for RCPT lasts as long as what it refuses.
            let standing = deferred.lock().standing().cloned();
            if let Some(standing) = standing {
                return refused(event, standing);
            }
            gathering.begin(&scope);
            let ruling = match place {
                Some(place) => place.ruling().await,
                None => None,
            };
            let ruling = ruling.unwrap_or_else(|| Ruling::proceed(event));
            deferred.lock().ruled(&ruling);
            ruling
        }
    }

    fn rcpt_run(&self, question: Question, budget: &Budget) -> Option<Run> {
        if self.scope.is_finished() {
            return None;
        }
        let own = self.scope.stage(EventKind::InboundRcpt);
        let joined = self.deferred.lock().at_rcpt(own.as_ref(), &question);
        let (stage, questions) = match joined {
            Some(joined) => (joined.stage, joined.questions),
            None => (own?, vec![question]),
        };
        let begin = Begin {
            budget: Some(self.reserving(budget, EventKind::InboundRcpt, b"RCPT")),
            ..Begin::default()
        };
        Some(Run::new(&self.scope, stage, questions, begin))
    }

    /// What sinks have answered about a recipient counts from here on: its tenant, and where it goes once it is kept.
    pub fn claim(&self, recipient: RecipientId, said: &RcptAnswer) {
        self.change(|own| own.claim(recipient, &said.tenant, said.next_hop.clone()));
    }

    /// RCPT was answered: the recipient is kept, or not.
    pub fn note_rcpt(&self, recipient: RecipientId, kept: bool) {
        self.change(|own| own.decide(recipient, kept));
    }

    /// `inbound.data`: asks about DATA or the first BDAT.
    pub fn data(&self, data: Data, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(data, budget)
    }

    /// `inbound.response`: asks about a reply that is about to be sent. Its answer is the reply to send instead.
    pub fn response(
        &self,
        response: Response,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        // A 2xx to the content says that the message is durable: no failure of a sink may take that back.
        let stands = response.command.verb == "." && response.reply.code().is_positive();
        let begin = Begin {
            budget: Some(*budget),
            reply_stands: stands,
            ..Begin::default()
        };
        self.ask_with(response, begin)
    }

    /// The envelope of the running transaction with the edits of sinks; absent before MAIL.
    #[must_use]
    pub fn envelope(&self) -> Option<Envelope> {
        self.read(|own| {
            let running = own.transaction()?;
            Some(running.working().draft().envelope.clone())
        })
    }

    /// The bindings that failed in the running transaction and were passed over.
    #[must_use]
    pub fn skipped(&self) -> Vec<String> {
        self.read(|own| Some(own.transaction()?.working().skipped.clone()))
            .unwrap_or_default()
    }

    /// The id of the running transaction, begun or proposed by MAIL.
    #[must_use]
    pub fn transaction(&self) -> Option<MessageId> {
        self.read(|own| Some(own.transaction()?.id()))
    }

    /// The accepted recipients of the running transaction, with the edits of sinks.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        self.read(|own| {
            own.transaction().map_or_else(Vec::new, |running| {
                running.working().draft().recipients.clone()
            })
        })
    }

    /// The first accepted recipient of the running transaction that fits.
    #[must_use]
    pub fn find_recipient(&self, fits: impl Fn(&Recipient) -> bool) -> Option<RecipientId> {
        self.read(|own| {
            let accepted = &own.transaction()?.working().draft().recipients;
            accepted.iter().find(|one| fits(one)).map(|one| one.id)
        })
    }

    /// One recipient as it is now, pending or accepted; absent where an edit took it out.
    #[must_use]
    pub fn recipient(&self, id: RecipientId) -> Option<Recipient> {
        self.read(|own| own.transaction()?.recipient(id).cloned())
    }

    /// The session's properties.
    #[must_use]
    pub fn properties(&self) -> Properties {
        self.read(|own| own.session().properties.clone())
    }

    /// What was ordered about the running transaction's message so far, answers about its recipients included.
    #[must_use]
    pub fn orders(&self) -> Orders {
        self.read(|own| {
            own.transaction().map_or_else(Orders::default, |running| {
                running.working().piece().orders.clone()
            })
        })
    }

    /// The running transaction's properties.
    #[must_use]
    pub fn message_properties(&self) -> Properties {
        self.read(|own| {
            own.transaction().map_or_else(Properties::new, |running| {
                running.working().draft().properties.clone()
            })
        })
    }

    /// The header section is complete: asks `inbound.headers` and `inbound.message` while the body arrives.
    #[must_use]
    pub fn message(&self, incoming: IncomingMessage, budget: &Budget) -> MessageExchange {
        MessageExchange::begin(&self.scope, incoming, budget)
    }

    /// `inbound.reset`: the client gave the transaction up. Its outcome is told next.
    pub fn tell_reset(&self, reset: Reset) {
        self.scope.tell(&Question::new(reset));
    }

    /// `inbound.outcome`: what became of the transaction. Also forgets it.
    pub fn tell_outcome(&self, outcome: Outcome) {
        self.scope.tell(&Question::new(outcome));
        self.forget_transaction();
    }

    /// `inbound.disconnect`: the session is over.
    pub fn tell_disconnect(&self, end: Disconnect) {
        self.scope.tell(&Question::new(end));
    }

    fn forget_transaction(&self) {
        self.deferred.lock().transaction_ended();
        self.scope.transaction_ended();
    }

    fn ask_with<E: Event>(
        &self,
        event: E,
        begin: Begin,
    ) -> impl Future<Output = Ruling> + Send + use<E> {
        let question = Question::new(event);
        let kind = question.kind();
        self.scope.tell(&question);
        self.deferred
            .lock()
            .happened(&self.scope.plan, &self.scope.server, &question);
        let skipped = kind == EventKind::InboundData && self.scope.is_finished();
        let run = self.scope.stage(kind).filter(|_| !skipped).map(|stage| {
            // What waits for RCPT at those who are asked now comes in front.
            let joined = self.deferred.lock().in_front_of(&stage, &question);
            let (stage, questions) = match joined {
                Some(joined) => (joined.stage, joined.questions),
                None => (stage, vec![question]),
            };
            Run::new(&self.scope, stage, questions, begin)
        });
        let deferred = Arc::clone(&self.deferred);
        async move {
            let Some(run) = run else {
                return Ruling::proceed(kind);
            };
            let ruling = run.ruling(None).await;
            deferred.lock().ruled(&ruling);
            ruling
        }
    }

    /// The budget of a reply at one of its events: the chains of later ones have their part. `verb`: of the command, at
    /// `inbound.command`.
    #[must_use]
    pub fn reserving(&self, budget: &Budget, event: EventKind, verb: &[u8]) -> Budget {
        let implicit_tls = self.read(|own| own.session().client.implicit_tls);
        let plan = &self.scope.plan;
        budget.reserving(plan.reserve(&self.scope.server, event, verb, implicit_tls))
    }

    fn read<T>(&self, read: impl FnOnce(&InboundContext) -> T) -> T
    where
        T: Default,
    {
        match &self.scope.state().context {
            Context::Inbound(own) => read(own),
            _ => T::default(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut InboundContext)) {
        if let Context::Inbound(own) = &mut self.scope.state().context {
            change(own);
        }
    }
}

/// The reply to a RCPT while something before it stands refused.
fn refused(event: EventKind, standing: Standing) -> Ruling {
    Ruling {
        decision: standing.decision.clone(),
        by: Some(standing.by.clone()),
        reason_code: standing.reason_code.clone(),
        ..Ruling::proceed(event)
    }
}
