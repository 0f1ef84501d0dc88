//! What a verdict orders beside edits of the draft: carried out by the gateway, together with the commit.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use postern_message::{BodyKind, MessageId, NewRecipient, RecipientId};
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
    /// Its sender.
    pub sender: ReversePath,
    /// Its recipients; at least one.
    pub recipients: Vec<NewRecipient>,
    /// Header section, empty line, body.
    pub content: Bytes,
    /// It needs SMTPUTF8.
    pub smtp_utf8: bool,
    /// How it is encoded.
    pub body: BodyKind,
    /// The virtual server whose bindings and limits apply; empty: that of the message beside it.
    pub server: String,
}

/// All orders about one message that stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Where recipients go that were sent another way.
    pub next_hops: HashMap<RecipientId, Vec<NextHop>>,
    /// Its routing class, where a verdict set one.
    pub routing_class: Option<String>,
    /// When it expires, from acceptance.
    pub lifetime: Option<Duration>,
    /// When its sender is warned, from acceptance.
    pub warn_after: Option<Duration>,
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
                        self.next_hops.remove(&id);
                    } else {
                        self.next_hops.insert(id, next_hops.clone());
                    }
                }
            }
            Order::RoutingClass(class) => self.routing_class = Some(class.clone()),
            Order::Expiry {
                lifetime,
                warn_after,
            } => {
                self.lifetime = lifetime.or(self.lifetime);
                self.warn_after = warn_after.or(self.warn_after);
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
    use super::*;

    #[test]
    fn one_sinks_message_of_a_key_is_put_in_once() {
        let of = |sink: &str, key: &str| {
            Order::Inject(Box::new(Injection {
                message_id: MessageId::new(),
                idempotency_key: key.to_owned(),
                sink: sink.to_owned(),
                sender: ReversePath::Null,
                recipients: Vec::new(),
                content: Bytes::new(),
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
                orders
                    .next_hops
                    .get(&id)
                    .map(|hops| hops[0].deliver.as_str())
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
        assert_eq!(orders.lifetime, Some(hour));
        assert_eq!(orders.warn_after, Some(hour / 2));
    }
}
