//! What is known of a session or message, as its bindings see it.
//!
//! Every change moves a clock. An instance that saw everything up to one tick is told what came after it.

mod edits;

use std::collections::HashMap;
use std::sync::Arc;

use postern_message::{
    Draft, Envelope, Message, MessageId, Properties, Recipient, RecipientId, SessionContext,
    SessionId, Version,
};
use postern_smtp::address::ReversePath;

use crate::session::{Conduct, Greeting, HeloFacts, MailFacts, RawParameter, RcptFacts, TlsInfo};
use crate::wire::Happening;

/// Namespace and key under which bindings that failed and were passed over are recorded.
const SKIPPED: (&str, &str) = ("postern", "skipped");

/// Namespace and key under which an event is recorded at which the message was put off, and who had been asked.
const PASSED: (&str, &str) = ("postern", "passed");

/// All that is known.
pub(crate) struct Facts {
    clock: u64,
    session_changed: u64,
    transaction_changed: u64,
    recipient_changed: HashMap<RecipientId, u64>,
    removed: Vec<(u64, Recipient)>,
    /// The session as it is; in transport as it stood when the message was committed.
    pub(crate) session: Option<SessionContext>,
    /// The message in transport.
    pub(crate) message: Option<Arc<Message>>,
    /// Envelope, recipients, properties, content: what edits act on.
    pub(crate) draft: Draft,
    transaction: Option<Transaction>,
    transactions: u32,
}

/// The running transaction.
struct Transaction {
    id: MessageId,
    /// MAIL was accepted.
    begun: bool,
    /// No more of its events are asked.
    finished: bool,
    parameters: Vec<RawParameter>,
    rcpt_parameters: HashMap<RecipientId, Vec<RawParameter>>,
    pending: Vec<RecipientId>,
    history: Vec<Arc<Happening>>,
}

impl Facts {
    /// The facts of a session that has just begun.
    pub(crate) fn of_session(session: SessionContext) -> Self {
        Self {
            session: Some(session),
            ..Self::nothing()
        }
    }

    /// The facts of a message in transport.
    pub(crate) fn of_message(message: Arc<Message>) -> Self {
        let draft = draft_of(&message);
        Self {
            session: message.session.clone(),
            message: Some(message),
            draft,
            ..Self::nothing()
        }
    }

    /// The facts of a message that was held on its way in: its session is there as it stood at the commit.
    pub(crate) fn of_held(message: &Message) -> Self {
        let transaction = Transaction {
            id: message.id,
            begun: true,
            finished: false,
            parameters: Vec::new(),
            rcpt_parameters: HashMap::new(),
            pending: Vec::new(),
            history: Vec::new(),
        };
        Self {
            session: message.session.clone(),
            transaction: Some(transaction),
            transactions: 1,
            draft: draft_of(message),
            ..Self::nothing()
        }
    }

    /// No facts yet.
    pub(crate) fn nothing() -> Self {
        Self {
            clock: 1,
            session_changed: 1,
            transaction_changed: 1,
            recipient_changed: HashMap::new(),
            removed: Vec::new(),
            session: None,
            message: None,
            draft: empty_draft(Properties::new()),
            transaction: None,
            transactions: 0,
        }
    }

    /// Now, by the clock of changes.
    pub(crate) fn clock(&self) -> u64 {
        self.clock
    }

    /// Greeting, TLS or properties have changed since `seen`.
    pub(crate) fn session_changed_since(&self, seen: u64) -> bool {
        self.session.is_some() && self.session_changed > seen
    }

    /// The transaction that began, with what was declared in it.
    pub(crate) fn transaction(&self) -> Option<(MessageId, u32, &[RawParameter])> {
        let running = self.transaction.as_ref().filter(|running| running.begun)?;
        Some((running.id, self.transactions, &running.parameters))
    }

    /// Envelope or properties of the transaction have changed since `seen`.
    pub(crate) fn transaction_changed_since(&self, seen: u64) -> bool {
        self.transaction_changed > seen
    }

    /// The id of the message that is being received or is in transport.
    pub(crate) fn message_id(&self) -> Option<MessageId> {
        match (&self.transaction, &self.message) {
            (Some(running), _) => Some(running.id),
            (None, Some(message)) => Some(message.id),
            (None, None) => None,
        }
    }

    /// The id of the session.
    pub(crate) fn session_id(&self) -> Option<SessionId> {
        self.session.as_ref().map(|session| session.id)
    }

    /// The id that names the trace: the session's, in transport the message's.
    pub(crate) fn trace_id(&self) -> Option<[u8; 16]> {
        match (&self.message, &self.session) {
            (Some(message), _) => Some(*message.id.as_bytes()),
            (None, Some(session)) => Some(*session.id.as_bytes()),
            (None, None) => None,
        }
    }

    /// The version of the content as it is now.
    pub(crate) fn version(&self) -> Option<&Version> {
        self.draft.version.as_ref()
    }

    /// The envelope that MAIL asks about, with the edits so far.
    pub(crate) fn envelope_of<'a>(&'a self, mail: &'a MailFacts) -> &'a Envelope {
        match &self.transaction {
            Some(running) if running.id == mail.message_id => &self.draft.envelope,
            _ => &mail.envelope,
        }
    }

    /// A recipient, pending or accepted.
    pub(crate) fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        self.draft
            .recipients
            .iter()
            .find(|recipient| recipient.id == id)
    }

    /// The recipients that are being asked about.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &Recipient> {
        let pending: &[RecipientId] = self
            .transaction
            .as_ref()
            .map_or(&[], |running| &running.pending);
        pending.iter().filter_map(|id| self.recipient(*id))
    }

    /// The accepted recipients.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = &Recipient> {
        let pending: &[RecipientId] = self
            .transaction
            .as_ref()
            .map_or(&[], |running| &running.pending);
        self.draft
            .recipients
            .iter()
            .filter(move |recipient| !pending.contains(&recipient.id))
    }

    /// The accepted recipients that are new or have changed since `seen`.
    pub(crate) fn changed_recipients(&self, seen: u64) -> impl Iterator<Item = &Recipient> {
        self.accepted().filter(move |one| {
            self.recipient_changed
                .get(&one.id)
                .is_none_or(|at| *at > seen)
        })
    }

    /// The recipients that were taken out since `seen`.
    pub(crate) fn removed_recipients(&self, seen: u64) -> impl Iterator<Item = &Recipient> {
        self.removed
            .iter()
            .filter(move |(at, _)| *at > seen)
            .map(|(_, recipient)| recipient)
    }

    /// The raw parameters of a recipient's RCPT.
    pub(crate) fn parameters_of(&self, id: RecipientId) -> &[RawParameter] {
        self.transaction
            .as_ref()
            .and_then(|running| running.rcpt_parameters.get(&id))
            .map_or(&[], Vec::as_slice)
    }

    /// What happened in the running transaction so far.
    pub(crate) fn history(&self) -> &[Arc<Happening>] {
        self.transaction
            .as_ref()
            .map_or(&[], |running| &running.history)
    }

    /// The greeting was accepted.
    pub(crate) fn greet(&mut self, helo: HeloFacts) {
        if let Some(session) = &mut self.session {
            session.greeting = Some(Greeting {
                verb: helo.command.verb,
                name: helo.name,
            });
        }
        self.session_changed = self.tick();
    }

    /// TLS is in use from here on; what was said before it counts no more.
    pub(crate) fn secure(&mut self, tls: TlsInfo) {
        if let Some(session) = &mut self.session {
            session.tls = Some(tls);
            session.greeting = None;
        }
        self.session_changed = self.tick();
    }

    /// How the client has behaved so far.
    pub(crate) fn behave(&mut self, conduct: Conduct) {
        if let Some(session) = &mut self.session {
            session.conduct = conduct;
        }
    }

    /// MAIL is asked about.
    pub(crate) fn begin(&mut self, mail: &MailFacts) {
        self.forget_transaction();
        self.draft.envelope = mail.envelope.clone();
        self.transaction = Some(Transaction {
            id: mail.message_id,
            begun: false,
            finished: false,
            parameters: mail.parameters.clone(),
            rcpt_parameters: HashMap::new(),
            pending: Vec::new(),
            history: Vec::new(),
        });
    }

    /// MAIL was accepted.
    pub(crate) fn begun(&mut self) {
        self.transactions += 1;
        self.transaction_changed = self.tick();
        if let Some(running) = &mut self.transaction {
            running.begun = true;
        }
    }

    /// RCPT is asked about.
    pub(crate) fn propose(&mut self, rcpt: &RcptFacts) {
        self.draft.recipients.push(rcpt.recipient.clone());
        if let Some(running) = &mut self.transaction {
            running.pending.push(rcpt.recipient.id);
            if !rcpt.parameters.is_empty() {
                running
                    .rcpt_parameters
                    .insert(rcpt.recipient.id, rcpt.parameters.clone());
            }
        }
    }

    /// RCPT was answered.
    pub(crate) fn decide(&mut self, id: RecipientId, accepted: bool) {
        let now = self.tick();
        if let Some(running) = &mut self.transaction {
            running.pending.retain(|pending| *pending != id);
        }
        if accepted {
            self.recipient_changed.insert(id, now);
        } else {
            self.draft.recipients.retain(|recipient| recipient.id != id);
        }
    }

    /// The header section is complete.
    pub(crate) fn content(&mut self, version: Version) {
        self.draft.version = Some(version);
        self.tick();
    }

    /// The whole content is there.
    pub(crate) fn close_content(&mut self, size_bytes: u64) {
        if let Some(version) = self.draft.version.take() {
            self.draft.version = Some(if version.is_open() {
                version.close(size_bytes)
            } else {
                version
            });
        }
    }

    /// Nobody later is asked about this message's remaining inbound events.
    pub(crate) fn finish_message(&mut self) {
        if let Some(running) = &mut self.transaction {
            running.finished = true;
        }
    }

    /// Somebody has finished the message's inbound events.
    pub(crate) fn is_finished(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|running| running.finished)
    }

    /// Remembers an event for replay, up to a number.
    pub(crate) fn remember(&mut self, happening: &Arc<Happening>, limit: usize) {
        if let Some(running) = &mut self.transaction
            && running.history.len() < limit
        {
            running.history.push(Arc::clone(happening));
        }
    }

    /// The transaction is over.
    pub(crate) fn forget_transaction(&mut self) {
        self.transaction = None;
        self.recipient_changed.clear();
        self.removed.clear();
        self.draft = empty_draft(std::mem::take(&mut self.draft.session_properties));
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

fn draft_of(message: &Message) -> Draft {
    Draft {
        envelope: message.envelope.clone(),
        recipients: message.recipients.clone(),
        properties: message.properties.clone(),
        session_properties: message.session_properties.clone(),
        version: Some(message.version.clone()),
    }
}

fn empty_draft(session_properties: Properties) -> Draft {
    Draft {
        envelope: Envelope::new(ReversePath::Null),
        recipients: Vec::new(),
        properties: Properties::new(),
        session_properties,
        version: None,
    }
}
