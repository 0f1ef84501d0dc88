//! `delivery.link`: a destination went down or came back.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::NoAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::DeliveryContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A destination that went down or came back.
#[derive(Clone, Debug)]
pub struct Link {
    /// The destination: a domain, or the name of a next hop.
    pub destination: Bytes,
    /// The routing class; empty: the default class.
    pub routing_class: String,
    /// It can be reached.
    pub is_up: bool,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure.
    pub last_reply: Option<Reply>,
}

impl Event for Link {
    const KIND: EventKind = EventKind::DeliveryLink;
    type Context = DeliveryContext;
    type Answer = NoAnswer;

    fn body(&self, _: &DeliveryContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        let health = if self.is_up {
            pb::LinkHealth::Up
        } else {
            pb::LinkHealth::Down
        };
        Kind::DeliveryLink(pb::DeliveryLink {
            destination: self.destination.clone(),
            health: health.into(),
            failure_count: self.failures,
            last_reply: self.last_reply.as_ref().map(wire::reply),
            routing_class: self.routing_class.clone(),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &DeliveryContext,
        _: Option<&NoAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::LinkDestination => AttributeValue::lossy(&self.destination),
            Attribute::LinkRoutingClass => AttributeValue::text(&self.routing_class),
            Attribute::LinkIsUp => AttributeValue::Bool(self.is_up),
            Attribute::LinkFailureCount => AttributeValue::count(self.failures),
            _ => return None,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        let state = if self.is_up { "up" } else { "down" };
        let name = String::from_utf8_lossy(&self.destination);
        Cow::Owned(format!("{name} {state}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_destination_is_described() {
        let context = samples::delivery().into();
        for (is_up, shown) in [(true, pb::LinkHealth::Up), (false, pb::LinkHealth::Down)] {
            let event = Link {
                destination: Bytes::from_static(b"example.test"),
                routing_class: "bulk".to_owned(),
                is_up,
                failures: 3,
                last_reply: Some(samples::reply(421, "closing")),
            };
            assert_eq!(
                samples::body(event.clone(), None, &context),
                Kind::DeliveryLink(pb::DeliveryLink {
                    destination: Bytes::from_static(b"example.test"),
                    health: shown.into(),
                    failure_count: 3,
                    last_reply: Some(samples::wire_reply(421, "closing")),
                    routing_class: "bulk".to_owned(),
                })
            );
            for (attribute, value) in [
                (
                    Attribute::LinkDestination,
                    AttributeValue::text("example.test"),
                ),
                (Attribute::LinkRoutingClass, AttributeValue::text("bulk")),
                (Attribute::LinkIsUp, AttributeValue::Bool(is_up)),
                (Attribute::LinkFailureCount, AttributeValue::Int(3)),
            ] {
                assert_eq!(samples::attribute(&event, attribute, None, &context), value);
            }
        }
    }
}
