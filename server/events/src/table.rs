//! What `rules.json` allows, as the plan asks for it and as the documentation shows it.

mod docs;

use crate::event::EventKind;
use crate::fault::Policy;

pub use docs::render;

/// Whether a binding to this event may have this failure policy.
#[must_use]
pub fn policy_allowed(event: EventKind, policy: Policy) -> bool {
    event.rule().effect(policy).is_some()
}

/// The failure policies that a binding to this event may have.
pub fn policies(event: EventKind) -> impl Iterator<Item = Policy> {
    Policy::ALL
        .into_iter()
        .filter(move |policy| policy_allowed(event, *policy))
}

#[cfg(test)]
mod tests;
