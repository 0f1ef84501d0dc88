//! `transport.expand`: one recipient or list is to be resolved.

use std::borrow::Cow;

use bytes::Bytes;
use postern_message::NewRecipient;
use postern_message::RecipientId;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::check::{MAX_ITEMS, forward_path, limit, new_recipient, reverse_path};
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::{Event, EventFacts};
use crate::recipient_kind::RecipientKind;
use crate::wire::{self, View};

/// One recipient that is to be resolved. A list that is too long for one verdict is asked about again, page by page.
#[derive(Clone, Debug)]
pub struct Expand {
    /// The recipient.
    pub recipient: RecipientId,
    /// Its domain is one of this server's own.
    pub is_local: bool,
    /// How many expansions led to it. At most [`Expand::MAX_DEPTH`].
    pub depth: u32,
    /// What the last part of the list handed back. Empty: the first part.
    pub page_token: Bytes,
}

impl Expand {
    /// How deep lists may lie in lists; what lies deeper is a loop, and fails.
    pub const MAX_DEPTH: u32 = 10;
}

impl Event for Expand {
    const KIND: EventKind = EventKind::TransportExpand;
    type Context = MessageContext;
    type Answer = ExpansionAnswer;

    fn body(&self, _: &MessageContext, _: Option<&ExpansionAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportExpand(pb::TransportExpand {
            recipient_id: wire::id(self.recipient.as_bytes()),
            depth: self.depth,
            page_token: self.page_token.clone(),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &MessageContext,
        _: Option<&ExpansionAnswer>,
    ) -> Option<AttributeValue> {
        let own = || context.working().recipient(self.recipient);
        Some(match attribute {
            Attribute::ExpansionDepth => AttributeValue::count(self.depth),
            Attribute::RecipientAddress => AttributeValue::text(wire::path(&own()?.address)),
            Attribute::RecipientDomain => AttributeValue::domain_of(&own()?.address),
            Attribute::RecipientIsLocal => AttributeValue::Bool(self.is_local),
            // What it is, is the question.
            Attribute::RecipientKind => AttributeValue::text(""),
            Attribute::RecipientTenant => AttributeValue::text(&own()?.tenant),
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: Some(self.recipient),
            recipients: std::slice::from_ref(&self.recipient),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("recipient {}", self.recipient))
    }
}

/// What recipients resolve to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpansionAnswer {
    /// One for each item that is known; `None` in place of an id is the sender.
    pub expansions: Vec<Expansion>,
}

/// What one item resolves to.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The recipient that was asked about. `None`: the sender.
    pub recipient: Option<RecipientId>,
    /// What it is.
    pub expanded: Expanded,
}

/// What an address stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Expanded {
    /// An address to deliver to.
    Final {
        /// The address. `None`: as it is.
        address: Option<ForwardPath>,
        /// What kind of recipient it is.
        recipient_kind: RecipientKind,
    },
    /// Others: an alias or a list.
    Members(Members),
    /// There is no such recipient; the reply is for the notification.
    Unknown(Option<Reply>),
}

/// Other addresses in a recipient's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// The addresses.
    pub recipients: Vec<NewRecipient>,
    /// The sender of what goes to them. `None`: unchanged.
    pub sender: Option<ReversePath>,
    /// More to come: this is handed back. Empty: complete.
    pub next_page_token: Bytes,
    /// The sink that says so: whose properties the recipients have.
    pub namespace: String,
}

impl ExpansionAnswer {
    /// Takes out what was said of a recipient, or of the sender.
    pub fn take(&mut self, recipient: Option<RecipientId>) -> Option<Expanded> {
        let place = self
            .expansions
            .iter()
            .position(|own| own.recipient == recipient)?;
        Some(self.expansions.swap_remove(place).expanded)
    }

    /// What was said of a recipient, or of the sender.
    #[must_use]
    pub fn of_item(&self, recipient: Option<RecipientId>) -> Option<&Expanded> {
        self.expansions
            .iter()
            .find(|own| own.recipient == recipient)
            .map(|own| &own.expanded)
    }
}

impl TypedAnswer for ExpansionAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Expansion);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Expansion(own) = answer else {
            return Err(not_the_answer());
        };
        use pb::expansion::Kind as K;
        limit("expansions", own.expansions.len(), MAX_ITEMS)?;
        let utf8 = checks.utf8();
        let mut answer = ExpansionAnswer::default();
        for item in own.expansions {
            let recipient = if item.recipient_id.is_empty() {
                None
            } else {
                Some(checks.recipient(&item.recipient_id)?)
            };
            let expanded = match item.kind {
                // Not known here.
                None => continue,
                Some(K::FinalAddress(own)) => {
                    let address = &own.address;
                    let address = (!address.is_empty()).then(|| forward_path(address, utf8));
                    let recipient_kind = RecipientKind::answered(own.recipient_kind)?;
                    if recipient_kind == RecipientKind::Relayed {
                        checks.may("relay")?;
                    }
                    Expanded::Final {
                        address: address.transpose()?,
                        recipient_kind,
                    }
                }
                Some(K::Members(own)) => {
                    let in_parts = checks.event().is::<Expand>();
                    if !in_parts && !own.next_page_token.is_empty() {
                        return Err(Fault::protocol(
                            "a list comes in parts at transport.expand alone",
                        ));
                    }
                    let mut members = members(own, utf8)?;
                    members.namespace = checks.namespace().to_owned();
                    Expanded::Members(members)
                }
                Some(K::Unknown(own)) => {
                    let reply = own.reply;
                    let reply = reply.map(|reply| checks.reply(reply, &[5], "unknown"));
                    Expanded::Unknown(reply.transpose()?)
                }
            };
            let before = answer
                .expansions
                .iter_mut()
                .find(|before| before.recipient == recipient);
            match (before.map(|before| &mut before.expanded), expanded) {
                // Several with the members of one recipient add up.
                (Some(Expanded::Members(before)), Expanded::Members(more)) => {
                    before.recipients.extend(more.recipients);
                    before.sender = more.sender.or(before.sender.take());
                    before.next_page_token = more.next_page_token;
                }
                (Some(_), _) => {
                    return Err(Fault::protocol("two expansions contradict each other"));
                }
                (None, expanded) => answer.expansions.push(Expansion {
                    recipient,
                    expanded,
                }),
            }
        }
        Ok(answer)
    }

    /// Of an item the last answer counts.
    fn then(mut self, later: Self) -> Self {
        self.expansions.retain(|own| {
            later
                .expansions
                .iter()
                .all(|other| other.recipient != own.recipient)
        });
        self.expansions.extend(later.expansions);
        self
    }
}

fn members(own: pb::Members, utf8: bool) -> Result<Members, Fault> {
    limit("members", own.recipients.len(), MAX_ITEMS)?;
    limit("octets of a page token", own.next_page_token.len(), 4 << 10)?;
    for one in &own.recipients {
        if !one.parent_recipient_id.is_empty() {
            return Err(Fault::protocol(
                "the parent of a member is the recipient that was asked about",
            ));
        }
        if one.duplicates() != pb::DuplicateHandling::Unspecified {
            return Err(Fault::protocol(
                "a member that is a recipient already is skipped, nothing else",
            ));
        }
    }
    let recipients = own.recipients.iter().map(|one| new_recipient(one, utf8));
    let sender = own.reverse_path.as_ref();
    let sender = sender.map(|path| reverse_path(path, utf8));
    Ok(Members {
        recipients: recipients.collect::<Result<_, _>>()?,
        sender: sender.transpose()?,
        next_page_token: own.next_page_token,
        namespace: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_recipient_is_named_and_described() {
        let message = samples::message();
        let id = message.message().recipients[1].id;
        let event = Expand {
            recipient: id,
            is_local: true,
            depth: 3,
            page_token: Bytes::from_static(b"page 2"),
        };
        let context = message.into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::TransportExpand(pb::TransportExpand {
                recipient_id: wire::id(id.as_bytes()),
                depth: 3,
                page_token: Bytes::from_static(b"page 2"),
            })
        );
        assert_eq!(event.facts().recipient, Some(id));
        assert_eq!(event.facts().recipients, [id]);
        let text = AttributeValue::text;
        for (attribute, value) in [
            (Attribute::ExpansionDepth, AttributeValue::Int(3)),
            (Attribute::RecipientAddress, text("list@other.test")),
            (Attribute::RecipientDomain, text("other.test")),
            (Attribute::RecipientIsLocal, AttributeValue::Bool(true)),
            (Attribute::RecipientKind, text("")),
            (Attribute::RecipientTenant, text("acme")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
    }

    #[test]
    fn of_each_item_the_last_answer_counts() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let of = |id, expanded| ExpansionAnswer {
            expansions: vec![Expansion {
                recipient: Some(id),
                expanded,
            }],
        };
        let unknown = Expanded::Unknown(None);
        let list = Expanded::Members(Members::default());
        let all = of(a, unknown.clone())
            .then(of(b, list.clone()))
            .then(of(a, list.clone()));
        assert_eq!(all.expansions.len(), 2);
        assert_eq!(all.of_item(Some(a)), Some(&list));
        assert_eq!(all.of_item(None), None);
    }
}
