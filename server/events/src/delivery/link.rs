//! `delivery.link`: a destination went down or came back.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::NoAnswer;
use crate::context::DeliveryContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A destination that went down or came back.
#[derive(Clone, Debug)]
pub struct Link {
    /// The destination.
    pub destination: Bytes,
    /// It can be reached.
    pub is_up: bool,
    /// Failures in a row.
    pub failures: u32,
    /// The last failure.
    pub last_reply: Option<Reply>,
    /// The routing class; empty for the default class.
    pub routing_class: String,
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

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.destination)
    }
}
