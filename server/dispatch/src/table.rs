//! The one table of event, decision, edit and failure policy.
//!
//! The validator, the check of a plan and `docs/decisions-table.md` are made from it. What is not in it is the
//! sink's failure.

use crate::event::{EventGroup, EventKind};
use crate::fault::Policy;

/// Words that `may` takes in this version; header grants may name a field or a prefix.
pub const GRANT_WORDS: &[&str] = &[
    "headers",
    "body",
    "sender",
    "recipients",
    "finish",
    "discard",
    "reject",
    "tempfail",
    "quarantine",
];

/// Words that `reads` takes; headers and properties may be narrowed.
pub const READ_WORDS: &[&str] = &["headers", "body", "sender", "recipients", "properties"];

/// The kinds of edit that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EditKind {
    /// Header fields inserted, replaced, removed.
    Headers,
    /// Splices on the body.
    Body,
    /// Another sender.
    Sender,
    /// Recipients added, removed, rewritten, the list replaced.
    Recipients,
    /// Another address for the recipient that is asked about.
    RewriteRecipient,
    /// Properties of the session.
    SessionProperties,
    /// Properties of the message.
    MessageProperties,
    /// Properties of a recipient.
    RecipientProperties,
}

/// Whether a verdict at this event may hold edits of this kind, given the grant.
#[must_use]
pub const fn edit_allowed(event: EventKind, edit: EditKind) -> bool {
    use EventKind as E;
    match edit {
        EditKind::Headers | EditKind::Body | EditKind::Recipients => {
            matches!(
                event,
                E::InboundHeaders | E::InboundMessage | E::TransportSubmit
            )
        }
        EditKind::Sender => {
            matches!(
                event,
                E::InboundMail | E::InboundHeaders | E::InboundMessage | E::TransportSubmit
            )
        }
        EditKind::RewriteRecipient => {
            matches!(
                event,
                E::InboundRcpt | E::InboundHeaders | E::InboundMessage | E::TransportSubmit
            )
        }
        EditKind::SessionProperties => {
            matches!(
                event.group(),
                EventGroup::Command | EventGroup::Headers | EventGroup::Message
            )
        }
        EditKind::MessageProperties => matches!(
            event,
            E::InboundMail
                | E::InboundRcpt
                | E::InboundData
                | E::InboundHeaders
                | E::InboundMessage
                | E::TransportSubmit
        ),
        EditKind::RecipientProperties => {
            matches!(
                event,
                E::InboundRcpt
                    | E::InboundData
                    | E::InboundHeaders
                    | E::InboundMessage
                    | E::TransportSubmit
            )
        }
    }
}

/// Whether content may be shown at this event.
#[must_use]
pub const fn shows_content(event: EventKind) -> bool {
    matches!(
        event.group(),
        EventGroup::Headers | EventGroup::Message | EventGroup::Transport
    )
}

/// Whether a binding to this event may have this failure policy.
#[must_use]
pub const fn policy_allowed(event: EventKind, policy: Policy) -> bool {
    match event.group() {
        EventGroup::Command => !matches!(policy, Policy::Hold | Policy::Quarantine),
        EventGroup::Headers | EventGroup::Message => true,
        EventGroup::Transport => !matches!(policy, Policy::Disconnect),
        EventGroup::Outgoing => !matches!(policy, Policy::Hold | Policy::Quarantine),
        EventGroup::OneWay => matches!(policy, Policy::Continue),
    }
}

/// The failure policies that a binding to this event may have.
pub fn policies(event: EventKind) -> impl Iterator<Item = Policy> {
    Policy::ALL
        .into_iter()
        .filter(move |policy| policy_allowed(event, *policy))
}
