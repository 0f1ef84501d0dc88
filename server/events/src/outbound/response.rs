//! `outbound.response`: the remote answered.

use std::borrow::Cow;

use postern_message::RecipientId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use crate::answer::RemoteStatusAnswer;
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A reply of the remote. A sink may have it taken for another one, and say where the session goes on.
#[derive(Clone, Debug)]
pub struct Response {
    /// The command that it answers.
    pub command: CommandLine,
    /// The reply.
    pub reply: Reply,
    /// The recipient that it is about.
    pub recipient: Option<RecipientId>,
}

impl Event for Response {
    const KIND: EventKind = EventKind::OutboundResponse;
    type Context = OutgoingContext;
    type Answer = RemoteStatusAnswer;

    fn body(
        &self,
        _: &OutgoingContext,
        said: Option<&RemoteStatusAnswer>,
        view: &View<'_>,
    ) -> Kind {
        let shown = super::shows(&self.command.verb, view.reads);
        let native = wire::reply(&self.reply);
        let taken = said.and_then(|said| said.reply.as_ref()).map(wire::reply);
        Kind::OutboundResponse(
            pb::OutboundResponse {
                command: Some(wire::command(&self.command, shown)),
                native_reply: taken.is_some().then(|| native.clone()),
                reply: Some(taken.unwrap_or(native)),
                recipient_id: self
                    .recipient
                    .map(|one| wire::id(one.as_bytes()))
                    .unwrap_or_default(),
            }
            .into(),
        )
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: self.recipient,
            reply: Some(&self.reply),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(self.reply.to_string())
    }
}
