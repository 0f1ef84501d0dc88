//! A transaction, from an accepted MAIL to its end, and the one place that says what became of it.

use std::sync::Arc;

use postern_events::inbound::{Fate, Outcome, RecipientFate};
use postern_message::{Message, MessageId, Recipient};
use postern_smtp::reply::Reply;

use super::{Reception, shown};
use crate::metrics::labels::OfServer;

/// A transaction that MAIL began. Whatever ends it, it ends once: sinks are told, the end is counted and logged.
pub(in crate::front) struct Transaction {
    reception: Arc<Reception>,
    id: MessageId,
    /// Recipients that were answered with 250 and that sinks have dropped.
    dropped: Vec<Recipient>,
    ended: bool,
}

/// How a transaction ended.
pub(in crate::front) struct Ended {
    pub(in crate::front) fate: Fate,
    /// What the client was told; absent where it was told nothing.
    pub(in crate::front) reply: Option<Reply>,
    /// The binding that decided.
    pub(in crate::front) by: Option<String>,
    /// Octets of content.
    pub(in crate::front) size: u64,
    /// The reason that the binding gave.
    pub(in crate::front) reason: String,
    /// How its sink failed, if that decided.
    pub(in crate::front) fault: Option<String>,
    /// The message that was kept.
    pub(in crate::front) kept: Option<Arc<Message>>,
}

impl Ended {
    fn of(fate: Fate, size: u64) -> Self {
        Self {
            fate,
            reply: None,
            by: None,
            size,
            reason: String::new(),
            fault: None,
            kept: None,
        }
    }

    /// It was refused with this reply, for good or for now.
    pub(in crate::front) fn refused(reply: Reply, by: Option<String>, size: u64) -> Self {
        let fate = if reply.code().is_permanent() {
            Fate::Rejected
        } else {
            Fate::Tempfailed
        };
        Self {
            reply: Some(reply),
            by,
            ..Self::of(fate, size)
        }
    }

    /// The client was gone before the reply.
    pub(in crate::front) fn gone(size: u64) -> Self {
        Self::of(Fate::ClientGone, size)
    }

    /// The gateway ended the session without a reply.
    pub(in crate::front) fn cut(size: u64) -> Self {
        Self::of(Fate::Tempfailed, size)
    }

    /// The client gave it up.
    pub(in crate::front) fn given_up(size: u64) -> Self {
        Self::of(Fate::GivenUp, size)
    }

    /// It was accepted, and so the client is told.
    pub(in crate::front) fn accepted(fate: Fate, reply: Reply, size: u64) -> Self {
        Self {
            reply: Some(reply),
            ..Self::of(fate, size)
        }
    }
}

impl Transaction {
    /// MAIL was accepted.
    pub(in crate::front) fn begin(reception: Arc<Reception>, id: MessageId) -> Self {
        Self {
            reception,
            id,
            dropped: Vec::new(),
            ended: false,
        }
    }

    /// The id that its message has.
    pub(in crate::front) const fn id(&self) -> MessageId {
        self.id
    }

    /// A recipient is answered with 250 and gets nothing.
    pub(in crate::front) fn drop_recipient(&mut self, recipient: Recipient) {
        self.dropped.push(recipient);
    }

    /// Sinks have dropped recipients.
    pub(in crate::front) const fn has_dropped(&self) -> bool {
        !self.dropped.is_empty()
    }

    /// It is over.
    pub(in crate::front) fn end(mut self, ended: Ended) {
        self.tell(ended);
    }

    fn tell(&mut self, ended: Ended) {
        self.ended = true;
        self.count(&ended);
        self.log(&ended);
        let Ended {
            fate,
            reply,
            by,
            size,
            ..
        } = ended;
        let dropped = std::mem::take(&mut self.dropped).into_iter();
        self.reception.scope.tell_outcome(Outcome {
            message_id: self.id,
            fate,
            reply,
            decided_by: by,
            recipients: dropped
                .filter(|_| fate != Fate::Discarded)
                .map(|recipient| RecipientFate {
                    recipient,
                    fate: Fate::Discarded,
                    reply: None,
                })
                .collect(),
            size_bytes: size,
        });
    }

    fn count(&self, ended: &Ended) {
        let name = &self.reception.server.name;
        let metrics = &self.reception.tools.metrics;
        metrics.count_message(name, ended.fate.into());
        if let Some(message) = &ended.kept {
            let tenant = self.reception.scope.tenant_of(&message.recipients);
            metrics.tenants.count(name, &tenant);
            let label = OfServer {
                server: name.into(),
            };
            metrics
                .message_size
                .get_or_create(&label)
                .observe(ended.size as f64);
        }
    }

    fn log(&self, ended: &Ended) {
        let reception = &self.reception;
        let (sender, recipients) = match &ended.kept {
            Some(message) => (
                Some(reception.show_sender(&message.envelope.sender)),
                message.recipients.len(),
            ),
            None => {
                let envelope = reception.scope.envelope();
                let sender = envelope.map(|envelope| reception.show_sender(&envelope.sender));
                (sender, reception.scope.recipients().len())
            }
        };
        let refusal = ended
            .reply
            .as_ref()
            .filter(|reply| !reply.code().is_positive());
        let what = match ended.fate {
            Fate::Accepted => "message accepted",
            Fate::Held => "message held",
            Fate::Quarantined => "message quarantined",
            Fate::Discarded => "message discarded",
            Fate::Rejected | Fate::Tempfailed => "message refused",
            Fate::ClientGone => "client went away before the reply",
            Fate::GivenUp => "transaction given up",
        };
        let kept = ended.kept.as_ref();
        let tenant = kept.map(|message| reception.scope.tenant_of(&message.recipients));
        tracing::info!(
            id = %self.id, session = %reception.session, server = %reception.server.name, client = reception.client,
            tenant = tenant.filter(|tenant| !tenant.is_empty()), user = reception.user.get().map(|user| reception.show_user(user)), sender,
            recipients, binding = ended.by, sink = ended.by.as_deref().and_then(|by| reception.sink_of(by)), fault = ended.fault,
            reason = Some(&*ended.reason).filter(|reason| !reason.is_empty()),
            reply = refusal.map(shown), size = ended.size, "{what}"
        );
        for recipient in ended.kept.iter().flat_map(|message| &message.recipients) {
            tracing::debug!(id = %self.id, recipient = reception.show_recipient(&recipient.address), "recipient");
        }
    }
}

/// Its session was cut short: by a panic, or because the time at the end was up.
impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Ended::cut(0));
        }
    }
}
