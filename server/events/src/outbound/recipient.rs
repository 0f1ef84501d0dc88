//! `outbound.recipient`: a recipient is about to be sent, before its RCPT.

use std::borrow::Cow;

use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::commands::CommandsAnswer;
use super::proposed::{of_command, of_remote, proposed};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, MessageContext, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A recipient that is about to be sent.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// The recipient.
    pub recipient: RecipientId,
    /// Its domain is one of this server's own.
    pub is_local: bool,
    /// RCPT.
    pub command: CommandLine,
}

impl Event for Recipient {
    const KIND: EventKind = EventKind::OutboundRecipient;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundRecipient(pb::OutboundRecipient {
            recipient_id: wire::id(self.recipient.as_bytes()),
            command: Some(proposed(&self.command, said, view)),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &OutgoingContext,
        said: Option<&CommandsAnswer>,
    ) -> Option<AttributeValue> {
        let message = context.message.as_deref().map(MessageContext::working);
        let own = || message?.recipient(self.recipient);
        Some(match attribute {
            Attribute::RecipientAddress => AttributeValue::text(wire::path(&own()?.address)),
            Attribute::RecipientDomain => AttributeValue::domain_of(&own()?.address),
            Attribute::RecipientIsLocal => AttributeValue::Bool(self.is_local),
            Attribute::RecipientKind => AttributeValue::text(""),
            Attribute::RecipientTenant => AttributeValue::text(&own()?.tenant),
            _ => {
                return of_command(attribute, &self.command, said)
                    .or_else(|| of_remote(attribute, context));
            }
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            due: Some(&self.command),
            recipient: Some(self.recipient),
            recipients: std::slice::from_ref(&self.recipient),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("recipient {}", self.recipient))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::proposed::tests::{as_is, follows_answers, has_attributes, line};
    use super::*;
    use crate::context::Context;
    use crate::samples;

    #[test]
    fn the_recipient_is_named_and_described() {
        let outgoing = samples::outgoing();
        let ids = outgoing.message.as_ref().map(|own| own.message());
        let id = ids.map(|message| message.recipients[1].id);
        let event = Recipient {
            recipient: id.unwrap(),
            is_local: true,
            command: line("RCPT", "RCPT TO:<list@other.test>"),
        };
        let context: Context = outgoing.into();
        let expected = |command| {
            Kind::OutboundRecipient(pb::OutboundRecipient {
                recipient_id: wire::id(event.recipient.as_bytes()),
                command,
            })
        };
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(as_is("RCPT TO:<list@other.test>"))
        );
        // Who does not read recipients is told which one all the same.
        assert_eq!(
            samples::blind_body(event.clone(), &context),
            expected(as_is("RCPT"))
        );
        let text = AttributeValue::text;
        for (attribute, value) in [
            (Attribute::RecipientAddress, text("list@other.test")),
            (Attribute::RecipientDomain, text("other.test")),
            (Attribute::RecipientIsLocal, AttributeValue::Bool(true)),
            (Attribute::RecipientKind, text("")),
            (Attribute::RecipientTenant, text("acme")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
        assert_eq!(event.facts().recipient, Some(event.recipient));
        has_attributes(&event, "RCPT", "RCPT TO:<list@other.test>");
        follows_answers(&event);
    }
}
