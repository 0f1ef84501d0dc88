//! What sinks do of their own accord: from an action as a sink sent it to one that may be carried out, or to its answer.
//!
//! A wrong action is answered, never a failure of its stream. What concerns messages, such as whether one is within reach of
//! the binding, is found out by whoever carries it out.

use std::time::Duration;

use bytes::Bytes;
use postern_message::{EditLimits, MessageId, RecipientId};
use postern_proto::v1 as pb;
use postern_smtp::reply::Reply;

use crate::check::{duration, next_hops, wait};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::order::Injection;
use crate::plan::{Binding, Plan};
use crate::route::NextHop;
use crate::validate::{goes, injection};
use crate::wire;

/// Messages in one action.
const MAX_MESSAGES: usize = 100;
/// Recipients in one action.
const MAX_RECIPIENTS: usize = 1000;
/// How long a link may be told to stand as it is told.
const MAX_LINK: Duration = Duration::from_secs(24 * 3600);
/// How long a link is halted that nobody said more of.
const USUAL_LINK: Duration = Duration::from_secs(3600);
/// Octets of a destination's name.
const MAX_DESTINATION: usize = 255;

/// An action that may be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Under this key it is carried out once. Empty: it only looks.
    pub key: String,
    /// Why, for the record.
    pub reason: String,
    /// What is wanted.
    pub deed: Deed,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Queued messages are changed.
    Change {
        /// The messages.
        messages: Vec<MessageId>,
        /// Recipients of the only message; none: all that are left.
        recipients: Vec<RecipientId>,
        /// What is done.
        change: QueueChange,
    },
    /// A message is put in.
    Inject {
        /// The message. Its limits are checked.
        injection: Box<Injection>,
        /// The message that caused it.
        parent: Option<MessageId>,
    },
    /// The way to a destination is halted or reopened.
    SetLink {
        /// A domain, or the name of a next hop.
        destination: String,
        /// How it is to stand, and for how long.
        state: LinkState,
    },
    /// Something is shown.
    LookUp(LookUp),
}

/// What is done to queued messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueChange {
    /// No attempt is made until somebody releases it, or this time is over.
    Hold(Option<Duration>),
    /// The hold ends.
    Release,
    /// The binding is asked about it again.
    Judge,
    /// Dropped without a notification, on record.
    Recall,
    /// Fails now, with this in the notification.
    Expire(Option<Reply>),
    /// Due now.
    Retry,
    /// Another way, or none of its own.
    Reroute(Vec<NextHop>),
}

impl QueueChange {
    /// The word for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hold(_) => "hold",
            Self::Release => "release",
            Self::Judge => "judge",
            Self::Recall => "recall",
            Self::Expire(_) => "expire",
            Self::Retry => "retry",
            Self::Reroute(_) => "reroute",
        }
    }
}

/// How the way to a destination stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// As the queue sees fit.
    Normal,
    /// Nothing is sent for this long.
    Halted(Duration),
    /// Tried now, whatever the queue thinks.
    Forced,
}

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookUp {
    /// The bindings of the sink.
    Bindings,
    /// A message.
    Message(MessageId),
    /// A destination.
    Destination(String),
}

impl Deed {
    /// The word for it, in logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Change { change, .. } => change.name(),
            Self::Inject { .. } => "inject",
            Self::SetLink { .. } => "set_link",
            Self::LookUp(_) => "look_up",
        }
    }
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Done, and durable.
    Done,
    /// It was done before, under the same key.
    DoneBefore,
    /// There is no such thing within reach of the binding.
    NotFound,
    /// Delivered, failed or gone.
    TooLate,
    /// Somebody has the message at this moment.
    Busy,
    /// It could not be done now.
    Failed,
    /// Too many, or too deep.
    Limited,
    /// It breaks a rule.
    Invalid,
    /// The binding has no grant for it.
    Forbidden,
}

impl Status {
    /// The word for it, in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::DoneBefore => "done_before",
            Self::NotFound => "not_found",
            Self::TooLate => "too_late",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Limited => "limited",
            Self::Invalid => "invalid",
            Self::Forbidden => "forbidden",
        }
    }

    const fn wire(self) -> pb::ActionStatus {
        match self {
            Self::Done => pb::ActionStatus::Done,
            Self::DoneBefore => pb::ActionStatus::DoneBefore,
            Self::NotFound => pb::ActionStatus::NotFound,
            Self::TooLate => pb::ActionStatus::TooLate,
            Self::Busy => pb::ActionStatus::Busy,
            Self::Failed => pb::ActionStatus::Failed,
            Self::Limited => pb::ActionStatus::Limited,
            Self::Invalid => pb::ActionStatus::Invalid,
            Self::Forbidden => pb::ActionStatus::Forbidden,
        }
    }
}

/// The answer to an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What became of it.
    pub status: Status,
    /// Why, for the sink's author.
    pub detail: String,
    /// The messages that were made or changed.
    pub messages: Vec<MessageId>,
    /// When to try again.
    pub retry_in: Option<Duration>,
}

impl Outcome {
    /// An answer that says no more than this.
    #[must_use]
    pub fn new(status: Status, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            messages: Vec::new(),
            retry_in: None,
        }
    }

    /// Done, to these messages.
    #[must_use]
    pub fn done(messages: Vec<MessageId>) -> Self {
        Self {
            messages,
            ..Self::new(Status::Done, "")
        }
    }

    /// Somebody has it: to be tried again soon.
    #[must_use]
    pub fn busy(detail: impl Into<String>) -> Self {
        Self {
            retry_in: Some(Duration::from_secs(2)),
            ..Self::new(Status::Busy, detail)
        }
    }

    /// As the wire says it.
    #[must_use]
    pub fn result(&self, action_id: u64) -> pb::ActionResult {
        let ids = self.messages.iter().map(|id| wire::id(id.as_bytes()));
        pb::ActionResult {
            action_id,
            status: self.status.wire().into(),
            detail: self.detail.clone(),
            message_ids: ids.collect(),
            retry_in: self.retry_in.map(wire::span),
            more_follows: false,
            found: None,
        }
    }
}

/// How a destination stands, as a sink is shown it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The domain, or the name of a next hop.
    pub destination: String,
    /// Nothing is sent there.
    pub halted: bool,
    /// Messages that wait for it after an attempt.
    pub queued: u64,
    /// The last failure, in a word.
    pub reason: String,
    /// Time to the next attempt.
    pub retry_in: Option<Duration>,
}

impl Link {
    /// As the wire says it.
    #[must_use]
    pub fn wire(&self) -> pb::Link {
        let state = if self.halted {
            pb::LinkState::Halted
        } else {
            pb::LinkState::Normal
        };
        pb::Link {
            destination: Bytes::copy_from_slice(self.destination.as_bytes()),
            state: state.into(),
            queued_count: self.queued,
            failure_count: 0,
            last_reply: (!self.reason.is_empty()).then(|| pb::Reply {
                lines: vec![Bytes::copy_from_slice(self.reason.as_bytes())],
                ..pb::Reply::default()
            }),
            retry_in: self.retry_in.map(wire::span),
        }
    }
}

/// Checks an action of a sink against the binding whose instance it came on.
///
/// # Errors
/// The answer that it gets.
pub fn check(action: pb::SinkAction, binding: &Binding, plan: &Plan) -> Result<Action, Outcome> {
    use pb::sink_action::Kind;
    let kind = action
        .kind
        .ok_or_else(|| invalid("an action of no known kind"))?;
    let key = action.idempotency_key;
    let deed = match kind {
        Kind::ChangeQueued(change) => change_queued(change, binding)?,
        Kind::Inject(inject) => inject_one(&inject, &key, binding, plan)?,
        Kind::ResetRoutes(_) => {
            may(binding, "act:routes")?;
            return Err(invalid("reset_routes is not in this version"));
        }
        Kind::SetLink(set) => set_link(&set, binding)?,
        Kind::LookUp(look) => Deed::LookUp(look_up(look, binding)?),
    };
    Ok(Action {
        key,
        reason: action.reason,
        deed,
    })
}

fn invalid(detail: impl Into<String>) -> Outcome {
    Outcome::new(Status::Invalid, detail)
}

/// What is wrong with an action would be the failure of a verdict.
fn of_fault(fault: Fault) -> Outcome {
    invalid(fault.detail)
}

fn may(binding: &Binding, grant: &str) -> Result<(), Outcome> {
    if binding.grants.has(grant) {
        return Ok(());
    }
    Err(Outcome::new(
        Status::Forbidden,
        format!("the binding's `may` does not grant {grant}"),
    ))
}

fn change_queued(own: pb::ChangeQueued, binding: &Binding) -> Result<Deed, Outcome> {
    use pb::change_queued::Change;
    may(binding, "act:queue")?;
    let messages = ids(
        &own.message_ids,
        "message",
        MAX_MESSAGES,
        MessageId::from_bytes,
    )?;
    if messages.is_empty() {
        return Err(invalid("no message is named"));
    }
    let recipients = ids(
        &own.recipient_ids,
        "recipient",
        MAX_RECIPIENTS,
        RecipientId::from_bytes,
    )?;
    if !recipients.is_empty() && messages.len() > 1 {
        return Err(invalid("recipients are named of one message only"));
    }
    let change = match own.change.ok_or_else(|| invalid("no change is named"))? {
        Change::HoldQueued(hold) => {
            may(binding, "hold")?;
            let at_most = hold.at_most.as_ref().map(|span| wait(span, "the hold"));
            QueueChange::Hold(at_most.transpose().map_err(of_fault)?)
        }
        Change::ReleaseQueued(_) => QueueChange::Release,
        Change::JudgeQueued(_) => {
            if !binding.has(EventKind::TransportSubmit) {
                return Err(invalid("the binding is not bound to transport.submit"));
            }
            QueueChange::Judge
        }
        Change::RecallQueued(_) => {
            may(binding, "discard")?;
            QueueChange::Recall
        }
        Change::ExpireQueued(expire) => QueueChange::Expire(expire.reply.map(reply).transpose()?),
        Change::RetryQueued(_) => QueueChange::Retry,
        Change::RerouteQueued(reroute) => {
            may(binding, "redirect")?;
            let hops = next_hops(reroute.next_hops).map_err(of_fault)?;
            hops.iter().try_for_each(goes).map_err(of_fault)?;
            QueueChange::Reroute(hops)
        }
    };
    let whole = matches!(
        change,
        QueueChange::Hold(_) | QueueChange::Release | QueueChange::Judge | QueueChange::Retry
    );
    if whole && !recipients.is_empty() {
        return Err(invalid(format!(
            "{} is of whole messages in this version",
            change.name()
        )));
    }
    Ok(Deed::Change {
        messages,
        recipients,
        change,
    })
}

/// Ids of 16 octets, each once.
fn ids<T: PartialEq>(
    octets: &[Bytes],
    what: &str,
    most: usize,
    make: impl Fn([u8; 16]) -> T,
) -> Result<Vec<T>, Outcome> {
    if octets.len() > most {
        return Err(invalid(format!(
            "{} {what}s, the limit is {most}",
            octets.len()
        )));
    }
    let mut ids = Vec::with_capacity(octets.len());
    for own in octets {
        let id = <[u8; 16]>::try_from(own.as_ref());
        let id = make(id.map_err(|_| invalid(format!("a {what} id has not 16 octets")))?);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// What a notification says: of class 5.
fn reply(own: pb::Reply) -> Result<Reply, Outcome> {
    let wrong = || invalid("the reply is no 5xx with text of printable ASCII");
    let code = u16::try_from(own.code).map_err(|_| wrong())?;
    let enhanced = std::str::from_utf8(&own.enhanced_code).map_err(|_| wrong())?;
    let lines: Result<Vec<&str>, _> = own
        .lines
        .iter()
        .map(|line| std::str::from_utf8(line))
        .collect();
    let text = lines.map_err(|_| wrong())?.join(" ");
    if !(500..600).contains(&code)
        || text.len() > 480
        || !text.bytes().all(|b| (32..127).contains(&b))
    {
        return Err(wrong());
    }
    let enhanced = if enhanced.is_empty() {
        "5.7.0"
    } else {
        enhanced
    };
    Reply::parse(code, Some(enhanced), &text).map_err(|_| wrong())
}

fn inject_one(
    own: &pb::Inject,
    key: &str,
    binding: &Binding,
    plan: &Plan,
) -> Result<Deed, Outcome> {
    may(binding, "act:inject")?;
    if !own.idempotency_key.is_empty() {
        return Err(invalid("the key is that of the action"));
    }
    let parent = match own.parent_message_id.len() {
        0 => None,
        _ => ids(
            std::slice::from_ref(&own.parent_message_id),
            "message",
            1,
            MessageId::from_bytes,
        )?
        .pop(),
    };
    if !own.server.is_empty() && !plan.serves(binding, &own.server) {
        return Err(Outcome::new(
            Status::NotFound,
            format!("the binding serves no virtual server {:?}", own.server),
        ));
    }
    let server = match (own.server.as_str(), parent, plan.only_server(binding)) {
        ("", Some(_), _) => String::new(),
        ("", None, Some(only)) => only.to_owned(),
        ("", None, None) => {
            return Err(invalid(
                "a message without parent names its virtual server, unless the binding serves only one",
            ));
        }
        (named, ..) => named.to_owned(),
    };
    let content = match own.content.as_ref().and_then(|data| data.kind.as_ref()) {
        Some(pb::data::Kind::Literal(octets))
            if octets.len() <= postern_proto::rules::bounds::LITERAL_BYTES =>
        {
            octets.clone()
        }
        Some(pb::data::Kind::Literal(octets)) => {
            return Err(invalid(format!(
                "{} octets of literal data, the limit is {}",
                octets.len(),
                postern_proto::rules::bounds::LITERAL_BYTES
            )));
        }
        Some(pb::data::Kind::UploadId(id)) => {
            return Err(invalid(format!("there is no finished upload {id}")));
        }
        None => return Err(invalid("an injected message needs content")),
    };
    let mut made = injection(own, content, &binding.sink.name, &binding.name).map_err(of_fault)?;
    made.idempotency_key = key.to_owned();
    if !server.is_empty() {
        fits(&made, &plan.limits(&server))?;
    }
    made.server = server;
    Ok(Deed::Inject {
        injection: Box::new(made),
        parent,
    })
}

/// Checks a message that is put in against the limits of its virtual server.
///
/// # Errors
/// The answer that the action gets.
pub fn fits(injection: &Injection, limits: &EditLimits) -> Result<(), Outcome> {
    injection
        .fits(limits)
        .map_err(|error| invalid(error.to_string()))
}

fn set_link(own: &pb::SetLink, binding: &Binding) -> Result<Deed, Outcome> {
    may(binding, "act:links")?;
    if !own.routing_class.is_empty() {
        return Err(invalid(
            "links of one routing class are not in this version",
        ));
    }
    let state = match pb::LinkState::try_from(own.state) {
        Ok(pb::LinkState::Normal) => LinkState::Normal,
        Ok(pb::LinkState::Halted) => {
            let span = own.at_most.as_ref().map(|span| duration(span, "the link"));
            let span = span.transpose().map_err(of_fault)?.unwrap_or(USUAL_LINK);
            if span > MAX_LINK {
                return Err(invalid("a link is halted for a day at most"));
            }
            LinkState::Halted(span)
        }
        Ok(pb::LinkState::Forced) => LinkState::Forced,
        Ok(pb::LinkState::Unspecified) | Err(_) => {
            return Err(invalid("the state of the link is unset or unknown"));
        }
    };
    Ok(Deed::SetLink {
        destination: destination(&own.destination)?,
        state,
    })
}

fn destination(octets: &Bytes) -> Result<String, Outcome> {
    let text = std::str::from_utf8(octets).ok().filter(|text| {
        (1..=MAX_DESTINATION).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
    });
    let text =
        text.ok_or_else(|| invalid("a destination is a domain or the name of a next hop"))?;
    Ok(text.to_ascii_lowercase())
}

fn look_up(own: pb::LookUp, binding: &Binding) -> Result<LookUp, Outcome> {
    use pb::look_up::What;
    match own
        .what
        .ok_or_else(|| invalid("nothing to look up is named"))?
    {
        What::Instance(_) => Err(invalid("an instance cannot be looked up in this version")),
        What::Bindings(_) => Ok(LookUp::Bindings),
        What::MessageId(id) => {
            may(binding, "act:look")?;
            let id = ids(&[id], "message", 1, MessageId::from_bytes)?.pop();
            id.map(LookUp::Message)
                .ok_or_else(|| invalid("no message is named"))
        }
        What::Destination(name) => {
            may(binding, "act:look")?;
            destination(&name).map(LookUp::Destination)
        }
    }
}

#[cfg(test)]
mod tests;
