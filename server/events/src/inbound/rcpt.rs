//! `inbound.rcpt`: RCPT, one event for each recipient.

use std::borrow::Cow;

use postern_message::{Recipient, RecipientId};
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::{RcptAnswer, RecipientKind};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, InboundContext, RawParameter};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// RCPT that is asked about. A sink may answer what kind of recipient it is, where it goes, and whose it is.
#[derive(Clone, Debug)]
pub struct Rcpt {
    /// The line.
    pub command: CommandLine,
    /// The recipient with the id that it keeps.
    pub recipient: Recipient,
    /// All its parameters, raw and in their order.
    pub parameters: Vec<RawParameter>,
    /// What the service makes of it.
    pub recipient_kind: RecipientKind,
    /// An earlier recipient of this transaction with the same address.
    pub duplicate_of: Option<RecipientId>,
}

impl Rcpt {
    /// Puts the recipient among those that are asked about, so that edits have something to act on.
    pub fn propose(&self, context: &mut InboundContext) {
        context.propose(self.recipient.clone(), self.parameters.clone());
    }

    fn kind_with(&self, said: Option<&RcptAnswer>) -> RecipientKind {
        match said.map(|said| said.recipient_kind) {
            None | Some(RecipientKind::Unspecified) => self.recipient_kind,
            Some(kind) => kind,
        }
    }
}

impl Event for Rcpt {
    const KIND: EventKind = EventKind::InboundRcpt;
    type Context = InboundContext;
    type Answer = RcptAnswer;

    fn body(&self, context: &InboundContext, said: Option<&RcptAnswer>, view: &View<'_>) -> Kind {
        let running = context.transaction();
        let own = running.and_then(|running| running.recipient(self.recipient.id));
        let accepted =
            running.is_some_and(|running| running.working().recipient(self.recipient.id).is_some());
        let state = match (own, accepted) {
            (Some(_), true) => pb::RecipientState::Accepted,
            (Some(_), false) => pb::RecipientState::Pending,
            (None, _) => pb::RecipientState::Refused,
        };
        let own = own.unwrap_or(&self.recipient);
        let mut recipient = wire::recipient(own, state, &self.parameters, None, view);
        if let Some(said) = said.filter(|_| view.reads.recipients) {
            if let Some(hop) = &said.next_hop {
                recipient.deliver.clone_from(&hop.deliver);
            }
            if !said.tenant.is_empty() {
                recipient.tenant.clone_from(&said.tenant);
            }
        }
        let kind = match self.kind_with(said) {
            RecipientKind::Unspecified => pb::RecipientKind::Unspecified,
            RecipientKind::Hosted => pb::RecipientKind::Hosted,
            RecipientKind::Relayed => pb::RecipientKind::Relayed,
            RecipientKind::Forbidden => pb::RecipientKind::Forbidden,
            RecipientKind::Unknown => pb::RecipientKind::Unknown,
        };
        Kind::InboundRcpt(
            pb::InboundRcpt {
                command: Some(wire::command(&self.command, view.reads.recipients)),
                recipient: Some(recipient),
                recipient_kind: kind.into(),
                group_position: 1,
                group_size: 1,
                duplicate_of_recipient_id: self
                    .duplicate_of
                    .filter(|_| view.reads.recipients)
                    .map(|other| wire::id(other.as_bytes()))
                    .unwrap_or_default(),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &InboundContext,
        said: Option<&RcptAnswer>,
    ) -> Option<AttributeValue> {
        let own = context
            .transaction()
            .and_then(|running| running.recipient(self.recipient.id))
            .unwrap_or(&self.recipient);
        Some(match attribute {
            Attribute::RecipientAddress => AttributeValue::text(wire::path(&own.address)),
            Attribute::RecipientDomain => AttributeValue::domain_of(&own.address),
            Attribute::RecipientIsLocal => AttributeValue::Bool(matches!(
                self.kind_with(said),
                RecipientKind::Hosted | RecipientKind::Unknown
            )),
            Attribute::RecipientKind => AttributeValue::text(self.kind_with(said).name()),
            Attribute::RecipientTenant => AttributeValue::text(
                said.map(|said| said.tenant.as_str())
                    .filter(|tenant| !tenant.is_empty())
                    .unwrap_or(&own.tenant),
            ),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: Some(self.recipient.id),
            of_transaction: true,
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(wire::path(&self.recipient.address))
    }
}
