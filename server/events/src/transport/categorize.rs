//! `transport.categorize`: recipients, and the sender, are to be resolved.

use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::ExpansionAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// Recipients that are to be resolved. What an earlier binding has resolved is not asked about again.
#[derive(Clone, Debug, Default)]
pub struct Categorize {
    /// Recipients not resolved yet.
    pub recipients: Vec<RecipientId>,
    /// The sender is to be resolved too.
    pub sender_too: bool,
}

impl Event for Categorize {
    const KIND: EventKind = EventKind::TransportCategorize;
    type Context = MessageContext;
    type Answer = ExpansionAnswer;

    fn body(&self, _: &MessageContext, said: Option<&ExpansionAnswer>, view: &View<'_>) -> Kind {
        let open = |item| said.is_none_or(|said| said.of_item(item).is_none());
        let left = self.recipients.iter().filter(|id| open(Some(**id)));
        Kind::TransportCategorize(pb::TransportCategorize {
            recipient_ids: wire::ids(left, view),
            sender_too: self.sender_too && open(None),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Expanded, Expansion};
    use crate::testing;

    #[test]
    fn what_was_resolved_is_not_asked_about_again() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let event = Categorize {
            recipients: vec![a, b],
            sender_too: true,
        };
        let said = ExpansionAnswer {
            expansions: vec![Expansion {
                recipient: Some(a),
                expanded: Expanded::Unknown(None),
            }],
        };
        let context = testing::message();
        let reads = crate::grant::Reads::everything();
        let view = testing::view(&reads);
        let Kind::TransportCategorize(body) = Event::body(&event, &context, Some(&said), &view)
        else {
            panic!("another event");
        };
        assert_eq!(body.recipient_ids, [wire::id(b.as_bytes())]);
        assert!(body.sender_too);
    }
}
