//! How a sink fails, and what the operator wants done then.

use std::fmt;

use crate::event::{EventGroup, EventKind};

pub use postern_proto::rules::Policy;

/// The kinds of failure that a failure policy tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// No replica could be reached, or the connection was lost.
    Unreachable,
    /// No verdict within the binding's own time-out.
    Timeout,
    /// More questions are open than the sink may have.
    Overload,
    /// It sent what it must not send.
    Protocol,
    /// It said itself that it failed, or a condition could not be evaluated.
    Fault,
    /// The time that the client's reply may take was used up.
    Budget,
    /// The question is too large for the sink: one element alone, or all of it for a sink that takes no parts.
    Size,
}

impl FaultKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Overload,
        Self::Protocol,
        Self::Fault,
        Self::Budget,
        Self::Size,
    ];

    /// The word used in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Overload => "overload",
            Self::Protocol => "protocol",
            Self::Fault => "fault",
            Self::Budget => "budget",
            Self::Size => "size",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One failure of one binding. The detail is for the operator and never reaches a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Fault {
    /// What kind.
    pub kind: FaultKind,
    /// What exactly, in one line of at most 4096 characters.
    pub detail: String,
}

impl Fault {
    /// A fault of this kind. The detail may hold a sink's own words: what would break or turn a line is left out.
    #[must_use]
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.contains(breaks_line) || detail.len() > DETAIL {
            let whole = detail.chars().filter(|c| !breaks_line(*c));
            detail = whole.take(DETAIL).collect();
        }
        Self { kind, detail }
    }

    /// The sink sent what it must not send.
    #[must_use]
    pub fn protocol(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Protocol, detail)
    }

    /// The question is too large.
    #[must_use]
    pub fn size(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Size, detail)
    }
}

/// Longest detail, in characters.
const DETAIL: usize = 4096;

/// Controls, and what turns the direction of the text behind it.
fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The policy of this word.
///
/// # Errors
/// The word, if no policy has it.
pub fn parse_policy(word: &str) -> Result<Policy, UnknownPolicy> {
    Policy::ALL
        .into_iter()
        .find(|policy| policy.name() == word)
        .ok_or_else(|| UnknownPolicy {
            word: word.to_owned(),
        })
}

/// A word that no policy has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no failure policy is called {word:?}")]
pub struct UnknownPolicy {
    /// What was given.
    pub word: String,
}

/// The failure policy of one binding: one policy for each policy group and kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailurePolicy {
    cells: [[Policy; FaultKind::ALL.len()]; 4],
}

impl FailurePolicy {
    /// The same policy everywhere.
    #[must_use]
    pub const fn uniform(policy: Policy) -> Self {
        Self {
            cells: [[policy; FaultKind::ALL.len()]; 4],
        }
    }

    /// Sets the policy of a group, of one kind or of all. Groups without a policy column are left alone.
    pub fn set(&mut self, group: EventGroup, kind: Option<FaultKind>, policy: Policy) {
        let Some(row) = group
            .policy_group()
            .and_then(|group| self.cells.get_mut(column(group)))
        else {
            return;
        };
        for (cell, of) in row.iter_mut().zip(FaultKind::ALL) {
            if kind.is_none_or(|kind| kind == of) {
                *cell = policy;
            }
        }
    }

    /// What to do when the binding fails at the events of a group; `Continue` for those without a policy.
    #[must_use]
    pub fn of_group(&self, group: EventGroup, kind: FaultKind) -> Policy {
        group
            .policy_group()
            .and_then(|group| self.cells.get(column(group)))
            .and_then(|row| row.get(kind as usize))
            .copied()
            .unwrap_or(Policy::Continue)
    }

    /// What to do when the binding fails at this event. One-way events have no policy: `Continue`.
    #[must_use]
    pub fn at(&self, event: EventKind, kind: FaultKind) -> Policy {
        self.of_group(event.group(), kind)
    }
}

impl Default for FailurePolicy {
    fn default() -> Self {
        Self::uniform(Policy::Tempfail)
    }
}

const fn column(group: EventGroup) -> usize {
    match group {
        EventGroup::Command => 0,
        EventGroup::Headers | EventGroup::Message => 1,
        EventGroup::Transport => 2,
        EventGroup::Outgoing | EventGroup::OneWay => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_line_of_bounded_length() {
        let detail = |text: &str| Fault::new(FaultKind::Fault, text).detail;
        assert_eq!(detail("a\r\nb\u{1b}[0m\u{202e}c"), "ab[0mc");
        assert_eq!(detail(&"ä".repeat(5000)).chars().count(), DETAIL);
        assert_eq!(detail("Grüße"), "Grüße");
    }

    #[test]
    fn a_cell_is_set_for_one_group_and_kind() {
        let mut policy = FailurePolicy::default();
        policy.set(EventGroup::Message, Some(FaultKind::Timeout), Policy::Hold);
        policy.set(EventGroup::Command, None, Policy::Continue);
        assert_eq!(
            policy.at(EventKind::InboundMessage, FaultKind::Timeout),
            Policy::Hold
        );
        assert_eq!(
            policy.at(EventKind::InboundHeaders, FaultKind::Timeout),
            Policy::Hold
        );
        assert_eq!(
            policy.at(EventKind::InboundMessage, FaultKind::Fault),
            Policy::Tempfail
        );
        assert_eq!(
            policy.at(EventKind::InboundRcpt, FaultKind::Budget),
            Policy::Continue
        );
        assert_eq!(
            policy.at(EventKind::TransportSubmit, FaultKind::Timeout),
            Policy::Tempfail
        );
    }
}
