//! What a verdict orders beside edits of the draft: carried out by the gateway, together with the commit.

use std::time::Duration;

use bytes::Bytes;
use postern_message::{
    BodyKind, EditError, EditLimits, Handling, HeaderSection, MessageId, Recipient, RecipientId,
};
use postern_smtp::address::ReversePath;

use crate::route::NextHop;

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Another way for these recipients (none named: for all), for this message only. Without hops: as configured.
    Redirect {
        /// The recipients.
        recipients: Vec<RecipientId>,
        /// In the order in which to try.
        next_hops: Vec<NextHop>,
    },
    /// Another routing class; empty: the default class.
    RoutingClass(String),
    /// Other times for expiry and warning, both from acceptance.
    Expiry {
        /// When it expires.
        lifetime: Option<Duration>,
        /// When the sender is warned of the delay.
        warn_after: Option<Duration>,
    },
    /// Another priority, -9 to 9.
    Priority(i8),
    /// Whether the session may relay.
    Relay(bool),
    /// The session counts as authenticated as this identity.
    Authenticated(Bytes),
    /// A new message beside this one.
    Inject(Box<Injection>),
}

/// A message that a sink puts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// The id that it gets.
    pub message_id: MessageId,
    /// The sink's key: another one with this key, of this sink and for this message, is the same.
    pub idempotency_key: String,
    /// The sink that puts it in.
    pub sink: String,
    /// The binding of that sink.
    pub binding: String,
    /// Its sender.
    pub sender: ReversePath,
    /// Its recipients; at least one.
    pub recipients: Vec<Recipient>,
    /// Header section, empty line, body.
    pub content: Bytes,
    /// Its header section, parsed.
    pub section: HeaderSection,
    /// It needs SMTPUTF8.
    pub smtp_utf8: bool,
    /// How it is encoded.
    pub body: BodyKind,
    /// The virtual server whose bindings and limits apply; empty: that of the message beside it.
    pub server: String,
}

impl Injection {
    /// Checks it against the limits of its virtual server.
    ///
    /// # Errors
    /// The first limit that it is over.
    pub fn fits(&self, limits: &EditLimits) -> Result<(), EditError> {
        let fields = self.section.fields();
        let octets: usize = fields.iter().map(|field| field.raw().len()).sum();
        for (what, value, limit) in [
            (
                "octets of an injected message",
                self.content.len() as u64,
                limits.message,
            ),
            (
                "octets of an injected message's header",
                octets as u64,
                limits.header_octets,
            ),
            (
                "header fields of an injected message",
                fields.len() as u64,
                limits.header_count as u64,
            ),
            (
                "recipients of an injected message",
                self.recipients.len() as u64,
                limits.recipients as u64,
            ),
        ] {
            if value > limit {
                return Err(EditError::OverLimit { what, value, limit });
            }
        }
        Ok(())
    }
}

/// All orders about one message that stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// How it is handled where that is not as configured: kept with the message.
    pub handling: Handling,
    /// Messages to be put in with it.
    pub injected: Vec<Injection>,
}

impl Orders {
    /// Takes one order in. Priority and what concerns the session are others' affair.
    pub(crate) fn take(&mut self, order: &Order, all: impl Iterator<Item = RecipientId>) {
        match order {
            Order::Redirect {
                recipients,
                next_hops,
            } => {
                let ids: Vec<RecipientId> = if recipients.is_empty() {
                    all.collect()
                } else {
                    recipients.clone()
                };
                for id in ids {
                    if next_hops.is_empty() {
                        self.handling.next_hops.remove(&id);
                    } else {
                        self.handling.next_hops.insert(id, next_hops.clone());
                    }
                }
            }
            Order::RoutingClass(class) => self.handling.routing_class = Some(class.clone()),
            Order::Expiry {
                lifetime,
                warn_after,
            } => {
                let own = &mut self.handling;
                own.lifetime = lifetime.or(own.lifetime);
                own.warn_after = warn_after.or(own.warn_after);
            }
            Order::Inject(injection) => {
                let same = |own: &Injection| {
                    own.sink == injection.sink && own.idempotency_key == injection.idempotency_key
                };
                if !self.injected.iter().any(same) {
                    self.injected.push((**injection).clone());
                }
            }
            Order::Priority(_) | Order::Relay(_) | Order::Authenticated(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    fn section() -> HeaderSection {
        let mut parser =
            postern_message::HeaderParser::new(postern_message::HeaderLimits::default());
        parser.feed(b"\r\n").ok().flatten().expect("no fields")
    }

    #[test]
    fn one_sinks_message_of_a_key_is_put_in_once() {
        let of = |sink: &str, key: &str| {
            Order::Inject(Box::new(Injection {
                message_id: MessageId::new(),
                idempotency_key: key.to_owned(),
                sink: sink.to_owned(),
                binding: "b".to_owned(),
                sender: ReversePath::Null,
                recipients: Vec::new(),
                content: Bytes::new(),
                section: section(),
                smtp_utf8: false,
                body: BodyKind::SevenBit,
                server: String::new(),
            }))
        };
        let mut orders = Orders::default();
        for (sink, key) in [("a", "1"), ("a", "1"), ("b", "1"), ("a", "2"), ("b", "1")] {
            orders.take(&of(sink, key), std::iter::empty());
        }
        let put: Vec<(&str, &str)> = orders
            .injected
            .iter()
            .map(|own| (own.sink.as_str(), own.idempotency_key.as_str()))
            .collect();
        assert_eq!(put, [("a", "1"), ("b", "1"), ("a", "2")]);
    }

    #[test]
    fn a_redirect_is_for_whom_it_names_else_for_all() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let redirect = |recipients: &[RecipientId], hops: &[&str]| Order::Redirect {
            recipients: recipients.to_vec(),
            next_hops: hops.iter().map(|hop| NextHop::to(*hop)).collect(),
        };
        let mut orders = Orders::default();
        for (order, ways) in [
            (redirect(&[], &["mx"]), [Some("mx"), Some("mx")]),
            (
                redirect(&[b], &["smtp://b"]),
                [Some("mx"), Some("smtp://b")],
            ),
            (redirect(&[a], &[]), [None, Some("smtp://b")]),
            (redirect(&[], &[]), [None, None]),
        ] {
            orders.take(&order, [a, b].into_iter());
            let way = |id| {
                let hops = orders.handling.hops(id).first();
                hops.map(|hop| hop.deliver.as_str())
            };
            assert_eq!([way(a), way(b)], ways);
        }
        // What is of the session or the envelope is others' affair.
        for other in [
            Order::Relay(true),
            Order::Priority(3),
            Order::Authenticated(Bytes::new()),
        ] {
            orders.take(&other, [a].into_iter());
        }
        assert_eq!(orders, Orders::default());
    }

    #[test]
    fn what_a_later_order_of_expiry_does_not_say_stays() {
        let hour = Duration::from_secs(3600);
        let mut orders = Orders::default();
        for (lifetime, warn_after) in [(Some(hour), None), (None, Some(hour / 2)), (None, None)] {
            let order = Order::Expiry {
                lifetime,
                warn_after,
            };
            orders.take(&order, std::iter::empty());
        }
        assert_eq!(orders.handling.lifetime, Some(hour));
        assert_eq!(orders.handling.warn_after, Some(hour / 2));
    }
}
