//! One inbound session, as the front end sees the dispatcher.

use std::future::Future;
use std::sync::Arc;

use postern_message::{Envelope, Properties, Recipient, RecipientId};

use crate::budget::Budget;
use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::exchange::{IncomingMessage, MessageExchange};
use crate::session::{
    CommandLine, Conduct, HeloFacts, MailFacts, Outcome, RcptFacts, ResetReason, ResponseFacts, SessionEnd,
    SessionInfo, TlsInfo,
};
use crate::verdict::Ruling;

/// One inbound session. Dropping it closes what is open at the sinks.
///
/// The futures own what they need: they may outlive a borrow of the scope and run side by side. A question is
/// sent when its future is first polled. Dropping a future cancels its questions.
///
/// What was said counts for later events only once it is noted as accepted.
pub struct InboundScope {
    shared: Arc<Shared>,
}

impl InboundScope {
    pub(crate) fn begin(shared: Arc<Shared>, server: &str, info: SessionInfo) -> Self {
        let _ = (server, info);
        Self { shared }
    }

    /// Whether any binding of this session's plan is bound to the event. False: asking would do nothing.
    #[must_use]
    pub fn wants(&self, event: EventKind) -> bool {
        let _ = event;
        todo!()
    }

    /// How the client has behaved so far; goes with the next events.
    pub fn note_conduct(&self, conduct: Conduct) {
        let _ = conduct;
    }

    /// `inbound.connect`: asks whether the client may have a banner.
    pub fn connect(&self, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = budget;
        async { todo!() }
    }

    /// `inbound.command`: asks before anything is done about a command.
    pub fn command(&self, command: CommandLine, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (command, budget);
        async { todo!() }
    }

    /// `inbound.helo`: asks about HELO, EHLO or LHLO.
    pub fn helo(&self, helo: HeloFacts, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (helo, budget);
        async { todo!() }
    }

    /// The greeting was accepted.
    pub fn note_helo(&self, helo: HeloFacts) {
        let _ = helo;
    }

    /// `inbound.tls`: asks about a handshake, one that failed included. One that succeeded is noted by this.
    pub fn tls(&self, tls: TlsInfo, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (tls, budget);
        async { todo!() }
    }

    /// `inbound.mail`: asks about a sender. Edits of applied verdicts are in [`InboundScope::envelope`].
    pub fn mail(&self, mail: MailFacts, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (mail, budget);
        async { todo!() }
    }

    /// MAIL was accepted: the transaction has begun.
    pub fn note_mail(&self) {}

    /// `inbound.rcpt`: asks about a recipient. Call it for each of a pipelined group before polling any of the
    /// futures, so that each sees the others as pending.
    pub fn rcpt(&self, rcpt: RcptFacts, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (rcpt, budget);
        async { todo!() }
    }

    /// RCPT was answered, with 2xx or not.
    pub fn note_rcpt(&self, recipient: RecipientId, accepted: bool) {
        let _ = (recipient, accepted);
    }

    /// `inbound.data`: asks about DATA or the first BDAT.
    pub fn data(&self, command: CommandLine, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (command, budget);
        async { todo!() }
    }

    /// `inbound.response`: asks about a reply that is about to be sent. The ruling's decision is `Respond` with
    /// the reply to send instead, or `Proceed`.
    pub fn response(&self, response: ResponseFacts, budget: &Budget) -> impl Future<Output = Ruling> + Send + use<> {
        let _ = (response, budget);
        async { todo!() }
    }

    /// The envelope of the running transaction with the edits of sinks; absent before MAIL.
    #[must_use]
    pub fn envelope(&self) -> Option<Envelope> {
        todo!()
    }

    /// The accepted recipients of the running transaction, with the edits of sinks.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        todo!()
    }

    /// The session's properties.
    #[must_use]
    pub fn properties(&self) -> Properties {
        todo!()
    }

    /// The header section is complete: asks `inbound.headers` and `inbound.message` while the body arrives.
    #[must_use]
    pub fn message(&self, incoming: IncomingMessage, budget: &Budget) -> MessageExchange {
        let _ = (incoming, budget, &self.shared);
        todo!()
    }

    /// `inbound.reset`: the transaction was given up. Also forgets it.
    pub fn tell_reset(&self, reason: ResetReason) {
        let _ = reason;
    }

    /// `inbound.outcome`: what became of the transaction. Also forgets it.
    pub fn tell_outcome(&self, outcome: Outcome) {
        let _ = outcome;
    }

    /// `inbound.disconnect`: the session is over.
    pub fn tell_disconnect(&self, end: SessionEnd) {
        let _ = end;
    }
}
