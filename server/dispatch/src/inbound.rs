//! One inbound session, as the front end sees the dispatcher.

use std::future::Future;
use std::sync::Arc;

use postern_message::{Envelope, Properties, Recipient, RecipientId};
use postern_proto::v1 as pb;

use crate::budget::Budget;
use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::exchange::{IncomingMessage, MessageExchange};
use crate::facts::Facts;
use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::session::{
    CommandLine, Conduct, HeloFacts, MailFacts, Outcome, RcptFacts, ResetReason, ResponseFacts,
    SessionContext, SessionEnd, TlsInfo,
};
use crate::verdict::Ruling;
use crate::wire::Happening;

/// One inbound session. Dropping it closes what is open at the sinks.
///
/// The futures own what they need: they may outlive a borrow of the scope and run side by side. A question is
/// sent when its future is first polled. Dropping a future cancels its questions.
///
/// What was said counts for later events only once it is noted as accepted.
pub struct InboundScope {
    scope: Arc<Scope>,
}

impl InboundScope {
    pub(crate) fn begin(shared: &Arc<Shared>, server: &str, session: SessionContext) -> Self {
        let scope = Scope::new(
            pb::Scope::InboundSession,
            shared,
            server,
            Facts::of_session(session),
        );
        Self {
            scope: Arc::new(scope),
        }
    }

    /// Whether any binding of this session's plan is bound to the event. False: asking would do nothing.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        self.scope.plan.wants(&self.scope.server, event)
    }

    /// How the client has behaved so far; goes with the next events.
    pub fn note_conduct(&self, conduct: Conduct) {
        self.scope.facts.lock().behave(conduct);
    }

    /// `inbound.connect`: asks whether the client may have a banner.
    pub fn connect(&self, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(Happening::Connect, budget, false)
    }

    /// `inbound.command`: asks before anything is done about a command.
    pub fn command(
        &self,
        command: CommandLine,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(Happening::Command(command), budget, false)
    }

    /// `inbound.helo`: asks about HELO, EHLO or LHLO.
    pub fn helo(
        &self,
        helo: HeloFacts,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(Happening::Helo(helo), budget, false)
    }

    /// The greeting was accepted.
    pub fn note_helo(&self, helo: HeloFacts) {
        self.scope.facts.lock().greet(helo);
    }

    /// `inbound.tls`: asks about a handshake, one that failed included. One that succeeded counts from here on.
    pub fn tls(
        &self,
        tls: TlsInfo,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        if tls.failure.is_empty() {
            self.scope.facts.lock().secure(tls.clone());
        }
        self.ask(Happening::Tls(tls), budget, false)
    }

    /// `inbound.mail`: asks about a sender. Edits of applied verdicts are in [`InboundScope::envelope`]. Whatever
    /// transaction there was is forgotten.
    pub fn mail(
        &self,
        mail: MailFacts,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.scope.facts.lock().begin(&mail);
        self.ask(Happening::Mail(mail), budget, false)
    }

    /// MAIL was accepted: the transaction has begun.
    pub fn note_mail(&self) {
        self.scope.facts.lock().begun();
    }

    /// `inbound.rcpt`: asks about a recipient. Call it for each of a pipelined group before polling any of the
    /// futures, so that each sees the others as pending.
    pub fn rcpt(
        &self,
        rcpt: RcptFacts,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.scope.facts.lock().propose(&rcpt);
        self.ask(Happening::Rcpt(rcpt), budget, false)
    }

    /// RCPT was answered, with 2xx or not.
    pub fn note_rcpt(&self, recipient: RecipientId, accepted: bool) {
        self.scope.facts.lock().decide(recipient, accepted);
    }

    /// `inbound.data`: asks about DATA or the first BDAT.
    pub fn data(
        &self,
        command: CommandLine,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        self.ask(Happening::Data(command), budget, false)
    }

    /// `inbound.response`: asks about a reply that is about to be sent. The ruling's decision is `Respond` with
    /// the reply to send instead, or `Proceed`.
    pub fn response(
        &self,
        response: ResponseFacts,
        budget: &Budget,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        // A 2xx to the content says that the message is durable: no failure of a sink may take that back.
        let stands = response.verb == "." && response.reply.code().is_positive();
        self.ask(Happening::Response(response), budget, stands)
    }

    /// The envelope of the running transaction with the edits of sinks; absent before MAIL.
    #[must_use]
    pub fn envelope(&self) -> Option<Envelope> {
        let facts = self.scope.facts.lock();
        facts.message_id().map(|_| facts.draft.envelope.clone())
    }

    /// The accepted recipients of the running transaction, with the edits of sinks.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        self.scope.facts.lock().accepted().cloned().collect()
    }

    /// One recipient as it is now, pending or accepted; absent where an edit took it out.
    #[must_use]
    pub fn recipient(&self, id: RecipientId) -> Option<Recipient> {
        self.scope.facts.lock().recipient(id).cloned()
    }

    /// The session as far as it has come.
    #[must_use]
    pub fn session(&self) -> Option<SessionContext> {
        self.scope.facts.lock().session.clone()
    }

    /// The session's properties.
    #[must_use]
    pub fn properties(&self) -> Properties {
        self.scope.facts.lock().draft.session_properties.clone()
    }

    /// The running transaction's properties.
    #[must_use]
    pub fn message_properties(&self) -> Properties {
        self.scope.facts.lock().draft.properties.clone()
    }

    /// The header section is complete: asks `inbound.headers` and `inbound.message` while the body arrives.
    #[must_use]
    pub fn message(&self, incoming: IncomingMessage, budget: &Budget) -> MessageExchange {
        MessageExchange::begin(&self.scope, incoming, budget)
    }

    /// `inbound.reset`: the transaction was given up. Also forgets it.
    pub fn tell_reset(&self, reason: ResetReason) {
        let message = self.scope.facts.lock().message_id();
        self.scope.tell(Happening::Reset(message, reason));
        self.scope.facts.lock().forget_transaction();
    }

    /// `inbound.outcome`: what became of the transaction. Also forgets it.
    pub fn tell_outcome(&self, outcome: Outcome) {
        let message = self.scope.facts.lock().message_id();
        if let Some(message) = message {
            self.scope.tell(Happening::Outcome(message, outcome));
        }
        self.scope.facts.lock().forget_transaction();
    }

    /// `inbound.disconnect`: the session is over.
    pub fn tell_disconnect(&self, end: SessionEnd) {
        self.scope.tell(Happening::Disconnect(end));
    }

    fn ask(
        &self,
        happening: Happening,
        budget: &Budget,
        stands: bool,
    ) -> impl Future<Output = Ruling> + Send + use<> {
        let event = happening.event();
        let begin = Begin {
            budget: Some(*budget),
            reply_stands: stands,
            ..Begin::default()
        };
        let run = Run::begin(&self.scope, Arc::new(happening), begin);
        async move {
            match run {
                Some(run) => run.ruling(None).await,
                None => Ruling::proceed(event),
            }
        }
    }
}
