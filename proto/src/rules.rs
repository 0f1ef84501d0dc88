//! The table of the protocol as Rust: what each event allows, and which grant each thing needs.
//!
//! Everything here is made from `postern/v1/rules.json`, the one source that the gateway, `postern check`, the
//! generated documents, this SDK's test kit and those of other languages share. Order is that of the wire: events by
//! number, decisions, edits, answers and actions by the number of their arm.

use crate::v1::{
    self, AskMode, EventKind, FinishScope, PropertyScope, Scope, answer, decision, edit,
    sink_action,
};

include!("generated/rules.rs");

/// A row of the table: one event.
#[derive(Debug)]
pub struct EventRule {
    /// The event.
    pub kind: EventKind,
    /// Its dotted name, as in configuration, logs and metrics: `inbound.rcpt`.
    pub name: &'static str,
    /// What its instance is about.
    pub scope: Scope,
    /// Other scopes in which it is asked too.
    pub also_in: &'static [Scope],
    /// The group whose time-out and failure policy it takes. None for one-way events.
    pub group: Option<Group>,
    /// The group in one of `also_in`, where it is another.
    pub group_in: &'static [(Scope, Group)],
    /// A verdict is awaited. One-way events are told.
    pub asked: bool,
    /// When a sink may choose to be asked. Empty for one-way events.
    pub ask_modes: &'static [AskMode],
    /// Decisions that it allows, for the message or the command as a whole.
    pub decisions: &'static [DecisionKind],
    /// How far `finish` may go. Empty where `finish` is not allowed.
    pub finish: &'static [FinishScope],
    /// Edits that it allows.
    pub edits: &'static [EditKind],
    /// Edits of recipients may name only the recipient that is asked about.
    pub edits_asked_recipient_only: bool,
    /// Typed answers that it takes.
    pub answers: &'static [AllowedAnswer],
    /// `proceed` without the answer is refused.
    pub answer_required: bool,
    /// Verbs of the service that may be answered with `respond`.
    pub respond_verbs: &'static [&'static str],
    /// Verbs that the service does not know may be answered with `respond` too.
    pub respond_unknown: bool,
    /// What properties may be set on.
    pub properties: &'static [PropertyScope],
    /// Failure policies that a binding may choose, and what each comes to.
    pub policies: &'static [(Policy, Effect)],
    /// What the policies come to after the remote has accepted the content. Empty: no difference.
    pub policies_after_acceptance: &'static [(Policy, Effect)],
    /// The event whose policies count if the question waits for RCPT.
    pub policies_at_rcpt: Option<EventKind>,
    /// A verdict may decide otherwise for some recipients.
    pub per_recipient: bool,
    /// Content may be shown with it, as deep as the binding says.
    pub shows_content: bool,
    /// The first version of the gateway that fires it: 1 now, more later.
    pub published_in: u32,
    /// Only the sink that the next hop `sink:NAME` names is asked.
    pub named_sink_only: bool,
    /// It is told again, one-way, when what was asked about has been done.
    pub told_after: bool,
    /// One-way, unless the binding's mode is `feed`: then `proceed` acknowledges it, within this group's time-out.
    pub feed_group: Option<Group>,
}

impl EventRule {
    /// Returns the number of its arm in `Event.kind`.
    pub const fn arm(&self) -> u32 {
        self.kind as u32 + 100
    }

    /// Whether the gateway of this version fires it.
    pub const fn published(&self) -> bool {
        self.published_in <= VERSION
    }

    /// Whether `decision` is allowed.
    pub fn allows(&self, decision: DecisionKind) -> bool {
        self.decisions.contains(&decision)
    }

    /// Whether `edit` is allowed.
    pub fn allows_edit(&self, edit: EditKind) -> bool {
        self.edits.contains(&edit)
    }

    /// Returns the group that counts in `scope`.
    pub fn group_in(&self, scope: Scope) -> Option<Group> {
        self.group_in
            .iter()
            .find_map(|&(at, group)| (at == scope).then_some(group))
            .or(self.group)
    }

    /// Returns what a failure policy comes to. None: a binding cannot choose it here.
    pub fn effect(&self, policy: Policy) -> Option<Effect> {
        self.policies
            .iter()
            .find_map(|&(allowed, effect)| (allowed == policy).then_some(effect))
    }
}

/// A typed answer at one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowedAnswer {
    /// Which one.
    pub kind: AnswerKind,
    /// The one arm of it that is taken here, by its name on the wire. None: all.
    pub arm: Option<&'static str>,
}

/// A decision.
#[derive(Debug)]
pub struct DecisionRule {
    /// The decision.
    pub kind: DecisionKind,
    /// Its name on the wire and in `may`.
    pub name: &'static str,
    /// The grant that it needs. None: every sink may.
    pub grant: Option<&'static str>,
    /// Classes of the reply that it may carry: first digits. Empty: it carries none.
    pub reply_classes: &'static [u8],
    /// After it a later binding's refusal does not reach the client any more.
    pub spares: bool,
}

/// An edit.
#[derive(Debug)]
pub struct EditRule {
    /// The edit.
    pub kind: EditKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// The grant that it needs. `headers:NAME` stands for the field that it names.
    pub grant: &'static str,
}

/// A typed answer.
#[derive(Debug)]
pub struct AnswerRule {
    /// The answer.
    pub kind: AnswerKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// The grant that it needs. None: it needs none, or takes what `also` says.
    pub grant: Option<&'static str>,
    /// Further grants for parts of it: the part, by its name on the wire, and the grant.
    pub also: &'static [(&'static str, &'static str)],
    /// The one decision that it goes with. None: `proceed` and `finish`.
    pub only_with: Option<DecisionKind>,
}

/// An action of a sink.
#[derive(Debug)]
pub struct ActionRule {
    /// The action.
    pub kind: ActionKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// The grant that it needs.
    pub grant: &'static str,
    /// Further grants for parts of it: the part, by its name on the wire, and the grant.
    pub also: &'static [(&'static str, &'static str)],
    /// Parts of it that need no grant.
    pub free: &'static [&'static str],
}

/// A word of [`DescribeRequest.features`](v1::DescribeRequest).
#[derive(Debug)]
pub struct FeatureRule {
    /// The word.
    pub name: &'static str,
    /// The first version of the gateway that has it.
    pub published_in: u32,
}

/// A group of events: they share a time-out and failure policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Connection and commands.
    Command,
    /// `inbound.headers`.
    Headers,
    /// `inbound.message`.
    Message,
    /// Transport.
    Transport,
    /// Outgoing sessions.
    Outgoing,
}

impl Group {
    /// All groups, in the order of a message's way.
    pub const ALL: [Self; 5] = [
        Self::Command,
        Self::Headers,
        Self::Message,
        Self::Transport,
        Self::Outgoing,
    ];

    /// Returns its word in `timeout` and `on_failure`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Headers => "headers",
            Self::Message => "message",
            Self::Transport => "transport",
            Self::Outgoing => "outgoing",
        }
    }
}

/// What a binding may choose for the case that its sink fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Policy {
    /// Go on without it.
    Continue,
    /// Refuse for now.
    Tempfail,
    /// Refuse for good.
    Reject,
    /// Keep and judge again.
    Hold,
    /// Keep until a person acts.
    Quarantine,
    /// End the connection.
    Disconnect,
}

impl Policy {
    /// All policies.
    pub const ALL: [Self; 6] = [
        Self::Continue,
        Self::Tempfail,
        Self::Reject,
        Self::Hold,
        Self::Quarantine,
        Self::Disconnect,
    ];

    /// Returns its word in `on_failure`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Tempfail => "tempfail",
            Self::Reject => "reject",
            Self::Hold => "hold",
            Self::Quarantine => "quarantine",
            Self::Disconnect => "disconnect",
        }
    }

    /// Whether a later binding's refusal does not reach the client any more, as after a decision that spares.
    pub const fn spares(self) -> bool {
        matches!(self, Self::Hold | Self::Quarantine)
    }
}

/// What a failure policy comes to at one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The binding is passed over.
    Skipped,
    /// The client reads a reply of this code.
    Reply(u16),
    /// The message is accepted, kept, and judged again.
    Held,
    /// The message is accepted and kept until a person acts.
    Quarantined,
    /// The message stays queued.
    Queued,
    /// The message fails, with a notification.
    Bounced,
    /// What has been decided or accepted already stands.
    Stands,
    /// The outgoing session ends; what was not sent is put off.
    SessionEnds,
    /// The size limit is imposed.
    LimitImposed,
}

/// Returns the row of an event. None only for [`EventKind::Unspecified`].
pub fn event(kind: EventKind) -> Option<&'static EventRule> {
    EVENTS
        .binary_search_by_key(&(kind as i32), |rule| rule.kind as i32)
        .ok()
        .map(|at| &EVENTS[at])
}

/// Returns the row of the event with this dotted name.
pub fn event_named(name: &str) -> Option<&'static EventRule> {
    EVENTS.iter().find(|rule| rule.name == name)
}

/// Whether `word` may stand in `reads`: `headers:Subject` and `properties:scores` included.
pub fn is_read_word(word: &str) -> bool {
    fits_one_of(READS, word)
}

/// Whether `word` may stand in `grants`: `headers:X-*` included.
pub fn is_grant_word(word: &str) -> bool {
    fits_one_of(GRANTS, word)
}

fn fits_one_of(patterns: &[&str], word: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.split_once(':') {
            // What is written large in the table stands for a name.
            Some((kind, name)) if name.starts_with(|first: char| first.is_ascii_uppercase()) => {
                word.split_once(':').is_some_and(|(found, argument)| {
                    found == kind && fits_name(argument, name.ends_with('*'))
                })
            }
            _ => *pattern == word,
        })
}

/// A field name (RFC 5322, 2.2) or a sink's name; as a prefix it ends in an asterisk.
fn fits_name(argument: &str, prefix: bool) -> bool {
    let name = match (prefix, argument.strip_suffix('*')) {
        (true, Some(name)) => name,
        (true, None) => return false,
        (false, _) => argument,
    };
    (1..=76).contains(&name.len())
        && name
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b':' && octet != b'*')
}
