//! `transport.dsn`: a delivery status notification is about to be made, or was made (RFC 3464).

mod answer;

use std::borrow::Cow;

use bytes::Bytes;
use postern_message::{MessageId, RecipientId, Return};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;

use crate::attributes::{Attribute, AttributeValue};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

pub use answer::{DsnAction, DsnAnswer, DsnRuling};

/// A notification about the message of the context. Each binding is shown what the ones before it made of it.
#[derive(Clone, Debug)]
pub struct Dsn {
    recipients: Vec<DsnRecipient>,
    ids: Vec<RecipientId>,
    /// Who gets it: the sender of the message.
    pub notify_address: ReversePath,
    /// The notification that was made. `None`: this is the question.
    pub made: Option<MessageId>,
    /// Nobody could be notified: none would be made. It is asked only so that the message can be kept.
    pub undeliverable: bool,
    /// The content that would be returned. `None`: nothing.
    pub return_content: Option<Return>,
    /// The reporting MTA (RFC 3464, section 2.2.2).
    pub reporting_mta: Bytes,
}

/// What a notification tells of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DsnRecipient {
    /// The recipient.
    pub id: RecipientId,
    /// What it tells.
    pub action: DsnAction,
    /// The reply that it quotes.
    pub reply: Option<Reply>,
    /// The server that gave the reply. Empty: this one.
    pub remote_host: Bytes,
}

impl Dsn {
    /// A notification about these recipients that is about to be made.
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

    /// What it tells of its recipients after what was answered; those of whom it says nothing are left out.
    #[must_use]
    pub fn recipients(&self, said: Option<&DsnAnswer>) -> Vec<DsnRecipient> {
        let Some(said) = said else {
            return self.recipients.clone();
        };
        let told = self.recipients.iter().filter_map(|one| {
            let ruling = said.on(one.id);
            (!ruling.suppress).then(|| DsnRecipient {
                action: ruling.action.unwrap_or(one.action),
                reply: ruling.reply.or_else(|| one.reply.clone()),
                ..one.clone()
            })
        });
        told.collect()
    }

    /// Who gets it after what was answered.
    #[must_use]
    pub fn notify_address<'a>(&'a self, said: Option<&'a DsnAnswer>) -> &'a ReversePath {
        said.and_then(|said| said.notify_address.as_ref())
            .unwrap_or(&self.notify_address)
    }
}

impl DsnRecipient {
    fn shown(&self) -> pb::DsnRecipient {
        let action = match self.action {
            DsnAction::Failed => pb::DsnAction::Failed,
            DsnAction::Delayed => pb::DsnAction::Delayed,
            DsnAction::Delivered => pb::DsnAction::Delivered,
            DsnAction::Relayed => pb::DsnAction::Relayed,
            DsnAction::Expanded => pb::DsnAction::Expanded,
        };
        pb::DsnRecipient {
            recipient_id: wire::id(self.id.as_bytes()),
            action: action.into(),
            reply: self.reply.as_ref().map(wire::reply),
            remote_host: self.remote_host.clone(),
        }
    }
}

impl Event for Dsn {
    const KIND: EventKind = EventKind::TransportDsn;
    type Context = MessageContext;
    type Answer = DsnAnswer;

    fn body(&self, _: &MessageContext, said: Option<&DsnAnswer>, view: &View<'_>) -> Kind {
        let returned = said.and_then(|said| said.return_content);
        let return_content = match returned.unwrap_or(self.return_content) {
            None => pb::ReturnContent::Nothing,
            other => wire::return_content(other),
        };
        let notify_address = if view.reads.sender {
            wire::reverse_path(self.notify_address(said))
        } else {
            Bytes::new()
        };
        let reporting_mta = said
            .map(|said| &said.reporting_mta)
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.reporting_mta);
        let made = self.made.map(|id| wire::id(id.as_bytes()));
        Kind::TransportDsn(
            pb::TransportDsn {
                recipients: self
                    .recipients(said)
                    .iter()
                    .map(DsnRecipient::shown)
                    .collect(),
                notify_address,
                made_message_id: made.unwrap_or_default(),
                undeliverable_notification: self.undeliverable,
                return_content: return_content.into(),
                reporting_mta: reporting_mta.clone(),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &MessageContext,
        said: Option<&DsnAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::NotificationAddress => AttributeValue::text(
                self.notify_address(said)
                    .mailbox()
                    .map_or("", |mailbox| mailbox.as_str()),
            ),
            Attribute::NotificationActions => {
                let mut names: Vec<String> = Vec::new();
                for one in self.recipients(said) {
                    let name = one.action.name();
                    if !names.iter().any(|own| own == name) {
                        names.push(name.to_owned());
                    }
                }
                AttributeValue::Texts(names)
            }
            Attribute::NotificationIsMade => AttributeValue::Bool(self.made.is_some()),
            Attribute::NotificationIsUndeliverable => AttributeValue::Bool(self.undeliverable),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.ids,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("to {}", self.notify_address))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::context::Context;
    use crate::samples;

    fn event(context: &MessageContext) -> Dsn {
        let all = [DsnAction::Failed, DsnAction::Delayed];
        let ids = context.message().recipients.iter().map(|one| one.id);
        let recipients = ids.zip(all).map(|(id, action)| DsnRecipient {
            id,
            action,
            reply: Some(samples::reply(550, "no")),
            remote_host: Bytes::from_static(b"mx.example.test"),
        });
        Dsn {
            made: Some(MessageId::new()),
            undeliverable: true,
            return_content: Some(Return::Headers),
            reporting_mta: Bytes::from_static(b"out.example.test"),
            ..Dsn::new(recipients.collect(), samples::sender())
        }
    }

    fn shown(event: &Dsn, said: Option<DsnAnswer>, context: &Context) -> pb::TransportDsn {
        match samples::body(event.clone(), said.map(AnyAnswer::new), context) {
            Kind::TransportDsn(dsn) => *dsn,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_would_be_told_is_shown_whole() {
        let message = samples::message();
        let event = event(&message);
        let ids: Vec<_> = message.message().recipients.iter().map(|r| r.id).collect();
        assert_eq!(event.facts().recipients, ids);
        let told = |id: RecipientId, action: pb::DsnAction| pb::DsnRecipient {
            recipient_id: wire::id(id.as_bytes()),
            action: action.into(),
            reply: Some(samples::wire_reply(550, "no")),
            remote_host: Bytes::from_static(b"mx.example.test"),
        };
        let context = message.into();
        assert_eq!(
            shown(&event, None, &context),
            pb::TransportDsn {
                recipients: vec![
                    told(ids[0], pb::DsnAction::Failed),
                    told(ids[1], pb::DsnAction::Delayed),
                ],
                notify_address: Bytes::from_static(b"sender@example.test"),
                made_message_id: wire::id(event.made.unwrap().as_bytes()),
                undeliverable_notification: true,
                return_content: pb::ReturnContent::Headers.into(),
                reporting_mta: Bytes::from_static(b"out.example.test"),
            }
        );
        let texts = vec!["failed".to_owned(), "delayed".to_owned()];
        for (attribute, value) in [
            (
                Attribute::NotificationAddress,
                AttributeValue::text("sender@example.test"),
            ),
            (Attribute::NotificationActions, AttributeValue::Texts(texts)),
            (Attribute::NotificationIsMade, AttributeValue::Bool(true)),
            (
                Attribute::NotificationIsUndeliverable,
                AttributeValue::Bool(true),
            ),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
        let blind = samples::blind_body(event, &context);
        assert!(matches!(blind, Kind::TransportDsn(dsn) if dsn.notify_address.is_empty()));
    }

    #[test]
    fn a_binding_sees_what_the_ones_before_it_made_of_it() {
        let message = samples::message();
        let event = event(&message);
        let [first, second] = [0, 1].map(|n: usize| message.message().recipients[n].id);
        let ruling = |id| DsnRuling {
            recipients: vec![id],
            ..DsnRuling::default()
        };
        let said = DsnAnswer {
            rulings: vec![
                DsnRuling {
                    suppress: true,
                    ..ruling(first)
                },
                DsnRuling {
                    action: Some(DsnAction::Expanded),
                    reply: Some(samples::reply(450, "other")),
                    ..ruling(second)
                },
            ],
            return_content: Some(None),
            reporting_mta: Bytes::from_static(b"mta.example.test"),
            notify_address: Some(ReversePath::Null),
            ..DsnAnswer::default()
        };
        let shown = shown(&event, Some(said), &message.into());
        assert_eq!(shown.recipients.len(), 1);
        assert_eq!(shown.recipients[0].recipient_id, second.as_bytes()[..]);
        assert_eq!(shown.recipients[0].action(), pb::DsnAction::Expanded);
        assert_eq!(
            shown.recipients[0].reply,
            Some(samples::wire_reply(450, "other"))
        );
        assert!(shown.notify_address.is_empty());
        assert_eq!(shown.return_content(), pb::ReturnContent::Nothing);
        assert_eq!(shown.reporting_mta, "mta.example.test");
    }
}
