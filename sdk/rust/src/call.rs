//! One call of a handler: the event, and all that its extractors take.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::check::Grants;
use crate::commands::Commands;
use crate::event::About;
use crate::link::Opening;
use crate::message::Feed;
use crate::message::Slot;
use crate::picture::Picture;
use crate::v1::{self, body_depth, event};
use crate::{Fault, Verdict};

/// Values of any type, one of each: the states of an instance, or what a sink carries with it.
#[derive(Default)]
pub(crate) struct Values(Mutex<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Values {
    /// The value of this type, made when it is first asked for.
    pub(crate) fn get_or_default<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values
            .entry(TypeId::of::<T>())
            .or_insert_with(|| Arc::new(T::default()));
        // The key is the type.
        Arc::clone(value).downcast().unwrap_or_default()
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(values.get(&TypeId::of::<T>())?).downcast().ok()
    }

    pub(crate) fn put<T: Send + Sync + 'static>(&self, value: T) -> bool {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(TypeId::of::<T>(), Arc::new(value)).is_none()
    }
}

/// What all events of an instance share.
pub(crate) struct Context {
    pub(crate) instance_id: u64,
    pub(crate) opening: Box<Opening>,
    pub(crate) grants: Arc<Grants>,
    pub(crate) sink_name: Arc<str>,
    /// The binding's properties, of the type that the sink's handlers take.
    pub(crate) properties: Arc<dyn Any + Send + Sync>,
    pub(crate) states: Values,
    pub(crate) commands: Commands,
    pub(crate) uploads: Mutex<HashMap<u64, Arc<Semaphore>>>,
    pub(crate) carried: Arc<Values>,
}

/// What a handler is called about. Extractors take what they give from it.
pub struct Call {
    pub(crate) context: Arc<Context>,
    pub(crate) message_states: Arc<Values>,
    pub(crate) picture: Picture,
    pub(crate) about: About,
    pub(crate) attributes: Vec<v1::NamedValue>,
    pub(crate) subject: Subject,
    /// Where the content comes in, and how much of it.
    pub(crate) content: Option<(Arc<Feed>, body_depth::Kind)>,
    pub(crate) slot: Arc<Slot>,
}

/// What the call is about.
pub(crate) enum Subject {
    Event(Box<event::Kind>),
    Group(Vec<(About, v1::InboundRcpt)>),
    Settled(v1::Settled),
    /// An extractor took it.
    Taken,
}

impl Call {
    /// The binding that is asked.
    pub fn binding(&self) -> &v1::Binding {
        &self.context.opening.binding.binding
    }

    /// What is known of session, transaction and message.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// What goes with every event.
    pub fn about(&self) -> &About {
        &self.about
    }
}

/// What a handler comes to.
#[derive(Debug)]
pub enum Answer {
    /// A verdict, or why there is none.
    Verdict(Result<Verdict, Fault>),
    /// A verdict for each member of a group.
    Verdicts(Result<Vec<Verdict>, Fault>),
    /// The event was told; nothing is answered.
    Heard(Result<(), Fault>),
}

/// What a handler may return where it is registered so: `M` is [`Asked`](crate::event::Asked),
/// [`Told`](crate::event::Told) or [`Grouped`](crate::event::Grouped).
#[diagnostic::on_unimplemented(
    message = "a handler that is {M} cannot return `{Self}`",
    note = "one that is asked returns a `Verdict` or a `Result<Verdict, Fault>`, one that is told returns nothing"
)]
pub trait IntoAnswer<M> {
    /// The answer.
    fn into_answer(self) -> Answer;
}

impl IntoAnswer<crate::event::Asked> for Verdict {
    fn into_answer(self) -> Answer {
        Answer::Verdict(Ok(self))
    }
}

impl<E: Into<Fault>> IntoAnswer<crate::event::Asked> for Result<Verdict, E> {
    fn into_answer(self) -> Answer {
        Answer::Verdict(self.map_err(Into::into))
    }
}

impl IntoAnswer<crate::event::Grouped> for Vec<Verdict> {
    fn into_answer(self) -> Answer {
        Answer::Verdicts(Ok(self))
    }
}

impl<E: Into<Fault>> IntoAnswer<crate::event::Grouped> for Result<Vec<Verdict>, E> {
    fn into_answer(self) -> Answer {
        Answer::Verdicts(self.map_err(Into::into))
    }
}

impl IntoAnswer<crate::event::Told> for () {
    fn into_answer(self) -> Answer {
        Answer::Heard(Ok(()))
    }
}

impl<E: Into<Fault>> IntoAnswer<crate::event::Told> for Result<(), E> {
    fn into_answer(self) -> Answer {
        Answer::Heard(self.map_err(Into::into))
    }
}

/// What a sink's handlers ask for beside events. Extractors note it when their handler is registered.
#[derive(Default)]
pub struct Needs {
    pub(crate) properties: Option<PropertiesType>,
    pub(crate) carried: Vec<(TypeId, &'static str)>,
    pub(crate) features: Vec<&'static str>,
    pub(crate) problems: Vec<String>,
    pub(crate) once: Vec<&'static str>,
}

impl Needs {
    /// Something that a handler can take only once.
    pub(crate) fn once(&mut self, what: &'static str) {
        if self.once.contains(&what) {
            self.problems.push(format!("takes {what} twice"));
        }
        self.once.push(what);
    }

    pub(crate) fn feature(&mut self, feature: &'static str) {
        if !self.features.contains(&feature) {
            self.features.push(feature);
        }
    }

    pub(crate) fn carried<T: 'static>(&mut self) {
        self.carried.push((TypeId::of::<T>(), type_name::<T>()));
    }

    pub(crate) fn properties(&mut self, wanted: PropertiesType) {
        match &self.properties {
            Some(known) if known.type_id != wanted.type_id => self.problems.push(format!(
                "takes the properties as {}, another handler as {}: there is one type for all",
                wanted.name, known.name
            )),
            _ => self.properties = Some(wanted),
        }
    }
}

impl Needs {
    /// The properties of a binding, as the handlers take them.
    pub(crate) fn read_properties(
        &self,
        json: &[u8],
    ) -> Result<Arc<dyn Any + Send + Sync>, String> {
        let json: &[u8] = if json.is_empty() { b"{}" } else { json };
        match &self.properties {
            Some(properties) => (properties.read)(json),
            None if is_empty_object(json) => Ok(Arc::new(())),
            None => Err("the sink takes no properties".to_owned()),
        }
    }
}

fn is_empty_object(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json)
        .is_ok_and(|object| object.is_empty())
}

/// Reads the properties of a binding.
type Reader = fn(&[u8]) -> Result<Arc<dyn Any + Send + Sync>, String>;

/// The type that a sink's handlers take the properties as.
#[derive(Clone)]
pub(crate) struct PropertiesType {
    pub(crate) type_id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) read: Reader,
    pub(crate) schema: fn() -> serde_json::Value,
}
