//! The plan: every binding, checked and in order, and for each event of each virtual server the stage to run.
//!
//! A plan never changes. A change of configuration makes another plan, and whoever began on the old one ends on it.

mod build;
mod endpoint;
mod error;
mod order;
mod pin;
mod shown;
mod spec;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::condition::Condition;
use crate::event::{EventGroup, EventKind};
use crate::fault::FailurePolicy;
use crate::grant::{Grants, Reads};
use crate::rule::Rule;

pub use endpoint::{Endpoint, EndpointError};
pub use error::{Place, PlanError, PlanWarning, Problem};
pub use order::OWN_NAMESPACE;
pub use pin::{Pin, PinnedEvent};
pub use spec::{
    BindingSpec, BodyDepth, DEFAULT_PRIORITY, MAX_PRIORITY, PlanSpec, SinkSpec, SinkTls, Timeouts,
};

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
    /// Its events, with the depth of content that it is shown at each.
    pub events: Vec<(EventKind, BodyDepth)>,
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
    /// What its verdicts may do.
    pub grants: Grants,
    /// It is asked in its turn, and on another replica only if `repeatable`.
    pub side_effects: bool,
    /// It may be asked again on another replica even though it has side effects.
    pub repeatable: bool,
    /// Its properties: a JSON object, or empty.
    pub properties_json: Vec<u8>,
}

impl Binding {
    /// It is bound to this event.
    #[must_use]
    pub fn has(&self, event: EventKind) -> bool {
        self.events.iter().any(|(own, _)| *own == event)
    }

    /// How much of the content it is shown at this event.
    #[must_use]
    pub fn depth(&self, event: EventKind) -> BodyDepth {
        self.events
            .iter()
            .find(|(own, _)| *own == event)
            .map_or(BodyDepth::None, |(_, depth)| *depth)
    }

    /// Its time-out at this event. One-way events have none that matters: that of commands.
    #[must_use]
    pub const fn timeout(&self, event: EventKind) -> Duration {
        match event.group() {
            EventGroup::Command | EventGroup::OneWay => self.timeouts.command,
            EventGroup::Headers => self.timeouts.headers,
            EventGroup::Message => self.timeouts.message,
            EventGroup::Transport | EventGroup::Outgoing => self.timeouts.transport,
        }
    }
}

/// One binding's place in the chain of an event.
#[derive(Clone, Debug)]
pub struct Member {
    /// The binding.
    pub binding: Arc<Binding>,
    /// The last predecessor whose verdict must have been applied before this one is asked.
    pub after: Option<usize>,
    /// Whether it fires can be told only once the content has ended (its condition asks for sizes).
    pub needs_end: bool,
    /// Its time-out at this event.
    pub timeout: Duration,
}

/// The chain of one event at one virtual server.
#[derive(Debug)]
pub struct Stage {
    /// The event.
    pub event: EventKind,
    /// Its members, in the order of their effect.
    pub members: Vec<Member>,
}

/// Everything that is bound, checked.
#[derive(Debug)]
pub struct Plan {
    sinks: Vec<Arc<Sink>>,
    bindings: Vec<Arc<Binding>>,
    stages: HashMap<String, Vec<Option<Arc<Stage>>>>,
    warnings: Vec<PlanWarning>,
}

impl Plan {
    /// Checks sinks, bindings and accepted descriptions and makes a plan of them.
    ///
    /// `pins` are the descriptions that the operator accepted, by binding name.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub fn build(spec: PlanSpec, pins: &HashMap<String, Pin>) -> Result<Self, Vec<PlanError>> {
        build::build(spec, pins)
    }

    /// A plan without bindings.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sinks: Vec::new(),
            bindings: Vec::new(),
            stages: HashMap::new(),
            warnings: Vec::new(),
        }
    }

    /// The stage of this event at this virtual server; `None` if nothing is bound to it.
    #[must_use]
    pub fn stage(&self, server: &str, event: EventKind) -> Option<&Arc<Stage>> {
        self.stages.get(server)?.get(event.index())?.as_ref()
    }

    /// Something is bound to this event at this virtual server.
    #[must_use]
    pub fn wants(&self, server: &str, event: EventKind) -> bool {
        self.stage(server, event).is_some()
    }

    /// All enabled bindings, in the order of their effect.
    #[must_use]
    pub fn bindings(&self) -> &[Arc<Binding>] {
        &self.bindings
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
