//! The instance that an event belongs to: one session or message, as one binding sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::router::Outbox;
use crate::v1::{self, attach_response::Kind};
use crate::{NoProperties, NoState, property};

/// One session or message, as a handler sees it while it judges an event.
///
/// What is known of session and transaction is that of the moment when the event was sent.
pub struct Instance<Properties = NoProperties, State = NoState> {
    pub(crate) shared: Arc<Shared<Properties, State>>,
    pub(crate) known: Known,
    pub(crate) event_id: u64,
    pub(crate) outbox: Outbox,
}

/// What all events of an instance share.
pub(crate) struct Shared<Properties, State> {
    pub(crate) instance_id: u64,
    pub(crate) binding: Arc<BindingView<Properties>>,
    pub(crate) state: Mutex<State>,
    pub(crate) trace_parent: String,
    pub(crate) uploads: Mutex<HashMap<u64, Arc<Semaphore>>>,
}

/// A binding as the operator configured it, with its properties.
pub struct BindingView<Properties> {
    pub(crate) binding: v1::Binding,
    pub(crate) limits: v1::Limits,
    pub(crate) properties: Properties,
}

/// What the gateway has told of session, transaction and message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) session: Arc<v1::Session>,
    pub(crate) transaction: Option<Arc<v1::Transaction>>,
    pub(crate) message: Option<Arc<v1::Message>>,
}

impl<Properties, State> Instance<Properties, State> {
    /// The properties of the binding.
    pub fn properties(&self) -> &Properties {
        &self.shared.binding.properties
    }

    /// The state of the instance. It is locked while the guard lives, and the guard cannot be kept across an
    /// `.await`.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The session: client, greeting, TLS. Empty in transport unless the message came by one.
    pub fn session(&self) -> &v1::Session {
        &self.known.session
    }

    /// The running transaction: what was accepted of it so far.
    pub fn transaction(&self) -> Option<&v1::Transaction> {
        self.known.transaction.as_deref()
    }

    /// The message, in transport.
    pub fn message(&self) -> Option<&v1::Message> {
        self.known.message.as_deref()
    }

    /// The client's address as text. Empty: a Unix socket, or no session.
    pub fn client_address(&self) -> &str {
        self.known
            .session
            .client
            .as_ref()
            .map_or("", |client| &client.address)
    }

    /// A property that a sink of this name (in the configuration) set on the session.
    pub fn session_property(&self, sink: &str, key: &str) -> Option<&v1::value::Kind> {
        property::find(&self.known.session.properties, sink, key)
    }

    /// A property that a sink of this name (in the configuration) set on the message.
    pub fn message_property(&self, sink: &str, key: &str) -> Option<&v1::value::Kind> {
        let of_transaction = self
            .transaction()
            .map(|transaction| transaction.properties.as_slice());
        let of_message = self.message().map(|message| message.properties.as_slice());
        property::find(of_message.or(of_transaction)?, sink, key)
    }

    /// The binding, as the operator configured it.
    pub fn binding(&self) -> &v1::Binding {
        &self.shared.binding.binding
    }

    /// The bounds that the gateway keeps.
    pub fn limits(&self) -> &v1::Limits {
        &self.shared.binding.limits
    }

    /// W3C traceparent of the instance. Empty: none.
    pub fn trace_parent(&self) -> &str {
        &self.shared.trace_parent
    }

    /// Asks for more time: the deadline starts anew, within the reply's budget. `activity` says in the trace
    /// what goes on; it may be empty.
    pub async fn progress(&self, activity: &str) {
        let progress = v1::Progress {
            event_id: self.event_id,
            activity: activity.to_owned(),
        };
        self.outbox
            .send(self.shared.instance_id, Kind::Progress(progress))
            .await;
    }

    /// Nothing further is needed of the whole instance: no later event is sent to it.
    pub async fn done(&self) {
        self.outbox
            .send(
                self.shared.instance_id,
                Kind::Done(v1::Done {
                    message_id: Bytes::new(),
                }),
            )
            .await;
    }

    /// Nothing further is needed until the transaction ends.
    pub async fn done_with_message(&self) {
        let message_id = match (self.message(), self.transaction()) {
            (Some(message), _) => message.message_id.clone(),
            (None, Some(transaction)) => transaction.transaction_id.clone(),
            (None, None) => return,
        };
        self.outbox
            .send(self.shared.instance_id, Kind::Done(v1::Done { message_id }))
            .await;
    }
}

impl Known {
    pub(crate) fn open(snapshot: Option<v1::Snapshot>) -> Self {
        let snapshot = snapshot.unwrap_or_default();
        Self {
            session: Arc::new(snapshot.session.unwrap_or_default()),
            transaction: snapshot.transaction.map(Arc::new),
            message: snapshot.message.map(Arc::new),
        }
    }

    /// Moves what an event says has changed in here.
    pub(crate) fn update(&mut self, event: &mut v1::Event) {
        if let Some(session) = event.session.take() {
            update_session(Arc::make_mut(&mut self.session), *session);
        }
        if let Some(transaction) = event.transaction.take() {
            match &mut self.transaction {
                Some(known) if known.transaction_id == transaction.transaction_id => {
                    update_transaction(Arc::make_mut(known), *transaction);
                }
                known => *known = Some(Arc::new(*transaction)),
            }
        }
        if let Some(message) = event.message.take() {
            match &mut self.message {
                Some(known) if known.message_id == message.message_id => {
                    update_message(Arc::make_mut(known), *message);
                }
                known => *known = Some(Arc::new(*message)),
            }
        }
    }
}

fn replace<T>(known: &mut T, update: T, is_set: impl Fn(&T) -> bool) {
    if is_set(&update) {
        *known = update;
    }
}

fn update_session(known: &mut v1::Session, update: v1::Session) {
    replace(&mut known.session_id, update.session_id, |id| {
        !id.is_empty()
    });
    replace(&mut known.server, update.server, |text| !text.is_empty());
    replace(&mut known.hostname, update.hostname, |text| {
        !text.is_empty()
    });
    replace(&mut known.protocol, update.protocol, |text| {
        !text.is_empty()
    });
    replace(&mut known.listener, update.listener, |text| {
        !text.is_empty()
    });
    replace(&mut known.client, update.client, Option::is_some);
    replace(&mut known.helo, update.helo, Option::is_some);
    replace(&mut known.tls, update.tls, Option::is_some);
    replace(
        &mut known.authentication,
        update.authentication,
        Option::is_some,
    );
    replace(&mut known.may_relay, update.may_relay, Option::is_some);
    replace(&mut known.started_at, update.started_at, Option::is_some);
    property::merge(&mut known.properties, update.properties);
}

fn update_transaction(known: &mut v1::Transaction, update: v1::Transaction) {
    replace(&mut known.envelope, update.envelope, Option::is_some);
    replace(
        &mut known.transaction_number,
        update.transaction_number,
        |number| *number != 0,
    );
    merge_recipients(&mut known.recipients, update.recipients);
    property::merge(&mut known.properties, update.properties);
}

fn update_message(known: &mut v1::Message, update: v1::Message) {
    replace(&mut known.origin, update.origin, |origin| *origin != 0);
    replace(&mut known.received_at, update.received_at, Option::is_some);
    replace(&mut known.envelope, update.envelope, Option::is_some);
    merge_recipients(&mut known.recipients, update.recipients);
    replace(&mut known.headers, update.headers, Option::is_some);
    replace(&mut known.size_bytes, update.size_bytes, |size| *size != 0);
    property::merge(&mut known.properties, update.properties);
    replace(
        &mut known.parent_message_id,
        update.parent_message_id,
        |id| !id.is_empty(),
    );
    replace(&mut known.session_id, update.session_id, |id| {
        !id.is_empty()
    });
    replace(&mut known.server, update.server, |text| !text.is_empty());
    replace(&mut known.content_sha256, update.content_sha256, |digest| {
        !digest.is_empty()
    });
    replace(&mut known.expires_at, update.expires_at, Option::is_some);
}

fn merge_recipients(known: &mut Vec<v1::Recipient>, updates: Vec<v1::Recipient>) {
    if known.is_empty() {
        *known = updates;
        return;
    }
    // Looking each of a thousand up in a thousand would be felt.
    let places: HashMap<Bytes, usize> = known
        .iter()
        .enumerate()
        .map(|(place, recipient)| (recipient.recipient_id.clone(), place))
        .collect();
    for update in updates {
        match places
            .get(&update.recipient_id)
            .and_then(|place| known.get_mut(*place))
        {
            Some(recipient) => *recipient = update,
            None => known.push(update),
        }
    }
}
