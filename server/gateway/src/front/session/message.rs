//! The end of a message: verdicts, edits, our trace field, the spool, and only then the 250.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use postern_config::settings::server::Protocol;
use postern_dispatch::exchange::MessageRuling;
use postern_events::budget::Budget;
use postern_events::context::SessionContext;
use postern_events::event::EventKind;
use postern_events::inbound::{Fate, Outcome};
use postern_events::ruling::{By, Cause, Decision, Ruling};
use postern_message::{Draft, HeaderSection, Message, MessageId, Origin, Version};
use postern_smtp::reply::Reply;
use postern_spool::{Due, Durable, NewMessage, SpoolError, Stage, StoredBody, StoredMessage};

use super::ruling::{hold_back, refusal};
use super::shared::Shared;
use super::upload::{Arrived, Upload};
use crate::front::received::Trace;
use crate::front::replies;
use crate::metrics::labels::{LimitName, MessageEnd, OfServer};

/// What the client hears of its message, and what sinks hear of it.
pub(super) struct Answered {
    pub(super) reply: Reply,
    pub(super) disconnect: bool,
    pub(super) outcome: Outcome,
}

/// What the verdicts came to.
pub(super) enum Judged {
    /// The message is refused.
    Refused(Answered),
    /// It is to be kept, or dropped on record.
    Ready(Box<Ready>),
}

/// Waits for the verdicts about a message that has arrived whole.
pub(super) async fn judge(shared: Arc<Shared>, upload: Upload, since: Instant) -> Judged {
    let budget = Budget::starting(since, shared.server.message_budget);
    let size = upload.size();
    let arrived = match upload.finish(&shared).await {
        Ok(arrived) => arrived,
        Err(reply) => return Judged::Refused(refused(&shared, reply, size)),
    };
    let Arrived {
        message: id,
        body,
        section,
        exchange,
    } = arrived;
    let (ruling, draft, skipped, passed) = match exchange {
        Some(exchange) => {
            let MessageRuling {
                ruling,
                draft,
                skipped,
                passed,
                ..
            } = exchange.finish(&budget).await;
            hold_back(&ruling, &budget).await;
            (ruling, draft, skipped, passed)
        }
        None => (
            Ruling::proceed(EventKind::InboundMessage),
            shared.draft(),
            shared.scope.skipped(),
            Vec::new(),
        ),
    };
    match refusal(&ruling, &id) {
        Some(refused) => {
            let by = ruling.by.map(|by| by.binding.to_string());
            let outcome = shared.refused(&refused.reply, by, size);
            Judged::Refused(Answered {
                reply: refused.reply,
                disconnect: refused.disconnect,
                outcome,
            })
        }
        None => Judged::Ready(Box::new(Ready {
            id,
            body,
            section,
            draft,
            skipped,
            passed,
            ruling,
        })),
    }
}

/// A message on which nobody has anything more to say.
pub(super) struct Ready {
    id: MessageId,
    body: StoredBody,
    section: HeaderSection,
    draft: Draft,
    skipped: Vec<String>,
    passed: Vec<String>,
    ruling: Ruling,
}

impl Ready {
    /// Octets of its content.
    pub(super) fn size(&self) -> u64 {
        self.body.size()
    }
}

/// Where the message goes, when it is looked at, and how it is counted.
struct Next {
    stage: Stage,
    due: Due,
    counted: MessageEnd,
    fate: Fate,
}

fn stage_for(shared: &Shared, ruling: &Ruling) -> Next {
    let now = SystemTime::now();
    let binding = ruling
        .by
        .as_ref()
        .map(|by| by.binding.to_string())
        .unwrap_or_default();
    match ruling.decision {
        Decision::Hold { .. } | Decision::Postpone(_) => {
            let stage = Stage::Held {
                event: ruling.event.name().to_owned(),
                binding,
                since: now,
                attempts: 0,
                waits_for: ruling.by.as_ref().and_then(waits_for),
            };
            let wait = match ruling.decision {
                Decision::Postpone(time) => time,
                Decision::Hold {
                    at_most: Some(time),
                } => time,
                _ => shared.tools.hold_for,
            };
            Next {
                stage,
                due: Due::At(now + wait),
                counted: MessageEnd::Held,
                fate: Fate::Held,
            }
        }
        Decision::Quarantine => Next {
            stage: Stage::Quarantined {
                by: binding,
                why: ruling.reason_code.clone(),
            },
            due: Due::Never,
            counted: MessageEnd::Quarantined,
            fate: Fate::Quarantined,
        },
        _ => Next {
            stage: Stage::submit(),
            due: Due::At(now),
            counted: MessageEnd::Accepted,
            fate: Fate::Accepted,
        },
    }
}

/// The binding whose sink failed, if that is why the message is kept.
fn waits_for(by: &By) -> Option<String> {
    matches!(by.cause, Cause::Failure(..)).then(|| by.binding.to_string())
}

/// Commits the message. The 250 leaves only with the proof that the spool gives.
/// `dropped`: sinks have dropped recipients at RCPT; a message to nobody else is dropped too.
pub(super) async fn commit(shared: Arc<Shared>, ready: Ready, dropped: bool) -> Answered {
    let is_to_nobody = dropped && ready.draft.recipients.is_empty();
    if matches!(ready.ruling.decision, Decision::Discard) || is_to_nobody {
        return discard(&shared, &ready);
    }
    let next = stage_for(&shared, &ready.ruling);
    let Ready {
        id,
        body,
        section,
        draft,
        skipped,
        passed,
        ruling,
    } = ready;
    let size = body.size();
    if draft.recipients.is_empty() {
        return refused(&shared, replies::no_recipients_left(), size);
    }
    let at = SystemTime::now();
    // As it stands now: whoever is asked about the message later sees the same.
    let session = shared.scope.session();
    let trace = trace(&shared, id, session.as_ref(), &draft, at).field();
    let version = draft
        .version
        .clone()
        .unwrap_or_else(|| Version::original(&section, Some(size)));
    let version = match version.put_trace(trace, section.fields().len()) {
        Ok(version) => version,
        Err(error) => {
            tracing::error!(%id, %error, "our own Received field was refused");
            return refused(&shared, replies::storage_failed(id), size);
        }
    };
    let message = Arc::new(Message {
        skipped,
        passed,
        ..message(&shared, id, session, draft, version, at)
    });
    let content = body.reader();
    let new = NewMessage {
        message: Arc::clone(&message),
        body,
        stage: next.stage.clone(),
        due: next.due,
    };
    match shared.tools.spool.insert(new).await {
        Ok(proof) => {
            note_accepted(&shared, &message, size, next.counted, &ruling);
            shared.tools.onward.accept(StoredMessage {
                message,
                stage: next.stage,
                due: next.due,
                content,
            });
            promise(&shared, id, &proof, next.fate, &ruling, size)
        }
        Err(error) => {
            let reply = storage_reply(&shared, id, &error);
            refused(&shared, reply, size)
        }
    }
}

/// The only place where a kept message becomes a 250.
fn promise(
    shared: &Shared,
    id: MessageId,
    _proof: &Durable,
    fate: Fate,
    ruling: &Ruling,
    size_bytes: u64,
) -> Answered {
    positive(shared, id, fate, ruling, size_bytes)
}

/// Accepted and dropped: the record is the log line.
fn discard(shared: &Shared, ready: &Ready) -> Answered {
    let by = ready.ruling.by.as_ref().map_or("", |by| &*by.binding);
    shared
        .tools
        .metrics
        .count_message(&shared.server.name, MessageEnd::Discarded);
    tracing::info!(
        id = %ready.id, session = %shared.session, server = %shared.server.name, client = shared.client, binding = by,
        sink = shared.sink_of(by), reason = ready.ruling.reason_code, sender = shared.show_sender(&ready.draft.envelope.sender),
        recipients = ready.draft.recipients.len(), size = ready.size(), "message discarded"
    );
    positive(
        shared,
        ready.id,
        Fate::Discarded,
        &ready.ruling,
        ready.size(),
    )
}

fn positive(
    shared: &Shared,
    id: MessageId,
    fate: Fate,
    ruling: &Ruling,
    size_bytes: u64,
) -> Answered {
    let reply = replies::queued(id);
    let decided_by = ruling.by.as_ref().map(|by| by.binding.to_string());
    Answered {
        outcome: shared.outcome(fate, Some(reply.clone()), decided_by, size_bytes),
        reply,
        disconnect: false,
    }
}

fn note_accepted(
    shared: &Shared,
    message: &Message,
    size: u64,
    counted: MessageEnd,
    ruling: &Ruling,
) {
    let name = &shared.server.name;
    let metrics = &shared.tools.metrics;
    metrics.count_message(name, counted);
    metrics
        .message_size
        .get_or_create(&OfServer {
            server: name.into(),
        })
        .observe(size as f64);
    let by = ruling.by.as_ref();
    let fault = by.and_then(|by| match &by.cause {
        Cause::Failure(_, fault) => Some(tracing::field::display(fault)),
        Cause::Verdict => None,
    });
    let binding = by.map(|by| &*by.binding);
    let reason = (!ruling.reason_code.is_empty()).then_some(ruling.reason_code.as_str());
    tracing::info!(
        id = %message.id, session = %shared.session, server = %name, client = shared.client,
        sender = shared.show_sender(&message.envelope.sender), recipients = message.recipients.len(), size,
        binding, sink = binding.and_then(|binding| shared.sink_of(binding)), reason, fault,
        "message {}", counted.name()
    );
    for recipient in &message.recipients {
        tracing::debug!(id = %message.id, recipient = shared.show_recipient(&recipient.address), "recipient");
    }
}

fn refused(shared: &Shared, reply: Reply, size: u64) -> Answered {
    Answered {
        outcome: shared.refused(&reply, None, size),
        reply,
        disconnect: false,
    }
}

/// What a client hears when the spool fails, and what the operator reads.
pub(super) fn storage_reply(shared: &Shared, id: impl Display, error: &SpoolError) -> Reply {
    match error {
        SpoolError::NoSpace => {
            shared
                .tools
                .metrics
                .count_limit(&shared.server.name, LimitName::SpoolSpace);
            tracing::warn!(%id, "message refused for want of space in the spool");
            replies::no_space()
        }
        error => {
            tracing::error!(%id, %error, "message not stored");
            replies::storage_failed(id)
        }
    }
}

fn trace<'a>(
    shared: &'a Shared,
    id: MessageId,
    session: Option<&'a SessionContext>,
    draft: &'a Draft,
    at: SystemTime,
) -> Trace<'a> {
    let only_recipient = match draft.recipients.as_slice() {
        [only] => Some(&only.address),
        _ => None,
    };
    Trace {
        helo: session
            .and_then(|session| session.helo.as_ref())
            .map_or(b"", |helo| &helo.name),
        extended: session.is_some_and(SessionContext::is_extended),
        lmtp: shared.server.protocol == Protocol::Lmtp,
        smtp_utf8: draft.envelope.smtp_utf8,
        client: session.and_then(|session| session.client.address),
        reverse_name: session
            .map(|session| session.client.reverse_name.first())
            .and_then(|(name, confirmed)| confirmed.then_some(name)),
        tls: session.and_then(|session| session.tls.as_ref()),
        hostname: &shared.server.hostname,
        id,
        only_recipient,
        at,
    }
}

fn message(
    shared: &Shared,
    id: MessageId,
    session: Option<SessionContext>,
    draft: Draft,
    version: Version,
    received_at: SystemTime,
) -> Message {
    Message {
        id,
        session: session.as_ref().map(|session| session.id),
        context: session.map_or_else(Bytes::new, |session| session.encode()),
        server: shared.server.name.to_string(),
        origin: match shared.server.protocol {
            Protocol::Smtp => Origin::Smtp,
            Protocol::Lmtp => Origin::Lmtp,
        },
        received_at,
        envelope: draft.envelope,
        recipients: draft.recipients,
        properties: draft.properties,
        skipped: Vec::new(),
        passed: Vec::new(),
        version,
    }
}
