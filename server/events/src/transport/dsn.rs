//! `transport.dsn`: a notification is about to be made, or was made.

use bytes::Bytes;
use postern_message::{MessageId, RecipientId, Return};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;

use crate::answer::{DsnAction, DsnAnswer};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A notification about the message of its context. When it has been made, the event is told again.
#[derive(Clone, Debug)]
pub struct Dsn {
    /// Whom it is about, and what it tells of them.
    pub recipients: Vec<DsnRecipient>,
    /// Their ids, in the same order.
    ids: Vec<RecipientId>,
    /// Who gets it.
    pub notify_address: ReversePath,
    /// The notification that was made. `None`: this is the question.
    pub made: Option<MessageId>,
    /// None would be made: the message is a notification itself or has the null sender.
    pub undeliverable: bool,
    /// The content that would be returned. `None`: nothing.
    pub return_content: Option<Return>,
    /// The reporting MTA that would be named.
    pub reporting_mta: Bytes,
}

/// What a notification tells of one recipient.
#[derive(Clone, Debug)]
pub struct DsnRecipient {
    /// The recipient.
    pub id: RecipientId,
    /// What it tells.
    pub action: DsnAction,
    /// The reply that it quotes.
    pub reply: Option<Reply>,
    /// The server that gave the reply; empty where it is this one.
    pub remote_host: Bytes,
}

impl Dsn {
    /// A notification that is about to be made, to the sender of the message.
    #[must_use]
    pub fn new(recipients: Vec<DsnRecipient>, notify_address: ReversePath) -> Self {
        Self {
            ids: recipients.iter().map(|one| one.id).collect(),
            recipients,
            notify_address,
            made: None,
            undeliverable: false,
            return_content: None,
            reporting_mta: Bytes::new(),
        }
    }
}

fn action(action: DsnAction) -> pb::DsnAction {
    match action {
        DsnAction::Failed => pb::DsnAction::Failed,
        DsnAction::Delayed => pb::DsnAction::Delayed,
        DsnAction::Delivered => pb::DsnAction::Delivered,
        DsnAction::Relayed => pb::DsnAction::Relayed,
        DsnAction::Expanded => pb::DsnAction::Expanded,
    }
}

impl Event for Dsn {
    const KIND: EventKind = EventKind::TransportDsn;
    type Context = MessageContext;
    type Answer = DsnAnswer;

    fn body(&self, _: &MessageContext, said: Option<&DsnAnswer>, view: &View<'_>) -> Kind {
        let ruled = |id: RecipientId| {
            let rulings = said.map_or(&[][..], |said| &said.rulings);
            rulings
                .iter()
                .rev()
                .find(|own| own.recipients.contains(&id))
        };
        let recipients = self.recipients.iter().filter_map(|one| {
            let ruling = ruled(one.id);
            if ruling.is_some_and(|own| own.suppress) {
                return None;
            }
            let reply = ruling.and_then(|own| own.reply.as_ref());
            Some(pb::DsnRecipient {
                recipient_id: wire::id(one.id.as_bytes()),
                action: action(ruling.and_then(|own| own.action).unwrap_or(one.action)).into(),
                reply: reply.or(one.reply.as_ref()).map(wire::reply),
                remote_host: one.remote_host.clone(),
            })
        });
        let notify = said.and_then(|said| said.notify_address.as_ref());
        let returned = said.and_then(|said| said.return_content);
        let mta = said.map(|said| &said.reporting_mta);
        let mta = mta.filter(|mta| !mta.is_empty());
        Kind::TransportDsn(
            pb::TransportDsn {
                recipients: recipients.filter(|_| view.reads.recipients).collect(),
                notify_address: match notify.unwrap_or(&self.notify_address) {
                    ReversePath::Mailbox(mailbox) if view.reads.sender => {
                        Bytes::copy_from_slice(mailbox.raw())
                    }
                    _ => Bytes::new(),
                },
                made_message_id: self
                    .made
                    .map(|made| wire::id(made.as_bytes()))
                    .unwrap_or_default(),
                undeliverable_notification: self.undeliverable,
                return_content: match returned.unwrap_or(self.return_content) {
                    None => pb::ReturnContent::Nothing,
                    Some(Return::Full) => pb::ReturnContent::Full,
                    Some(Return::Headers) => pb::ReturnContent::Headers,
                }
                .into(),
                reporting_mta: mta.unwrap_or(&self.reporting_mta).clone(),
            }
            .into(),
        )
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.ids,
            ..EventFacts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::DsnRuling;
    use crate::testing;

    #[test]
    fn each_sees_what_the_former_made_of_the_notification() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let one = |id| DsnRecipient {
            id,
            action: DsnAction::Failed,
            reply: None,
            remote_host: Bytes::new(),
        };
        let event = Dsn::new(vec![one(a), one(b)], ReversePath::Null);
        let said = DsnAnswer {
            rulings: vec![
                DsnRuling {
                    recipients: vec![a],
                    suppress: true,
                    ..DsnRuling::default()
                },
                DsnRuling {
                    recipients: vec![b],
                    action: Some(DsnAction::Delayed),
                    ..DsnRuling::default()
                },
            ],
            return_content: Some(Some(Return::Full)),
            ..DsnAnswer::default()
        };
        let reads = crate::grant::Reads::everything();
        let view = testing::view(&reads);
        let Kind::TransportDsn(body) = Event::body(&event, &testing::message(), Some(&said), &view)
        else {
            panic!("another event");
        };
        let actions: Vec<i32> = body.recipients.iter().map(|one| one.action).collect();
        assert_eq!(actions, [i32::from(pb::DsnAction::Delayed)]);
        assert_eq!(body.return_content, i32::from(pb::ReturnContent::Full));
    }
}
