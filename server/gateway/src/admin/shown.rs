//! What the queue holds, as an operator is shown it.

use std::time::{Duration, SystemTime};

use postern_events::context::SessionContext;
use postern_message::{Message, Origin, Recipient, RecipientState, Status as Words};
use postern_proto::admin::v1::{
    DestinationSum, Keeper, MessageEntry, MessageState, RecipientEntry, SenderSum,
    ShowMessageResponse, SinkHealth, SinkStatus, StateCount, WaitingDestination,
};
use postern_smtp::address::ForwardPath;
use postern_spool::{Backlog, Entry, FromSender, Stage, StageCounts, StageKind, StoredMessage};
use prost_types::Timestamp;

use crate::observe::standing::Standing;

/// Recipients of one message that are shown.
const RECIPIENTS: usize = 1000;
/// Characters of a reply that are shown.
const REPLY: usize = 500;

pub(super) fn time(time: SystemTime) -> Option<Timestamp> {
    Some(time.into())
}

pub(super) fn entry(entry: Entry) -> MessageEntry {
    MessageEntry {
        id: entry.id.to_string(),
        state: state(entry.stage).into(),
        due: entry.due.and_then(time),
        server: entry.server,
        sender: entry.sender,
        size: entry.size,
        received: time(entry.received),
        recipients: entry.recipients,
        attempts: entry.attempts,
        reason: entry.reason.unwrap_or_default(),
        waiting: entry
            .waiting
            .into_iter()
            .map(|one| WaitingDestination {
                destination: one.destination,
                due: time(one.due),
                recipients: one.recipients,
                attempts: one.attempts,
                reason: one.reason,
            })
            .collect(),
    }
}

pub(super) fn state(stage: StageKind) -> MessageState {
    match stage {
        StageKind::Submit => MessageState::Submit,
        StageKind::Categorize => MessageState::Categorize,
        StageKind::Deliver => MessageState::Deliver,
        StageKind::Held => MessageState::Held,
        StageKind::Quarantined => MessageState::Quarantined,
        StageKind::OnHold => MessageState::OnHold,
        StageKind::Damaged => MessageState::Damaged,
    }
}

pub(super) fn states(counts: &StageCounts) -> Vec<StateCount> {
    let all = [
        (MessageState::Submit, counts.submit),
        (MessageState::Categorize, counts.categorize),
        (MessageState::Deliver, counts.deliver),
        (MessageState::Held, counts.held),
        (MessageState::Quarantined, counts.quarantined),
        (MessageState::OnHold, counts.on_hold),
        (MessageState::Damaged, counts.damaged),
    ];
    all.into_iter()
        .map(|(state, messages)| StateCount {
            state: state.into(),
            messages,
        })
        .collect()
}

pub(super) fn destination(sum: Backlog) -> DestinationSum {
    DestinationSum {
        destination: sum.destination,
        messages: sum.messages,
        recipients: sum.recipients,
        next: time(sum.next),
        reason: sum.reason,
    }
}

pub(super) fn sender(sum: FromSender) -> SenderSum {
    SenderSum {
        sender: sum.sender,
        messages: sum.messages,
        octets: sum.octets,
        oldest: time(sum.oldest),
    }
}

pub(super) fn sink(standing: Standing) -> SinkStatus {
    let health = match standing.is_up {
        None => SinkHealth::Unspecified,
        Some(true) => SinkHealth::Up,
        Some(false) => SinkHealth::Down,
    };
    SinkStatus {
        sink: standing.sink.to_string(),
        health: health.into(),
        reason: standing.why.unwrap_or_default(),
        open_questions: standing.open_questions as u64,
    }
}

/// All of a message. `destination` says where a recipient goes.
pub(super) fn message(
    listed: MessageEntry,
    stored: &StoredMessage,
    destination: impl Fn(&Message, &Recipient) -> Option<String>,
) -> ShowMessageResponse {
    let message = &stored.message;
    let session = SessionContext::decode(&message.context).ok();
    let helo = session.as_ref().and_then(|session| session.helo.as_ref());
    let (handling, injected) = (&message.handling, message.injected.as_ref());
    let after = |span: Option<Duration>| time(message.received_at.checked_add(span?)?);
    ShowMessageResponse {
        entry: Some(listed),
        origin: match message.origin {
            Origin::Smtp => "smtp",
            Origin::Lmtp => "lmtp",
            Origin::Dsn => "dsn",
            Origin::Sink => "sink",
        }
        .to_owned(),
        session: message
            .session
            .map_or_else(String::new, |id| id.to_string()),
        client: session
            .as_ref()
            .map_or_else(String::new, |session| match session.client.address {
                Some(address) => address.to_string(),
                None => "a Unix socket".to_owned(),
            }),
        helo: helo.map_or_else(String::new, |helo| {
            String::from_utf8_lossy(&helo.name).into_owned()
        }),
        keeper: keeper(&stored.stage),
        recipients: message
            .recipients
            .iter()
            .take(RECIPIENTS)
            .map(|one| recipient(one, destination(message, one)))
            .collect(),
        skipped: message.skipped.clone(),
        size_as_delivered: message.version.size().unwrap_or_default(),
        expires: after(handling.lifetime),
        warns: after(handling.warn_after),
        priority: message.envelope.priority.into(),
        routing_class: handling.routing_class.clone().unwrap_or_default(),
        put_in_by: injected.map_or_else(String::new, |own| own.sink.clone()),
        parent: injected
            .and_then(|own| own.parent)
            .map_or_else(String::new, |id| id.to_string()),
    }
}

fn keeper(stage: &Stage) -> Option<Keeper> {
    Some(match stage {
        Stage::OnHold { by, why, since, .. } => Keeper {
            reason: why.clone(),
            since: time(*since),
            operator: by.clone(),
            ..Keeper::default()
        },
        Stage::Quarantined { by, why, event } => Keeper {
            binding: by.clone(),
            event: event.clone(),
            reason: why.clone(),
            ..Keeper::default()
        },
        Stage::Held {
            event,
            binding,
            since,
            attempts,
            waits_for,
        } => Keeper {
            binding: binding.clone(),
            event: event.clone(),
            reason: match waits_for {
                Some(_) => format!("its sink failed; asked again {attempts} times"),
                None => format!("its verdict; asked again {attempts} times"),
            },
            since: time(*since),
            ..Keeper::default()
        },
        Stage::At { .. } => {
            let (binding, event) = stage.kept_by()?;
            Keeper {
                binding: binding.to_owned(),
                event: event.unwrap_or_default().to_owned(),
                reason: "it is asked again".to_owned(),
                ..Keeper::default()
            }
        }
        Stage::Deliver => return None,
    })
}

fn recipient(one: &Recipient, destination: Option<String>) -> RecipientEntry {
    let (state, attempts, words) = match &one.state {
        RecipientState::Pending { attempts, last, .. } => ("pending", *attempts, last.as_ref()),
        RecipientState::Delivered(words) => ("delivered", 0, Some(words)),
        RecipientState::Relayed(words) => ("relayed", 0, Some(words)),
        RecipientState::Failed(words) => ("failed", 0, Some(words)),
        RecipientState::Expired(words) => ("expired", 0, Some(words)),
        RecipientState::Discarded(words) => ("discarded", 0, Some(words)),
        RecipientState::Expanded(words) => ("expanded", 0, Some(words)),
    };
    RecipientEntry {
        address: address(&one.address),
        given: one.given.as_ref().map_or_else(String::new, address),
        state: state.to_owned(),
        attempts,
        due: one.state.due().and_then(time),
        destination: destination.unwrap_or_default(),
        reply: words.map_or_else(String::new, reply),
    }
}

fn address(path: &ForwardPath) -> String {
    match path.mailbox() {
        Some(mailbox) => mailbox.as_str().to_owned(),
        None => "Postmaster".to_owned(),
    }
}

fn reply(words: &Words) -> String {
    let code = words
        .code
        .map_or_else(String::new, |code| format!("{code} "));
    let host = words.remote.as_ref();
    let host = host.map_or_else(String::new, |host| format!("{host}: "));
    let text: String = words.text.chars().take(REPLY).collect();
    format!("{host}{code}{text}")
}
