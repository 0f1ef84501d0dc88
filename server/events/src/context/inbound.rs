//! An inbound session with its running transaction.

use std::collections::HashMap;

use postern_message::{
    Draft, Edit, EditError, EditLimits, Envelope, Message, MessageId, Properties, Recipient,
    RecipientId, Version,
};

use super::session::{Authentication, Conduct, Helo, RawParameter, SessionContext, Tls};
use super::working::{Made, Split, Working, apply_edits};
use crate::order::Order;
use crate::route::NextHop;

/// An inbound session: what it is now, and the transaction that is running in it.
#[derive(Clone, Debug)]
pub struct InboundContext {
    session: SessionContext,
    session_at: u64,
    clock: u64,
    transaction: Option<TransactionContext>,
    transactions: u32,
    /// The client may relay for what it is, not for what it said: that outlasts STARTTLS.
    relay_by_origin: bool,
}

/// A transaction since MAIL was asked about.
#[derive(Clone, Debug)]
pub struct TransactionContext {
    number: u32,
    begun: bool,
    finished: bool,
    parameters: Vec<RawParameter>,
    rcpt_parameters: HashMap<RecipientId, Vec<RawParameter>>,
    pending: Vec<Recipient>,
    /// Where recipients go that are asked about, if sinks said so.
    ways: Vec<(RecipientId, NextHop)>,
    working: Working,
}

impl InboundContext {
    /// A session that has just begun.
    #[must_use]
    pub const fn new(session: SessionContext) -> Self {
        Self {
            relay_by_origin: session.may_relay,
            session,
            session_at: 1,
            clock: 1,
            transaction: None,
            transactions: 0,
        }
    }

    /// A message that was held on its way in, in the session as it was stored: asked about again without a client.
    #[must_use]
    pub fn of_held(session: SessionContext, message: &Message) -> Self {
        let mut working = Working::new(message.id, Draft::of(message));
        working.skipped.clone_from(&message.skipped);
        working.resume(message.handling.clone());
        let mut own = Self::new(session);
        own.transactions = 1;
        own.transaction = Some(TransactionContext {
            number: 1,
            begun: true,
            finished: false,
            parameters: Vec::new(),
            rcpt_parameters: HashMap::new(),
            pending: Vec::new(),
            ways: Vec::new(),
            working,
        });
        own
    }

    /// The session.
    #[must_use]
    pub const fn session(&self) -> &SessionContext {
        &self.session
    }

    /// When the session changed last, by the clock of this context.
    #[must_use]
    pub const fn session_at(&self) -> u64 {
        self.session_at
    }

    /// The running transaction. There is one from the question about MAIL on.
    #[must_use]
    pub const fn transaction(&self) -> Option<&TransactionContext> {
        self.transaction.as_ref()
    }

    /// The message of the running transaction, to be changed.
    pub fn working_mut(&mut self) -> Option<&mut Working> {
        self.transaction
            .as_mut()
            .map(|running| &mut running.working)
    }

    /// How the client has behaved so far. Goes with every event, so it does not count as a change.
    pub const fn note_conduct(&mut self, conduct: Conduct) {
        self.session.conduct = conduct;
    }

    /// The greeting was accepted.
    pub fn greet(&mut self, helo: Helo) {
        self.session.helo = Some(helo);
        self.session_changed();
    }

    /// The client has its banner: what it may do by now does not come of anything that it said.
    pub const fn admitted(&mut self) {
        self.relay_by_origin = self.session.may_relay;
    }

    /// TLS is in use from here on. Whether the client may relay is open again as far as it came of what was said before.
    pub fn secure(&mut self, tls: Tls) {
        self.session.secure(tls);
        self.session.may_relay = self.relay_by_origin;
        self.session_changed();
    }

    /// The client proved who it is.
    pub fn authenticate(&mut self, authentication: Authentication) {
        self.session.authentication = Some(authentication);
        self.session_changed();
    }

    /// The client may relay to any domain, or no more.
    pub fn set_relay(&mut self, may_relay: bool) {
        self.session.may_relay = may_relay;
        self.session_changed();
    }

    /// The tenant of the session is known.
    pub fn set_tenant(&mut self, tenant: String) {
        self.session.tenant = tenant;
        self.session_changed();
    }

    /// A binding failed outside of a transaction and was passed over.
    pub fn skip(&mut self, binding: &str) {
        if !self.session.skipped.iter().any(|own| own == binding) {
            self.session.skipped.push(binding.to_owned());
            self.session_changed();
        }
    }

    /// MAIL is asked about. Whatever transaction there was is forgotten.
    pub fn begin(&mut self, id: MessageId, envelope: Envelope, parameters: Vec<RawParameter>) {
        let mut draft = Draft::empty();
        draft.envelope = envelope;
        self.transaction = Some(TransactionContext {
            number: self.transactions + 1,
            begun: false,
            finished: false,
            parameters,
            rcpt_parameters: HashMap::new(),
            pending: Vec::new(),
            ways: Vec::new(),
            working: Working::new(id, draft),
        });
    }

    /// MAIL was accepted.
    pub fn begun(&mut self) {
        if let Some(running) = &mut self.transaction
            && !std::mem::replace(&mut running.begun, true)
        {
            self.transactions += 1;
        }
    }

    /// RCPT is asked about.
    pub fn propose(&mut self, recipient: Recipient, parameters: Vec<RawParameter>) {
        if let Some(running) = &mut self.transaction {
            if !parameters.is_empty() {
                running.rcpt_parameters.insert(recipient.id, parameters);
            }
            running.pending.push(recipient);
        }
    }

    /// What sinks said of a recipient whose RCPT is asked about: its tenant (empty: nothing), and where it goes if it is
    /// kept.
    pub fn claim(&mut self, id: RecipientId, tenant: &str, next_hop: Option<NextHop>) {
        let Some(running) = &mut self.transaction else {
            return;
        };
        let mut pending = running.pending.iter_mut();
        let Some(recipient) = pending.find(|one| one.id == id) else {
            return;
        };
        if !tenant.is_empty() && recipient.tenant != tenant {
            tenant.clone_into(&mut recipient.tenant);
            running.working.touched();
        }
        running.ways.extend(next_hop.map(|hop| (id, hop)));
    }

    /// RCPT was answered: the recipient is kept, or not.
    pub fn decide(&mut self, id: RecipientId, kept: bool) {
        let Some(running) = &mut self.transaction else {
            return;
        };
        let Some(place) = running.pending.iter().position(|one| one.id == id) else {
            return;
        };
        let recipient = running.pending.remove(place);
        let way = running.ways.iter().position(|(of, _)| *of == id);
        let way = way.map(|place| running.ways.swap_remove(place).1);
        if kept {
            running.working.accept(recipient);
            if let Some(next_hop) = way {
                running.working.order(&Order::Redirect {
                    recipients: vec![id],
                    next_hops: vec![next_hop],
                });
            }
        } else {
            running.rcpt_parameters.remove(&id);
        }
    }

    /// The header section is complete.
    pub fn content(&mut self, version: Version) {
        if let Some(running) = &mut self.transaction {
            running.working.content(version);
        }
    }

    /// The whole content is there.
    pub fn close_content(&mut self, size_bytes: u64) {
        if let Some(running) = &mut self.transaction {
            running.working.close_content(size_bytes);
        }
    }

    /// Nobody later is asked about this message's remaining inbound events.
    pub const fn finish_message(&mut self) {
        if let Some(running) = &mut self.transaction {
            running.finished = true;
        }
    }

    /// The transaction is over.
    pub fn end_transaction(&mut self) {
        self.transaction = None;
    }

    /// Applies what a verdict changes, all or none. `of`: only this recipient, whose RCPT is asked about.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        orders: &[Order],
        split: &Split,
        of: Option<RecipientId>,
        limits: &EditLimits,
    ) -> Result<Made, EditError> {
        let before = (!edits.is_empty()).then(|| self.session.properties.clone());
        let session = &mut self.session.properties;
        let made = match (&mut self.transaction, of) {
            (Some(running), Some(id)) => {
                running.apply_to(id, namespace, edits, session, limits)?;
                Made::default()
            }
            (Some(running), None) => running
                .working
                .apply(namespace, edits, orders, split, session, limits)?,
            (None, _) => {
                apply_edits(&mut Draft::empty(), namespace, edits, session, limits)?;
                Made::default()
            }
        };
        if before.is_some_and(|before| before != self.session.properties) {
            self.session_changed();
        }
        for order in orders {
            match order {
                Order::Relay(may_relay) => self.set_relay(*may_relay),
                Order::Authenticated(identity) => self.authenticate(Authentication {
                    identity: identity.clone(),
                    ..Authentication::default()
                }),
                _ => {}
            }
        }
        Ok(made)
    }

    const fn session_changed(&mut self) {
        self.clock += 1;
        self.session_at = self.clock;
    }
}

impl TransactionContext {
    /// The id that the message will have.
    #[must_use]
    pub const fn id(&self) -> MessageId {
        self.working.piece().id
    }

    /// Number of the transaction in its session, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// MAIL was accepted.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// No more of the message's inbound events are asked.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The message in the making.
    #[must_use]
    pub const fn working(&self) -> &Working {
        &self.working
    }

    /// All parameters of MAIL, raw and in their order.
    #[must_use]
    pub fn parameters(&self) -> &[RawParameter] {
        &self.parameters
    }

    /// All parameters of a recipient's RCPT, raw and in their order.
    #[must_use]
    pub fn parameters_of(&self, id: RecipientId) -> &[RawParameter] {
        self.rcpt_parameters.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Recipients whose RCPT is asked about.
    #[must_use]
    pub fn pending(&self) -> &[Recipient] {
        &self.pending
    }

    /// A recipient, pending or accepted.
    #[must_use]
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        let pending = self.pending.iter().find(|one| one.id == id);
        pending.or_else(|| self.working.recipient(id))
    }

    /// Applies edits about one recipient whose RCPT is asked about. Costs nothing for the others.
    fn apply_to(
        &mut self,
        id: RecipientId,
        namespace: &str,
        edits: &[Edit],
        session: &mut Properties,
        limits: &EditLimits,
    ) -> Result<(), EditError> {
        let unknown = EditError::UnknownRecipient { id };
        let place = self.pending.iter().position(|one| one.id == id);
        let place = place.ok_or(unknown.clone())?;
        let mut draft = Draft::empty();
        draft.envelope = self.working.draft().envelope.clone();
        draft.properties = self.working.draft().properties.clone();
        draft.recipients.extend(self.pending.get(place).cloned());
        apply_edits(&mut draft, namespace, edits, session, limits)?;
        let edited = draft.recipients.pop().ok_or(unknown)?;
        if let Some(own) = self.pending.get_mut(place) {
            *own = edited;
        }
        self.working.set_properties(draft.properties);
        self.working.touched();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
