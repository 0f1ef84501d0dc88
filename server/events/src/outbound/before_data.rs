//! `outbound.before_data`: before DATA or BDAT.

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed;
use crate::answer::CommandsAnswer;
use crate::context::OutgoingContext;
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// DATA or BDAT that is about to be sent.
#[derive(Clone, Debug)]
pub struct BeforeData {
    /// Recipients that the remote accepted.
    pub recipients: Vec<RecipientId>,
    /// The command, without its CRLF.
    pub command: Bytes,
}

impl Event for BeforeData {
    const KIND: EventKind = EventKind::OutboundBeforeData;
    type Context = OutgoingContext;
    type Answer = CommandsAnswer;

    fn body(&self, _: &OutgoingContext, said: Option<&CommandsAnswer>, view: &View<'_>) -> Kind {
        Kind::OutboundBeforeData(pb::OutboundBeforeData {
            recipient_ids: wire::ids(&self.recipients, view),
            command: Some(proposed(&self.command, said, true)),
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipients: &self.recipients,
            ..EventFacts::default()
        }
    }
}
