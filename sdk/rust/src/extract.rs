//! Extractors: what a handler may take.

mod control;

use std::any::{Any, TypeId, type_name};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;

pub use self::control::{ActionError, Actions, Instance, Progress};
use crate::address::ReversePath;
use crate::call::{Call, Needs, PropertiesType, Subject};
use crate::event::{Event, EventBody, InTransaction, RcptGroup, ShowsMessage};
use crate::message::{Message, Pipe};
use crate::people::{Recipients, Sender, Session, Transaction};
use crate::picture::Picture;
use crate::v1::{self, FaultKind, body_depth, event};
use crate::{Fault, message};

/// Something that a handler of the event with the body `B` may take.
///
/// | extractor | gives |
/// | --- | --- |
/// | [`Event`], as [`Rcpt`](crate::Rcpt) and the like | what the event says |
/// | [`Message`] | header fields and body, to be read and edited |
/// | [`Session`], [`Sender`], [`Recipients`], [`Transaction`] | who takes part, as things stand at the event |
/// | [`Properties`] | what the operator configured |
/// | [`State`], [`MessageState`] | what is kept for the instance, for the message |
/// | [`Carried`] | what the sink was given by [`Sink::with`](crate::Sink::with) |
/// | [`Progress`], [`Instance`], [`Actions`] | more time; an end to events; things done unasked |
/// | [`Attributes`], [`Conduct`], [`Binding`], [`Picture`] | the rest of what the gateway tells |
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken by a handler of this event",
    note = "the event has nothing of the kind, or `{Self}` is no extractor"
)]
pub trait FromEvent<B>: Sized + Send + 'static {
    /// Takes it from the call.
    ///
    /// # Errors
    /// A fault that says what is missing; it is the answer to the event.
    fn from_event(call: &mut Call) -> Result<Self, Fault>;

    /// Notes what it needs, when its handler is registered.
    fn needs(needs: &mut Needs) {
        let _ = needs;
    }
}

impl<B: EventBody> FromEvent<B> for Event<B> {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        let Subject::Event(kind) = std::mem::replace(&mut call.subject, Subject::Taken) else {
            return Err(taken("the event"));
        };
        let body = B::of(*kind).ok_or_else(|| Fault::error("the event is of another kind"))?;
        Ok(Event::new(body, call.about.clone()))
    }

    fn needs(needs: &mut Needs) {
        needs.once("the event");
    }
}

impl FromEvent<v1::InboundRcpt> for RcptGroup {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        match std::mem::replace(&mut call.subject, Subject::Taken) {
            Subject::Group(members) => {
                let members = members.into_iter();
                Ok(Self(
                    members
                        .map(|(about, body)| Event::new(body, about))
                        .collect(),
                ))
            }
            Subject::Event(kind) => match *kind {
                event::Kind::InboundRcpt(body) => {
                    Ok(Self(vec![Event::new(*body, call.about.clone())]))
                }
                _ => Err(taken("the event")),
            },
            _ => Err(taken("the event")),
        }
    }

    fn needs(needs: &mut Needs) {
        needs.once("the event");
    }
}

/// Any event, as the protocol has it, without what is in the [`Picture`].
#[derive(Clone, Debug)]
pub struct AnyEvent(event::Kind);

impl Deref for AnyEvent {
    type Target = event::Kind;

    fn deref(&self) -> &event::Kind {
        &self.0
    }
}

impl<B> FromEvent<B> for AnyEvent {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        match &call.subject {
            Subject::Event(kind) => Ok(Self((**kind).clone())),
            _ => Err(taken("the event")),
        }
    }
}

/// What became of a verdict. Given to the handler of [`Sink::settled`](crate::Sink::settled).
#[derive(Clone, Debug)]
pub struct Settled(v1::Settled);

impl Deref for Settled {
    type Target = v1::Settled;

    fn deref(&self) -> &v1::Settled {
        &self.0
    }
}

impl FromEvent<v1::Settled> for Settled {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        match std::mem::replace(&mut call.subject, Subject::Taken) {
            Subject::Settled(settled) => Ok(Self(settled)),
            _ => Err(taken("what became of the verdict")),
        }
    }
}

fn taken(what: &str) -> Fault {
    Fault::error(format!("a handler takes {what} twice"))
}

impl<B: ShowsMessage> FromEvent<B> for Message {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        let (feed, depth) = call.content.take().unwrap_or_else(|| {
            (
                message::Feed::new(),
                body_depth::Kind::Nothing(v1::NoContent {}),
            )
        });
        let pipe = Pipe::new(feed, depth, Arc::clone(&call.context), call.about.event_id);
        Ok(Message::new(
            call.picture.clone(),
            Arc::clone(&call.context.grants),
            pipe,
            Arc::clone(&call.slot),
        ))
    }

    fn needs(needs: &mut Needs) {
        needs.once("the message");
    }
}

impl<B> FromEvent<B> for Session {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self {
            session: call.picture.session.clone().unwrap_or_default(),
            sink: Arc::clone(&call.context.sink_name),
        })
    }
}

impl<B: InTransaction> FromEvent<B> for Sender {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        // At MAIL there is no transaction yet: the sender is in the event.
        if let Subject::Event(kind) = &call.subject
            && let event::Kind::InboundMail(mail) = &**kind
            && let Some(envelope) = &mail.envelope
        {
            return Ok(Self(ReversePath::of_wire(&envelope.reverse_path)));
        }
        let envelope = call.picture.envelope();
        let envelope = envelope.ok_or_else(|| not_shown("the sender", "sender"))?;
        Ok(Self(ReversePath::of_wire(&envelope.reverse_path)))
    }
}

impl<B: InTransaction> FromEvent<B> for Recipients {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(Arc::clone(&call.picture.recipients)))
    }
}

impl<B: InTransaction> FromEvent<B> for Transaction {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        let (envelope, properties) = match (&call.picture.message, &call.picture.transaction) {
            (Some(message), _) => (&message.envelope, &message.properties),
            (None, Some(transaction)) => (&transaction.envelope, &transaction.properties),
            (None, None) => return Err(Fault::error("no transaction is running")),
        };
        Ok(Self {
            id: call.picture.message_id(),
            envelope: envelope.clone().unwrap_or_default(),
            properties: properties.clone(),
            sink: Arc::clone(&call.context.sink_name),
        })
    }
}

fn not_shown(what: &str, word: &str) -> Fault {
    Fault::error(format!(
        "the binding is not shown {what}: `reads` must have \"{word}\""
    ))
}

impl<B> FromEvent<B> for Picture {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(call.picture.clone())
    }
}

impl<B> FromEvent<B> for crate::event::About {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(call.about.clone())
    }
}

/// The client's conduct: counts, early talk, idle time. Empty where there is no session.
#[derive(Clone, Debug)]
pub struct Conduct(Arc<v1::Conduct>);

impl Deref for Conduct {
    type Target = v1::Conduct;

    fn deref(&self) -> &v1::Conduct {
        &self.0
    }
}

impl<B> FromEvent<B> for Conduct {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(call.picture.conduct.clone().unwrap_or_default()))
    }
}

/// The attributes that the operator chose to show (`[binding.attributes]`).
#[derive(Clone, Debug, Default)]
pub struct Attributes(Vec<v1::NamedValue>);

impl Attributes {
    /// The attribute of this name.
    pub fn get(&self, name: &str) -> Option<&v1::value::Kind> {
        let found = self.0.iter().find(|attribute| attribute.name == name)?;
        found.value.as_ref()?.kind.as_ref()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &v1::NamedValue> {
        self.0.iter()
    }
}

impl<B> FromEvent<B> for Attributes {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(call.attributes.clone()))
    }
}

/// The binding, as the operator configured it, with the bounds that the gateway enforces.
#[derive(Clone)]
pub struct Binding(Arc<crate::call::Context>);

impl Binding {
    /// The bounds that the gateway enforces.
    pub fn limits(&self) -> &v1::Limits {
        &self.0.opening.limits
    }

    /// Whether its verdicts may do this: a word of `may`, such as `body` or `headers:Subject`.
    pub fn may(&self, word: &str) -> bool {
        match word.strip_prefix("headers:") {
            Some(name) => self.0.grants.has_header(name.as_bytes()),
            None => self.0.grants.has(word),
        }
    }

    /// The gateway that asks: UUIDv7, new with each of its starts.
    pub fn gateway_id(&self) -> Bytes {
        self.0.opening.gateway_id.clone()
    }
}

impl Deref for Binding {
    type Target = v1::Binding;

    fn deref(&self) -> &v1::Binding {
        &self.0.opening.binding.binding
    }
}

impl<B> FromEvent<B> for Binding {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(Arc::clone(&call.context)))
    }
}

/// The properties of the binding: what the operator wrote under `[binding.properties]`.
///
/// They are read from JSON once for each binding and shared by all its instances. What does not fit is a fault that names
/// the reason. The schema of `P` is in the sink's description, so that `postern check` finds mistakes first. Costly
/// preparation (a compiled expression, a loaded key) belongs into `P`, by `#[serde(try_from)]`.
#[derive(Debug)]
pub struct Properties<P>(Arc<P>);

impl<P> Clone for Properties<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P> Deref for Properties<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}

impl<B, P> FromEvent<B> for Properties<P>
where
    P: DeserializeOwned + JsonSchema + Send + Sync + 'static,
{
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        let properties = Arc::clone(&call.context.properties).downcast();
        let properties = properties
            .map_err(|_| Fault::new(FaultKind::Properties, "the properties are of another type"))?;
        Ok(Self(properties))
    }

    fn needs(needs: &mut Needs) {
        needs.properties(PropertiesType {
            type_id: TypeId::of::<P>(),
            name: type_name::<P>(),
            read: |json| match serde_json::from_slice::<P>(json) {
                Ok(properties) => Ok(Arc::new(properties) as Arc<dyn Any + Send + Sync>),
                Err(error) => Err(error.to_string()),
            },
            schema: || {
                // Without references, which not every reader of schemas follows.
                let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
                settings
                    .into_generator()
                    .into_root_schema_for::<P>()
                    .to_value()
            },
        });
    }
}

/// What is kept for an instance, from its first event to its last: at inbound events the session, in transport the
/// message at one stage, in outgoing sessions the session.
///
/// It begins as the default, and again when the gateway has closed the instance while nothing was open and opens it anew;
/// the running transaction's events are told again then. What must outlive that is a property
/// ([`Verdict::session_property`](crate::Verdict::session_property)).
#[derive(Debug)]
pub struct State<T>(Arc<Mutex<T>>);

/// What is kept from a transaction's or message's first event to its last. It begins as the default.
#[derive(Debug)]
pub struct MessageState<T>(Arc<Mutex<T>>);

impl<T> State<T> {
    /// The state. It is locked while the guard lives, and the guard cannot be kept across an `.await`.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> MessageState<T> {
    /// The state. It is locked while the guard lives, and the guard cannot be kept across an `.await`.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B, T: Default + Send + 'static> FromEvent<B> for State<T> {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(call.context.states.get_or_default()))
    }
}

impl<B, T: Default + Send + 'static> FromEvent<B> for MessageState<T> {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        Ok(Self(call.message_states.get_or_default()))
    }
}

/// What the sink carries with it: a database, a client, counters. Given to it by [`Sink::with`](crate::Sink::with).
#[derive(Debug)]
pub struct Carried<T>(Arc<T>);

impl<T> Deref for Carried<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for Carried<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B, T: Send + Sync + 'static> FromEvent<B> for Carried<T> {
    fn from_event(call: &mut Call) -> Result<Self, Fault> {
        // A sink that lacks it does not start.
        let carried = call.context.carried.get();
        let missing = || Fault::error(format!("the sink carries no {}", type_name::<T>()));
        Ok(Self(carried.ok_or_else(missing)?))
    }

    fn needs(needs: &mut Needs) {
        needs.carried::<T>();
    }
}
