//! `transport.categorize`: recipients, and the sender, are to be resolved.

use std::borrow::Cow;

use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::expand::ExpansionAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Recipients that are to be resolved. Each binding is shown those that none before it knew.
#[derive(Clone, Debug, Default)]
pub struct Categorize {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// The sender is to be resolved too.
    pub sender_too: bool,
}

impl Event for Categorize {
    const KIND: EventKind = EventKind::TransportCategorize;
    type Context = MessageContext;
    type Answer = ExpansionAnswer;

    fn body(&self, _: &MessageContext, said: Option<&ExpansionAnswer>, _: &View<'_>) -> Kind {
        let is_open =
            |item: Option<RecipientId>| said.is_none_or(|said| said.of_item(item).is_none());
        let open = self.recipients.iter().filter(|id| is_open(Some(**id)));
        Kind::TransportCategorize(pb::TransportCategorize {
            recipient_ids: open.map(|id| wire::id(id.as_bytes())).collect(),
            sender_too: self.sender_too && is_open(None),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} recipients", self.recipients.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::samples;
    use crate::transport::{Expanded, Expansion};

    #[test]
    fn what_a_binding_resolved_is_not_asked_of_the_next() {
        let message = samples::message();
        let ids: Vec<_> = message.message().recipients.iter().map(|r| r.id).collect();
        let event = Categorize {
            recipients: ids.clone(),
            sender_too: true,
        };
        assert_eq!(event.facts().recipients, ids);
        let context = message.into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::TransportCategorize(pb::TransportCategorize {
                recipient_ids: wire::asked_ids(&ids),
                sender_too: true,
            })
        );
        let known = |recipient| Expansion {
            recipient,
            expanded: Expanded::Unknown(None),
        };
        let said = ExpansionAnswer {
            expansions: vec![known(Some(ids[0])), known(None)],
        };
        assert_eq!(
            samples::body(event, Some(AnyAnswer::new(said)), &context),
            Kind::TransportCategorize(pb::TransportCategorize {
                recipient_ids: wire::asked_ids(&ids[1..]),
                sender_too: false,
            })
        );
    }
}
