//! The plan: every binding, checked and in order, and for each event of each virtual server the stage to run.
//!
//! A plan never changes. A change of configuration makes another plan, and whoever began on the old one ends on it.

pub mod additions;
mod build;
mod endpoint;
mod error;
mod order;
mod pin;
mod report;
mod reserve;
mod shown;
mod spec;
mod wants;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postern_message::EditLimits;
use postern_smtp::server::Additions;

use crate::condition::{Condition, Shown};
use crate::event::{EventGroup, EventKind};
use crate::fault::{FailurePolicy, FaultKind};
use crate::grant::{Grants, Reads};
use crate::rule::Rule;
use crate::wire::View;

pub use endpoint::{Endpoint, EndpointError};
pub use error::{Place, PlanError, PlanWarning, Problem};
pub use pin::{Pin, PinnedEvent, PinnedVerb};
pub use spec::{
    Ask, BindingSpec, BodyDepth, DEFAULT_PRIORITY, MAX_PRIORITY, PlanSpec, ServerSpec, SinkSpec,
    SinkTls, Timeouts,
};
pub use wants::{Caution, Shortfall, Stranger};
pub use wire::{ACTIONS_PER_MINUTE, CHUNK_BYTES, limits};

pub(crate) use reserve::longest;

/// A sink that bindings may name.
#[derive(Debug)]
pub struct Sink {
    /// Its name: also the namespace of its properties.
    pub name: Arc<str>,
    /// Where its replicas are.
    pub endpoints: Vec<Endpoint>,
    /// TLS files.
    pub tls: SinkTls,
    /// Questions that may be open at the same time, all replicas and threads together.
    pub concurrency: Option<u32>,
    open: AtomicI64,
}

impl Sink {
    /// Questions were asked, or answered and given up where `change` is negative.
    pub fn count_questions(&self, change: i64) {
        self.open.fetch_add(change, Ordering::Relaxed);
    }

    /// Questions that are open, all replicas and threads together.
    #[must_use]
    pub fn open_questions(&self) -> usize {
        usize::try_from(self.open.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// As many questions are open as may be: a further one is shed as `overload`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.concurrency
            .is_some_and(|most| self.open.load(Ordering::Relaxed) >= i64::from(most))
    }
}

/// One binding, checked.
#[derive(Debug)]
pub struct Binding {
    /// Its name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: String,
    /// Its sink.
    pub sink: Arc<Sink>,
    /// Another number after each change of the binding.
    pub revision: u64,
    /// The virtual servers that it is for; empty: all.
    pub servers: Vec<String>,
    /// Its events.
    pub events: Vec<Bound>,
    /// Its rule.
    pub rule: Rule,
    /// Its condition.
    pub condition: Option<Condition>,
    /// 0 to 32767, lower first.
    pub priority: u16,
    /// Its time-outs.
    pub timeouts: Timeouts,
    /// What is done when it fails.
    pub on_failure: FailurePolicy,
    /// What it is shown.
    pub reads: Reads,
    /// Bindings with the same number read the same.
    pub view: u32,
    /// What its verdicts may do.
    pub grants: Grants,
    /// The verbs that its sink adds to the service.
    pub verbs: Vec<PinnedVerb>,
    /// The keywords of EHLO that its sink adds, each with its arguments.
    pub ehlo_keywords: Vec<String>,
    /// It is asked in its turn, and on another replica only if `repeatable`.
    pub side_effects: bool,
    /// It may be asked again on another replica even though it has side effects.
    pub repeatable: bool,
    /// It is asked about messages, too, that its own sink put in.
    pub asks_about_own: bool,
    /// Attributes that are shown to it with each event.
    pub attributes: Vec<Shown>,
    /// Its properties: a JSON object, or empty.
    pub properties_json: Vec<u8>,
    /// The name of the program whose description was accepted.
    pub accepted_name: Option<String>,
    /// The user ids under which it answered on Unix sockets when it was accepted. Empty: any.
    pub accepted_users: Vec<u32>,
}

/// One event of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The event.
    pub event: EventKind,
    /// How much of the content is shown there.
    pub depth: BodyDepth,
    /// When it is asked.
    pub ask: Ask,
}

impl Binding {
    /// What it is at an event, if it is bound to it.
    #[must_use]
    pub fn bound(&self, event: EventKind) -> Option<&Bound> {
        self.events.iter().find(|own| own.event == event)
    }

    /// It is bound to this event.
    #[must_use]
    pub fn has(&self, event: EventKind) -> bool {
        self.bound(event).is_some()
    }

    /// How much of the content it is shown at this event.
    #[must_use]
    pub fn depth(&self, event: EventKind) -> BodyDepth {
        self.bound(event).map_or(BodyDepth::None, |own| own.depth)
    }

    /// Its time-out at this event. One-way events have none that matters: that of commands.
    #[must_use]
    pub fn timeout(&self, event: EventKind) -> Duration {
        match event.group() {
            EventGroup::Command | EventGroup::OneWay => self.timeouts.command,
            EventGroup::Headers => self.timeouts.headers,
            EventGroup::Message => self.timeouts.message,
            EventGroup::Transport => self.timeouts.transport,
            EventGroup::Outgoing => self.timeouts.outgoing,
        }
    }

    /// What it may see.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            reads: &self.reads,
            sink: &self.sink.name,
        }
    }

    /// Its verdict or its failure at this event may let the message be accepted in spite of a later refusal.
    #[must_use]
    pub fn may_spare(&self, event: EventKind) -> bool {
        let decides = event.rule().decisions.iter().any(|kind| {
            let rule = kind.rule();
            rule.spares && rule.grant.is_none_or(|grant| self.grants.has(grant))
        });
        decides
            || FaultKind::ALL
                .iter()
                .any(|kind| self.on_failure.at(event, *kind).spares())
    }
}

/// One binding's place in the chain of an event.
#[derive(Clone, Debug)]
pub struct Member {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The event that it is asked about: the stage's own, or one before it that waited.
    pub event: EventKind,
    /// Which of the questions of the stage that is, see [`Stage::joined`].
    pub about: usize,
    /// The last predecessor whose verdict must have been applied before this one is asked.
    pub after: Option<usize>,
    /// Whether it fires can be told only once the content has ended (its condition asks for sizes).
    pub needs_end: bool,
    /// Its time-out at this event.
    pub timeout: Duration,
    /// It may let the message be accepted in spite of a later refusal.
    pub spares: bool,
    /// A refusal is the reply to the next RCPT: the chain goes on.
    pub speaks_later: bool,
}

/// The chain of one event at one virtual server.
#[derive(Debug)]
pub struct Stage {
    /// The event.
    pub event: EventKind,
    /// Its members, in the order of their effect.
    pub members: Vec<Member>,
}

impl Stage {
    /// The stage with one of its members alone, who waits for nobody. `None`: the binding is not among them.
    #[must_use]
    pub fn only(&self, binding: &str) -> Option<Self> {
        let mut members = self.members.iter();
        let own = members.find(|own| *own.binding.name == *binding)?;
        Some(Self {
            event: self.event,
            members: vec![Member {
                after: None,
                ..own.clone()
            }],
        })
    }
}

/// Who is bound to one event at one virtual server, by when they are asked.
#[derive(Debug, Default)]
struct Stages {
    at_once: Option<Arc<Stage>>,
    at_rcpt: Vec<Arc<Binding>>,
    told: Vec<Arc<Binding>>,
}

impl Stages {
    fn is_wanted(&self) -> bool {
        self.at_once.is_some() || !self.at_rcpt.is_empty() || !self.told.is_empty()
    }
}

/// Everything that is bound, checked.
#[derive(Debug)]
pub struct Plan {
    sinks: Vec<Arc<Sink>>,
    bindings: Vec<Arc<Binding>>,
    servers: HashMap<String, (EditLimits, Vec<Stages>)>,
    /// What sinks add to each virtual server, where they do.
    additions: HashMap<String, Arc<Additions>>,
    warnings: Vec<PlanWarning>,
}

impl Plan {
    /// A plan without bindings.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sinks: Vec::new(),
            bindings: Vec::new(),
            servers: HashMap::new(),
            additions: HashMap::new(),
            warnings: Vec::new(),
        }
    }

    fn stages(&self, server: &str, event: EventKind) -> Option<&Stages> {
        self.servers.get(server)?.1.get(event.index())
    }

    /// The stage of this event at this virtual server: who is asked when it happens. `None` if nobody is.
    #[must_use]
    pub fn stage(&self, server: &str, event: EventKind) -> Option<&Arc<Stage>> {
        self.stages(server, event)?.at_once.as_ref()
    }

    /// Who is asked about this event together with the first RCPT after it.
    #[must_use]
    pub fn at_rcpt(&self, server: &str, event: EventKind) -> &[Arc<Binding>] {
        self.stages(server, event).map_or(&[], |own| &own.at_rcpt)
    }

    /// Who is told of this event with its next question.
    #[must_use]
    pub fn told(&self, server: &str, event: EventKind) -> &[Arc<Binding>] {
        self.stages(server, event).map_or(&[], |own| &own.told)
    }

    /// Something is bound to this event at this virtual server.
    #[must_use]
    pub fn wants(&self, server: &str, event: EventKind) -> bool {
        self.stages(server, event).is_some_and(Stages::is_wanted)
    }

    /// Something is bound to one of these events at this virtual server.
    #[must_use]
    pub fn wants_any(&self, server: &str, events: &[EventKind]) -> bool {
        let Some((_, stages)) = self.servers.get(server) else {
            return false;
        };
        let mut stages = events.iter().filter_map(|event| stages.get(event.index()));
        stages.any(Stages::is_wanted)
    }

    /// A binding is for this virtual server, and there is such a server.
    #[must_use]
    pub fn serves(&self, binding: &Binding, server: &str) -> bool {
        let named = binding.servers.is_empty() || binding.servers.iter().any(|own| own == server);
        named && self.servers.contains_key(server)
    }

    /// The virtual server that a binding is for, if it is only one.
    #[must_use]
    pub fn only_server<'a>(&'a self, binding: &'a Binding) -> Option<&'a str> {
        let mut all = self.servers.keys().filter(|own| self.serves(binding, own));
        let only = all.next()?;
        all.next().is_none().then_some(only.as_str())
    }

    /// What edits may come to for messages of this virtual server.
    #[must_use]
    pub fn limits(&self, server: &str) -> EditLimits {
        self.servers
            .get(server)
            .map_or_else(EditLimits::default, |(limits, _)| *limits)
    }

    /// The verbs and keywords that sinks add to this virtual server; `None`: none.
    #[must_use]
    pub fn additions(&self, server: &str) -> Option<&Arc<Additions>> {
        self.additions.get(server)
    }

    /// All enabled bindings, in the order of their effect.
    #[must_use]
    pub fn bindings(&self) -> &[Arc<Binding>] {
        &self.bindings
    }

    /// A binding of an earlier plan as it is in this one, by its name and its sink; `None`: it is there no more.
    #[must_use]
    pub fn same(&self, earlier: &Binding) -> Option<&Arc<Binding>> {
        self.bindings
            .iter()
            .find(|own| own.name == earlier.name && own.sink.name == earlier.sink.name)
    }

    /// The sinks that some enabled binding uses.
    #[must_use]
    pub fn sinks(&self) -> &[Arc<Sink>] {
        &self.sinks
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[PlanWarning] {
        &self.warnings
    }
}

#[cfg(test)]
mod tests;
