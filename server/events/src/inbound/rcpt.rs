//! `inbound.rcpt`: RCPT, one event for each recipient.

use std::borrow::Cow;

use postern_message::{Recipient, RecipientId};
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::check::{name_or_empty, next_hop};
use crate::context::{CommandLine, InboundContext, RawParameter};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::{Event, EventFacts};
use crate::recipient_kind::RecipientKind;
use crate::route::NextHop;
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

/// What a recipient is. It takes the place of the service's own check of domain, relay permission and recipient list,
/// and of nothing else: every other binding can still refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptAnswer {
    /// Hosted, relayed, or as the service would say.
    pub recipient_kind: RecipientKind,
    /// Where it goes. `None`: as configured.
    pub next_hop: Option<NextHop>,
    /// The tenant that it belongs to. Empty: unchanged.
    pub tenant: String,
}

impl TypedAnswer for RcptAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Rcpt);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Rcpt(own) = answer else {
            return Err(not_the_answer());
        };
        let answer = RcptAnswer {
            recipient_kind: RecipientKind::answered(own.recipient_kind)?,
            next_hop: own.next_hop.map(next_hop).transpose()?,
            tenant: name_or_empty(own.tenant, "the tenant")?,
        };
        let admits =
            answer.recipient_kind != RecipientKind::Unspecified || answer.next_hop.is_some();
        if admits || answer.tenant.is_empty() {
            checks.may("admit")?;
        }
        if answer.recipient_kind == RecipientKind::Relayed {
            checks.may("relay")?;
        }
        if answer.next_hop.is_some() {
            checks.may("redirect")?;
        }
        if !answer.tenant.is_empty() {
            checks.may("tenant")?;
        }
        Ok(answer)
    }

    /// What a later answer does not say stays.
    fn then(self, later: Self) -> Self {
        Self {
            recipient_kind: match later.recipient_kind {
                RecipientKind::Unspecified => self.recipient_kind,
                kind => kind,
            },
            next_hop: later.next_hop.or(self.next_hop),
            tenant: if later.tenant.is_empty() {
                self.tenant
            } else {
                later.tenant
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use postern_message::{Envelope, MessageId, Notify};

    use super::*;
    use crate::answer::AnyAnswer;
    use crate::context::Context;
    use crate::samples;

    const LINE: &str = "RCPT TO:<to@Example.test> NOTIFY=NEVER";

    fn event() -> Rcpt {
        let mut recipient = Recipient::new(samples::path("to@Example.test"));
        recipient.given = Some(samples::path("given@example.test"));
        recipient.orcpt = Some(Bytes::from_static(b"rfc822;o+2Bo@example.test"));
        recipient.notify = Some(Notify::NEVER);
        recipient.parent = Some(RecipientId::new());
        recipient.tenant = "acme".to_owned();
        Rcpt {
            command: samples::line("RCPT", LINE),
            recipient,
            parameters: vec![(
                Bytes::from_static(b"NOTIFY"),
                Some(Bytes::from_static(b"NEVER")),
            )],
            recipient_kind: RecipientKind::Unknown,
            duplicate_of: Some(RecipientId::new()),
        }
    }

    /// A session in which this is asked about.
    fn asked(event: &Rcpt) -> Context {
        let mut session = samples::inbound();
        session.begin(
            MessageId::new(),
            Envelope::new(samples::sender()),
            Vec::new(),
        );
        session.begun();
        event.propose(&mut session);
        session.into()
    }

    fn shown(event: &Rcpt) -> pb::InboundRcpt {
        let word = |word: &'static str| Bytes::from_static(word.as_bytes());
        let id = |id: Option<RecipientId>| id.map(|id| wire::id(id.as_bytes())).unwrap_or_default();
        pb::InboundRcpt {
            command: samples::wire_line("RCPT", LINE),
            recipient: Some(pb::Recipient {
                recipient_id: id(Some(event.recipient.id)),
                address: word("to@Example.test"),
                state: pb::RecipientState::Pending.into(),
                given_address: word("given@example.test"),
                original_recipient: word("rfc822;o+o@example.test"),
                notify: vec![pb::Notify::Never.into()],
                parameters: vec![pb::Parameter {
                    keyword: word("NOTIFY"),
                    value: Some(word("NEVER")),
                }],
                parent_recipient_id: id(event.recipient.parent),
                tenant: "acme".to_owned(),
                ..pb::Recipient::default()
            }),
            recipient_kind: pb::RecipientKind::Unknown.into(),
            group_position: 1,
            group_size: 1,
            duplicate_of_recipient_id: id(event.duplicate_of),
        }
    }

    #[test]
    fn the_recipient_is_shown_whole_with_what_was_answered() {
        let event = event();
        let context = asked(&event);
        let plain = shown(&event);
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::InboundRcpt(plain.clone().into())
        );
        let said = AnyAnswer::new(RcptAnswer {
            recipient_kind: RecipientKind::Hosted,
            next_hop: Some(NextHop::to("sink:store")),
            tenant: "other".to_owned(),
        });
        let expected = pb::InboundRcpt {
            recipient_kind: pb::RecipientKind::Hosted.into(),
            recipient: plain.recipient.map(|recipient| pb::Recipient {
                deliver: "sink:store".to_owned(),
                tenant: "other".to_owned(),
                ..recipient
            }),
            ..plain
        };
        assert_eq!(
            samples::body(event.clone(), Some(said.clone()), &context),
            Kind::InboundRcpt(expected.into())
        );
        // An answer that says neither changes neither.
        let silent = AnyAnswer::new(RcptAnswer::default());
        assert_eq!(
            samples::body(event.clone(), Some(silent), &context),
            Kind::InboundRcpt(shown(&event).into())
        );
        let text = AttributeValue::text;
        for (attribute, own, answered) in [
            (
                Attribute::RecipientAddress,
                text("to@Example.test"),
                text("to@Example.test"),
            ),
            (
                Attribute::RecipientDomain,
                text("example.test"),
                text("example.test"),
            ),
            (
                Attribute::RecipientIsLocal,
                AttributeValue::Bool(true),
                AttributeValue::Bool(true),
            ),
            (Attribute::RecipientKind, text("unknown"), text("hosted")),
            (Attribute::RecipientTenant, text("acme"), text("other")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), own);
            let seen = samples::attribute(&event, attribute, Some(&said), &context);
            assert_eq!(seen, answered);
        }
        assert_eq!(event.facts().recipient, Some(event.recipient.id));
    }

    #[test]
    fn who_does_not_read_recipients_sees_no_address() {
        let event = event();
        let blind = samples::blind_body(event.clone(), &asked(&event));
        let expected = pb::InboundRcpt {
            command: samples::wire_line("RCPT", ""),
            recipient: Some(pb::Recipient {
                recipient_id: wire::id(event.recipient.id.as_bytes()),
                state: pb::RecipientState::Pending.into(),
                ..pb::Recipient::default()
            }),
            duplicate_of_recipient_id: Bytes::new(),
            ..shown(&event)
        };
        assert_eq!(blind, Kind::InboundRcpt(expected.into()));
    }

    #[test]
    fn the_last_word_on_a_recipient_counts_and_silence_changes_nothing() {
        let first = RcptAnswer {
            recipient_kind: RecipientKind::Hosted,
            next_hop: Some(NextHop::to("lmtp://a")),
            tenant: "a".to_owned(),
        };
        let tenant = RcptAnswer {
            tenant: "b".to_owned(),
            ..RcptAnswer::default()
        };
        let both = first.clone().then(tenant);
        assert_eq!(both.recipient_kind, RecipientKind::Hosted);
        assert_eq!((both.tenant.as_str(), both.next_hop), ("b", first.next_hop));
        let relayed = RcptAnswer {
            recipient_kind: RecipientKind::Relayed,
            ..RcptAnswer::default()
        };
        let both = RcptAnswer::default().then(relayed);
        assert_eq!(both.recipient_kind, RecipientKind::Relayed);
    }
}
