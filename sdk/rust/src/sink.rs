//! A sink: what it is, and its handlers.

mod checks;

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use postern_proto::rules;
use tower_layer::Layer;
use tower_service::Service;

use self::checks::Check;
use crate::call::{Answer, Call, Needs, Values};
use crate::event::{Interest, Told};
use crate::handler::Handler;
use crate::layer::{Failure, Judge, Judging, Question, layered};
use crate::message::INITIAL_CREDIT;
use crate::pace::Pace;
use crate::v1::{self, AskMode, EventKind, body_depth};

/// How many instances one stream of this SDK carries at a time.
const INSTANCES_PER_STREAM: u32 = 4096;

/// The protocol version that this SDK speaks.
const PROTOCOL_VERSION: u32 = 1;

/// Makes a [`Sink`] with the name of the program, or of the package where there is no program, and the package's version.
#[macro_export]
macro_rules! sink {
    () => {
        $crate::Sink::named_after(
            option_env!("CARGO_BIN_NAME").unwrap_or(env!("CARGO_PKG_NAME")),
            env!("CARGO_PKG_VERSION"),
        )
    };
}

/// A sink: a name, and a handler for each event that it wants.
///
/// Registering a handler is asking for its event; there is no other list. Two handlers for one event, a grant that does
/// not exist, or something that a handler takes and the sink does not have, is a [`StartError`] before anything is
/// served.
///
/// ```
/// use postern_sdk::{Fault, Rcpt, Sink, Verdict, inbound, sink};
///
/// async fn only_known(rcpt: Rcpt) -> Result<Verdict, Fault> {
///     Ok(match rcpt.address().is_within("example.org") {
///         true => Verdict::proceed(),
///         false => Verdict::reject("No such domain here"),
///     })
/// }
///
/// let sink = sink!().on(inbound::RCPT, only_known);
/// ```
pub struct Sink {
    description: v1::DescribeResponse,
    handlers: HashMap<EventKind, Registered>,
    settled: Option<Registered>,
    needs: Needs,
    carried: Values,
    carried_types: Vec<TypeId>,
    problems: Vec<String>,
    judge: Option<Judge>,
    check: Option<Check>,
}

/// Why a sink cannot be served: what is wrong with how it was built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sink {name} cannot be served: {}", problems.join("; "))]
pub struct StartError {
    name: String,
    problems: Vec<String>,
}

/// A handler and how it was registered.
pub(crate) struct Registered {
    pub(crate) run: Run,
    pub(crate) depth: Option<body_depth::Kind>,
    pub(crate) ask: AskMode,
    pub(crate) grouped: bool,
    pub(crate) pace: Arc<Pace>,
}

pub(crate) type Run = Arc<dyn Fn(Call) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A sink that is in order.
pub(crate) struct Ready {
    pub(crate) description: v1::DescribeResponse,
    pub(crate) handlers: HashMap<EventKind, Arc<Registered>>,
    pub(crate) settled: Option<Arc<Registered>>,
    pub(crate) needs: Needs,
    pub(crate) carried: Arc<Values>,
    pub(crate) judge: Option<Judge>,
    check: Option<Check>,
}

impl Ready {
    /// What is wrong with these bindings.
    pub(crate) fn problems(&self, bindings: &[v1::ConfiguredBinding]) -> Vec<v1::BindingProblem> {
        let of = |binding: &v1::ConfiguredBinding| {
            let name = binding.name.clone();
            let found = checks::problems(&self.needs, self.check.as_ref(), binding);
            found.into_iter().map(move |detail| v1::BindingProblem {
                binding: name.clone(),
                detail,
            })
        };
        bindings.iter().flat_map(of).collect()
    }
}

impl Sink {
    /// A sink of this name (`[a-z0-9][a-z0-9.-]{0,62}`) and version. [`sink!`](crate::sink) takes both from the crate.
    pub fn new(name: &str, version: &str) -> Self {
        let description = v1::DescribeResponse {
            name: name.to_owned(),
            version: version.to_owned(),
            protocol_version: PROTOCOL_VERSION,
            instances_per_stream: INSTANCES_PER_STREAM,
            initial_credit_bytes: INITIAL_CREDIT,
            ..Default::default()
        };
        Self {
            description,
            handlers: HashMap::new(),
            settled: None,
            needs: Needs::default(),
            carried: Values::default(),
            carried_types: Vec::new(),
            problems: Vec::new(),
            judge: None,
            check: None,
        }
    }

    /// A sink named after a program or package, whose name may hold what a sink's cannot.
    #[doc(hidden)]
    pub fn named_after(program: &str, version: &str) -> Self {
        Self::new(&program.to_ascii_lowercase().replace('_', "-"), version)
    }

    /// Gives it another name.
    pub fn name(mut self, name: &str) -> Self {
        self.description.name = name.to_owned();
        self
    }

    /// Says what it does, in one sentence of at most 200 characters.
    pub fn summary(mut self, summary: &str) -> Self {
        self.description.summary = summary.to_owned();
        self
    }

    /// Asks for an event and handles it. `event` is a constant of [`inbound`](crate::inbound),
    /// [`transport`](crate::transport) and so on, with its depth of content and its ask mode.
    pub fn on<B: 'static, M: 'static, A, H: Handler<B, M, A>>(
        mut self,
        event: Interest<B, M>,
        handler: H,
    ) -> Self {
        let grouped = TypeId::of::<M>() == TypeId::of::<crate::event::Grouped>();
        let registered = Registered {
            run: Arc::new(move |call| handler.call(call)),
            depth: event.depth,
            ask: event.ask,
            grouped,
            pace: Arc::default(),
        };
        self.note_needs(name_of(event.event), H::needs);
        self.register(event.event, registered);
        self
    }

    /// Hears of these events without being asked, all in one handler. Each is told if it can be; events that cannot be told
    /// are a [`StartError`].
    pub fn observe<A, H: Handler<(), Told, A>>(
        mut self,
        events: impl IntoIterator<Item = EventKind>,
        handler: H,
    ) -> Self {
        let run: Run = Arc::new(move |call| handler.call(call));
        let pace = Arc::<Pace>::default();
        for event in events {
            let rule = rules::event(event);
            let ask = match rule {
                Some(rule) if !rule.asked => AskMode::Unspecified,
                Some(rule) if rule.ask_modes.contains(&AskMode::Told) => AskMode::Told,
                _ => {
                    let problem = format!("{} cannot be told, only asked", name_of(event));
                    self.problems.push(problem);
                    continue;
                }
            };
            let registered = Registered {
                run: Arc::clone(&run),
                depth: None,
                ask,
                grouped: false,
                pace: Arc::clone(&pace),
            };
            self.register(event, registered);
        }
        self.note_needs("observe", H::needs);
        self
    }

    /// Hears what became of its verdicts: the handler takes [`Settled`](crate::Settled).
    pub fn settled<A, H: Handler<v1::Settled, Told, A>>(mut self, handler: H) -> Self {
        self.note_needs("settled", H::needs);
        self.needs.feature("settled");
        let registered = Registered {
            run: Arc::new(move |call| handler.call(call)),
            depth: None,
            ask: AskMode::Unspecified,
            grouped: false,
            pace: Arc::default(),
        };
        if self.settled.replace(registered).is_some() {
            self.problems.push("`settled` has two handlers".to_owned());
        }
        self
    }

    /// Gives it something to carry, which handlers take as [`Carried`](crate::Carried). One of each type.
    pub fn with<T: Send + Sync + 'static>(mut self, carried: T) -> Self {
        self.carried_types.push(TypeId::of::<T>());
        if !self.carried.put(carried) {
            let name = std::any::type_name::<T>();
            self.problems
                .push(format!("it is given two of {name} to carry"));
        }
        self
    }

    /// Reads this, as in a binding's `reads`: `"body"`, `"headers:Subject"`. Said nowhere: everything that its events
    /// show.
    pub fn reads(mut self, what: &str) -> Self {
        if !rules::is_read_word(what) {
            self.problems
                .push(format!("{what:?} is no word of `reads`"));
        }
        self.description.reads.push(what.to_owned());
        self
    }

    /// Its verdicts may do this, as in a binding's `may`: `"body"`, `"headers:X-*"`, `"finish"`. Refusing needs no grant.
    pub fn may(mut self, what: &str) -> Self {
        if !rules::is_grant_word(what) {
            self.problems.push(format!("{what:?} is no word of `may`"));
        }
        self.description.grants.push(what.to_owned());
        self
    }

    /// Asking it changes something outside: it is asked in its turn, and an event is not asked again elsewhere unless it is
    /// [`repeatable`](Self::repeatable).
    pub fn side_effects(mut self) -> Self {
        self.description.side_effects = true;
        self
    }

    /// The same event may be asked again, here or on another replica, in spite of the side effects.
    pub fn repeatable(mut self) -> Self {
        self.description.repeatable = true;
        self
    }

    /// Adds a verb to the service, which `inbound.command` answers. Needs the grant `respond`.
    pub fn verb(mut self, name: &str, help: &str) -> Self {
        self.description.verbs.push(v1::Verb {
            name: Bytes::copy_from_slice(name.as_bytes()),
            help: Bytes::copy_from_slice(help.as_bytes()),
        });
        self
    }

    /// Adds a keyword with its arguments to the reply to EHLO. Needs the grant `ehlo`.
    pub fn ehlo_keyword(mut self, keyword: &str) -> Self {
        let keyword = Bytes::copy_from_slice(keyword.as_bytes());
        self.description.ehlo_keywords.push(keyword);
        self
    }

    /// Looks at a binding before anything runs, when `postern check` asks: whether the sink can work with its properties,
    /// its `reads` and its `may`. Each text says which setting, what is wrong, and what to do. Properties that do not fit
    /// `P` are found without it; this is for what the type lets pass.
    pub fn check<P: Send + Sync + 'static>(
        mut self,
        check: impl Fn(&P, &v1::ConfiguredBinding) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        if self.check.replace(Check::of(check)).is_some() {
            self.problems.push("`check` is given twice".to_owned());
        }
        self
    }

    /// What it says of a binding when the gateway asks. Empty: it can work with it.
    pub fn problems(&self, binding: &v1::ConfiguredBinding) -> Vec<String> {
        checks::problems(&self.needs, self.check.as_ref(), binding)
    }

    /// Puts a tower layer around all its handlers: limits, time-outs, logs, metrics. The one put last is outermost.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Judging>,
        L::Service: Service<Question, Response = Answer> + Clone + Send + Sync + 'static,
        <L::Service as Service<Question>>::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        <L::Service as Service<Question>>::Future: Send + 'static,
    {
        self.judge = Some(layered(layer, self.judge.take()));
        self
    }

    /// What the sink says of itself, as the gateway is told.
    ///
    /// # Errors
    /// [`StartError`] lists what is wrong with how it was built.
    pub fn describe(&self) -> Result<v1::DescribeResponse, StartError> {
        let mut problems = self.problems.clone();
        problems.extend(self.needs.problems.iter().cloned());
        if !is_name(&self.description.name) {
            problems.push("its name is not [a-z0-9][a-z0-9.-]{0,62}".to_owned());
        }
        if self.handlers.is_empty() {
            problems.push("it handles no event".to_owned());
        }
        for (type_id, name) in &self.needs.carried {
            if !self.carried_types.contains(type_id) {
                problems.push(format!(
                    "a handler takes Carried<{name}>, and the sink is not given one by `with`"
                ));
            }
        }
        problems.extend(
            self.check
                .as_ref()
                .and_then(|check| check.problem(&self.needs)),
        );
        if !problems.is_empty() {
            return Err(StartError {
                name: self.description.name.clone(),
                problems,
            });
        }
        let mut description = self.description.clone();
        description.features = ["parts", "uploads", "cache"]
            .into_iter()
            .chain(self.needs.features.iter().copied())
            .map(str::to_owned)
            .collect();
        description.properties_schema = self.schema();
        let mut events: Vec<_> = self.handlers.iter().map(interest).collect();
        events.sort_by_key(|interest| interest.event);
        description.events = events;
        Ok(description)
    }

    /// Its name, version and summary, for help.
    #[cfg(feature = "cli")]
    pub(crate) fn introduction(&self) -> (&str, &str, &str) {
        let description = &self.description;
        (
            &description.name,
            &description.version,
            &description.summary,
        )
    }

    pub(crate) fn ready(self) -> Result<Arc<Ready>, StartError> {
        let description = self.describe()?;
        let handlers = self.handlers.into_iter();
        Ok(Arc::new(Ready {
            description,
            handlers: handlers
                .map(|(event, handler)| (event, Arc::new(handler)))
                .collect(),
            settled: self.settled.map(Arc::new),
            needs: self.needs,
            carried: Arc::new(self.carried),
            judge: self.judge,
            check: self.check,
        }))
    }

    fn note_needs(&mut self, of: &str, needs: fn(&mut Needs)) {
        let before = self.needs.problems.len();
        needs(&mut self.needs);
        for problem in &mut self.needs.problems[before..] {
            *problem = format!("the handler of {of} {problem}");
        }
    }

    fn register(&mut self, event: EventKind, registered: Registered) {
        if self.handlers.insert(event, registered).is_some() {
            self.problems
                .push(format!("{} has two handlers", name_of(event)));
        }
    }

    /// A sink whose handlers take no properties says so; they would go unread.
    fn schema(&self) -> Bytes {
        let schema = match &self.needs.properties {
            Some(properties) => (properties.schema)(),
            None => serde_json::json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {},
                "additionalProperties": false,
            }),
        };
        Bytes::from(schema.to_string())
    }
}

fn interest((event, registered): (&EventKind, &Registered)) -> v1::EventInterest {
    let body = registered
        .depth
        .map(|depth| v1::BodyDepth { kind: Some(depth) });
    v1::EventInterest {
        event: (*event).into(),
        body,
        ask: registered.ask.into(),
    }
}

/// The dotted name of an event, as configuration, logs and metrics have it: `inbound.mail`.
pub fn name_of(event: EventKind) -> &'static str {
    rules::event(event).map_or("unknown", |rule| rule.name)
}

/// The dotted name of an event that has happened.
pub fn event_name(event: &v1::event::Kind) -> &'static str {
    name_of(rules::event_kind(event))
}

fn is_name(name: &str) -> bool {
    crate::check::is_key(name) && !name.contains('_')
}

/// The failure of a layer or of a handler below it.
impl From<Failure> for Answer {
    fn from(failure: Failure) -> Self {
        Self::Verdict(Err(failure.0))
    }
}

#[cfg(test)]
mod tests;
