//! Who carries out what sinks do of their own accord. A seam: the dispatcher knows neither the queue nor the spool.

use std::fmt;
use std::sync::Arc;

use postern_events::action::{Action, Link, Outcome};
use postern_events::plan::{Binding, Plan};
use postern_message::Message;

use crate::content::BoxFuture;

/// Carries actions out. One for each runtime thread.
pub trait Actor: Send + Sync {
    /// Carries one out, and says what became of it. It is given up after a while, which does not undo it.
    fn act(&self, act: Act) -> BoxFuture<'static, Acted>;
}

/// An action, and on whose behalf.
#[derive(Clone, Debug)]
pub struct Act {
    /// What is wanted. Form and grants are checked.
    pub action: Action,
    /// The binding whose instance it came on.
    pub binding: Arc<Binding>,
    /// The plan in force.
    pub plan: Arc<Plan>,
}

/// What became of an action, and what was looked up.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The answer.
    pub outcome: Outcome,
    /// What was looked up.
    pub found: Option<Found>,
}

impl From<Outcome> for Acted {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            found: None,
        }
    }
}

/// What was looked up.
#[derive(Clone, Debug)]
pub enum Found {
    /// A message as it is now.
    Message(Arc<Message>),
    /// A destination.
    Link(Link),
}

/// The actor of a dispatcher, if it has one.
#[derive(Clone, Default)]
pub struct Acting(pub(crate) Option<Arc<dyn Actor>>);

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acting").field(&self.0.is_some()).finish()
    }
}
