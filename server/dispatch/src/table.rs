//! The one table of event, decision, edit and failure policy.
//!
//! The validator, the check of a plan and `docs/decisions-table.md` are made from it. What is not in it is the
//! sink's failure. No event that this version publishes asks for a typed answer, so an answer is one too.

mod docs;

use crate::event::{EventGroup, EventKind};
use crate::fault::Policy;
use crate::verdict::FinishScope;

pub use docs::render;

/// Words that `may` takes in this version; header grants may name a field or a prefix.
pub const GRANT_WORDS: &[&str] = &[
    "headers",
    "body",
    "sender",
    "recipients",
    "finish",
    "respond",
    "discard",
    "quarantine",
    "hold",
    "defer",
    "reject",
    "tempfail",
];

/// Words that `reads` takes; headers and properties may be narrowed.
pub const READ_WORDS: &[&str] = &["headers", "body", "sender", "recipients", "properties"];

/// The decisions of the protocol, without what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecisionKind {
    /// No objection.
    Proceed,
    /// The chain ends, the service goes on.
    Finish,
    /// The sink answered the command.
    Respond,
    /// Refused for good.
    Reject,
    /// Refused for now.
    Tempfail,
    /// Accepted and dropped.
    Discard,
    /// Kept until a person acts.
    Quarantine,
    /// Kept, judged again on the retry schedule.
    Hold,
    /// Judged again at a time.
    Defer,
    /// The connection ends.
    Disconnect,
}

impl DecisionKind {
    /// All decisions, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Proceed,
        Self::Finish,
        Self::Respond,
        Self::Reject,
        Self::Tempfail,
        Self::Discard,
        Self::Quarantine,
        Self::Hold,
        Self::Defer,
        Self::Disconnect,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::Finish => "finish",
            Self::Respond => "respond",
            Self::Reject => "reject",
            Self::Tempfail => "tempfail",
            Self::Discard => "discard",
            Self::Quarantine => "quarantine",
            Self::Hold => "hold",
            Self::Defer => "defer",
            Self::Disconnect => "disconnect",
        }
    }

    /// It needs the grant of the same name at this event. Those are the decisions that spare a message from what
    /// bindings behind would say, or put something in place of the service's own handling. A changed reply
    /// (`respond` at `inbound.response`) reports what has happened already and needs none.
    #[must_use]
    pub const fn needs_grant(self, event: EventKind) -> bool {
        match self {
            Self::Respond => !matches!(event, EventKind::InboundResponse),
            Self::Finish | Self::Discard | Self::Quarantine | Self::Hold | Self::Defer => true,
            Self::Proceed | Self::Reject | Self::Tempfail | Self::Disconnect => false,
        }
    }
}

/// Whether a verdict at this event may decide this, given the grant where one is needed.
#[must_use]
pub const fn decision_allowed(event: EventKind, decision: DecisionKind) -> bool {
    use EventKind as E;
    if event.is_one_way() || !event.is_published() {
        return false;
    }
    let content = matches!(event.group(), EventGroup::Headers | EventGroup::Message);
    let transport = matches!(event.group(), EventGroup::Transport);
    match decision {
        DecisionKind::Proceed | DecisionKind::Finish => true,
        // What a typed event stands for is never skipped: its checks would be skipped with it.
        DecisionKind::Respond => matches!(event, E::InboundCommand | E::InboundResponse),
        DecisionKind::Reject | DecisionKind::Tempfail => !matches!(event, E::InboundResponse),
        DecisionKind::Discard | DecisionKind::Quarantine | DecisionKind::Hold => {
            content || transport
        }
        DecisionKind::Defer => transport,
        DecisionKind::Disconnect => !transport,
    }
}

/// Whether `finish` may reach so far at this event.
#[must_use]
pub const fn finish_allowed(event: EventKind, scope: FinishScope) -> bool {
    use EventKind as E;
    match scope {
        FinishScope::Event => true,
        FinishScope::Message => matches!(
            event,
            E::InboundMail
                | E::InboundRcpt
                | E::InboundData
                | E::InboundHeaders
                | E::InboundMessage
        ),
    }
}

/// Whether a sink may answer this command itself (`respond` at `inbound.command`): the service does nothing for it but
/// reply, or does not know its verb. `known`: the service knows the verb.
#[must_use]
pub fn can_be_answered(verb: &str, known: bool) -> bool {
    /// Verbs of the service that change nothing (RFC 5321 section 4.1.1).
    const WITHOUT_EFFECT: [&str; 4] = ["NOOP", "HELP", "VRFY", "EXPN"];
    !known
        || WITHOUT_EFFECT
            .iter()
            .any(|own| own.eq_ignore_ascii_case(verb))
}

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

impl EditKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Headers,
        Self::Body,
        Self::Sender,
        Self::Recipients,
        Self::RewriteRecipient,
        Self::SessionProperties,
        Self::MessageProperties,
        Self::RecipientProperties,
    ];

    /// What it is called in the documentation and in faults.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Headers => "header fields",
            Self::Body => "splices on the body",
            Self::Sender => "another sender",
            Self::Recipients => "recipients added, removed, replaced",
            Self::RewriteRecipient => "a recipient rewritten",
            Self::SessionProperties => "properties of the session",
            Self::MessageProperties => "properties of the message",
            Self::RecipientProperties => "properties of a recipient",
        }
    }

    /// The grant that it needs; properties need none.
    #[must_use]
    pub const fn grant(self) -> Option<&'static str> {
        match self {
            Self::Headers => Some("headers"),
            Self::Body => Some("body"),
            Self::Sender => Some("sender"),
            Self::Recipients | Self::RewriteRecipient => Some("recipients"),
            Self::SessionProperties | Self::MessageProperties | Self::RecipientProperties => None,
        }
    }
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

#[cfg(test)]
mod tests;
