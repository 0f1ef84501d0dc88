//! Scopes without a message: a destination, what is told of deliveries, the gateway itself.

use std::sync::Arc;

use postern_smtp::reply::Reply;

/// One destination of one virtual server (`transport.route`, `transport.resolve`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationContext {
    /// The virtual server.
    pub server: Arc<str>,
    /// The domain, or the name that is to be resolved: lower case, A-labels.
    pub domain: String,
    /// The routing class; empty: the default class.
    pub routing_class: String,
    /// Failed attempts in a row.
    pub failures: u32,
    /// The last failure.
    pub last_reply: Option<Reply>,
    /// Messages waiting.
    pub queued: u64,
}

impl DestinationContext {
    /// A destination to which nothing has failed and nothing waits.
    #[must_use]
    pub fn new(server: Arc<str>, domain: impl Into<String>) -> Self {
        Self {
            server,
            domain: domain.into(),
            routing_class: String::new(),
            failures: 0,
            last_reply: None,
            queued: 0,
        }
    }
}

/// What is told of deliveries: each event has its message in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryContext {
    /// The virtual server that accepted the message.
    pub server: Arc<str>,
}

/// The gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceContext {
    /// The virtual server of the binding; empty where it is for all.
    pub server: Arc<str>,
}
