//! `transport.post_categorize`: all recipients are resolved.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::View;

/// A message whose recipients have been resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostCategorize {
    /// Recipients to be delivered.
    pub resolved: u32,
    /// Recipients that nobody knows.
    pub unresolved: u32,
    /// Recipients that stand for others.
    pub expanded: u32,
    /// It is asked again because routes were reset: only the routing class and a redirect are taken.
    pub routing_only: bool,
}

impl Event for PostCategorize {
    const KIND: EventKind = EventKind::TransportPostCategorize;
    type Context = MessageContext;
    type Answer = NoAnswer;

    fn body(&self, _: &MessageContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportPostCategorize(pb::TransportPostCategorize {
            resolved_count: self.resolved,
            unresolved_count: self.unresolved,
            expanded_count: self.expanded,
            routing_only: self.routing_only,
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &MessageContext,
        _: Option<&NoAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::CategorizationResolvedCount => AttributeValue::count(self.resolved),
            Attribute::CategorizationUnresolvedCount => AttributeValue::count(self.unresolved),
            Attribute::CategorizationExpandedCount => AttributeValue::count(self.expanded),
            Attribute::CategorizationRoutingOnly => AttributeValue::Bool(self.routing_only),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            routing_only: self.routing_only,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!(
            "{} resolved, {} unknown",
            self.resolved, self.unresolved
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn its_counts_are_shown() {
        let event = PostCategorize {
            resolved: 5,
            unresolved: 2,
            expanded: 1,
            routing_only: true,
        };
        let context = samples::message().into();
        assert_eq!(
            samples::body(event, None, &context),
            Kind::TransportPostCategorize(pb::TransportPostCategorize {
                resolved_count: 5,
                unresolved_count: 2,
                expanded_count: 1,
                routing_only: true,
            })
        );
        assert!(event.facts().routing_only);
        for (attribute, value) in [
            (
                Attribute::CategorizationResolvedCount,
                AttributeValue::Int(5),
            ),
            (
                Attribute::CategorizationUnresolvedCount,
                AttributeValue::Int(2),
            ),
            (
                Attribute::CategorizationExpandedCount,
                AttributeValue::Int(1),
            ),
            (
                Attribute::CategorizationRoutingOnly,
                AttributeValue::Bool(true),
            ),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
    }
}
