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
use postern_events::inbound::Fate;
use postern_events::order::{Injection, Orders};
use postern_events::ruling::{Cause, Ruling};
use postern_message::recipient::without_duplicates;
use postern_message::{Draft, HeaderSection, Message, MessageId, Origin, Version};
use postern_smtp::reply::Reply;
use postern_spool::{
    Batch, Due, Durable, NewMessage, SpoolError, Stage, StoredBody, StoredMessage,
};
use postern_transport::{
    Cause as InjectedBy, Disposition, HeldRefusal, InjectionError, Injections, Position,
    disposition, draw,
};

use super::Reception;
use super::ruling::{Refused, hold_back, refusal};
use super::transaction::Ended;
use super::upload::{Arrived, Upload};
use crate::front::received::Trace;
use crate::front::replies;
use crate::front::submission::{Incomplete, Known};
use crate::metrics::labels::LimitName;

/// What the client hears of its message, and how its transaction ends with that.
pub(in crate::front) struct Answered {
    pub(in crate::front) reply: Reply,
    pub(in crate::front) disconnect: bool,
    pub(in crate::front) ended: Ended,
}

/// What the verdicts came to.
pub(in crate::front) enum Judged {
    /// The message is refused.
    Refused(Answered),
    /// It is to be kept, or dropped on record.
    Ready(Box<Ready>),
}

/// Waits for the verdicts about a message that has arrived whole.
pub(in crate::front) async fn judge(
    reception: Arc<Reception>,
    upload: Upload,
    since: Instant,
) -> Judged {
    let budget = Budget::starting(since, reception.server.message_budget);
    let size = upload.size();
    let arrived = match upload.finish(&reception).await {
        Ok(arrived) => arrived,
        Err(reply) => return Judged::Refused(refused(Refused::by_service(reply), size)),
    };
    let Arrived {
        message: id,
        body,
        section,
        exchange,
    } = arrived;
    let (ruling, draft, orders, skipped, passed) = match exchange {
        Some(exchange) => {
            let MessageRuling {
                ruling,
                draft,
                orders,
                skipped,
                passed,
            } = exchange.finish(&budget).await;
            let scope = &reception.scope;
            let budget = scope.reserving(&budget, EventKind::InboundMessage, b"");
            hold_back(&ruling, &budget).await;
            (ruling, draft, orders, skipped, passed)
        }
        None => (
            Ruling::proceed(EventKind::InboundMessage),
            reception.draft(),
            reception.scope.orders(),
            reception.scope.skipped(),
            Vec::new(),
        ),
    };
    match refusal(&ruling, &id) {
        Some(refusal) => Judged::Refused(refused(refusal, size)),
        None => Judged::Ready(Box::new(Ready {
            id,
            body,
            section,
            draft,
            orders,
            skipped,
            passed,
            ruling,
        })),
    }
}

/// A message on which nobody has anything more to say.
pub(in crate::front) struct Ready {
    id: MessageId,
    body: StoredBody,
    section: HeaderSection,
    draft: Draft,
    orders: Orders,
    skipped: Vec<String>,
    passed: Vec<String>,
    ruling: Ruling,
}

impl Ready {
    /// Octets of its content.
    pub(in crate::front) fn size(&self) -> u64 {
        self.body.size()
    }
}

/// Commits the message. The 250 leaves only with the proof that the spool gives.
/// `dropped`: sinks have dropped recipients at RCPT; a message to nobody else is dropped too.
pub(in crate::front) async fn commit(
    reception: Arc<Reception>,
    ready: Ready,
    dropped: bool,
) -> Answered {
    let is_to_nobody = dropped && ready.draft.recipients.is_empty();
    if is_to_nobody {
        return discard(&ready);
    }
    let at = SystemTime::now();
    let comes_to = disposition(
        &ready.ruling,
        &Position::Arriving,
        &reception.tools.schedule,
        HeldRefusal::default(),
        draw(ready.id, 1),
        at,
    );
    let (stage, due, fate) = match comes_to {
        Disposition::Goes(stage) => (stage, Due::At(at), Fate::Accepted),
        Disposition::Kept { stage, due } => (stage, Due::At(due), Fate::Held),
        Disposition::Quarantined { by, why, event } => {
            let stage = Stage::Quarantined { by, why, event };
            (stage, Due::Never, Fate::Quarantined)
        }
        Disposition::Discarded => return discard_with(&reception, &ready).await,
        Disposition::Refused(reply) | Disposition::Deferred { reply: Some(reply) } => {
            return refused(Refused::by_service(reply), ready.size());
        }
        Disposition::Deferred { reply: None } => {
            let reply = replies::storage_failed(ready.id);
            return refused(Refused::by_service(reply), ready.size());
        }
    };
    let Ready {
        id,
        body,
        section,
        mut draft,
        orders,
        skipped,
        passed,
        ruling,
    } = ready;
    let policy = &reception.server.policy;
    without_duplicates(&mut draft.recipients, |path| policy.is_ours(path));
    let size = body.size();
    let refused = |reply| refused(Refused::by_service(reply), size);
    if draft.recipients.is_empty() {
        return refused(replies::no_recipients_left());
    }
    // As it stands now: whoever is asked about the message later sees the same.
    let session = reception.scope.session();
    let trace = trace(&reception, id, session.as_ref(), &draft, at).field();
    let version = draft
        .version
        .clone()
        .unwrap_or_else(|| Version::original(&section, Some(size)));
    let version = match complete(&reception, id, &draft, &version, at) {
        Ok(version) => version,
        Err(Incomplete::From) => return refused(replies::no_from_field()),
        Err(error) => {
            tracing::error!(%id, %error, "a missing field could not be added");
            return refused(replies::storage_failed(id));
        }
    };
    let version = match version.put_trace(trace, section.fields().len()) {
        Ok(version) => version,
        Err(error) => {
            tracing::error!(%id, %error, "our own Received field was refused");
            return refused(replies::storage_failed(id));
        }
    };
    let Orders {
        mut handling,
        injected,
    } = orders;
    handling.keep_only(|id| draft.recipients.iter().any(|one| one.id == id));
    let injections = match put_in(&reception, id, &injected).await {
        Ok(injections) => injections,
        Err(reply) => return refused(reply),
    };
    let message = Arc::new(Message {
        skipped,
        passed,
        handling,
        ..message(&reception, id, session, draft, version, at)
    });
    let content = body.reader();
    let new = NewMessage {
        message: Arc::clone(&message),
        body,
        stage: stage.clone(),
        due,
    };
    let mut batch = Batch {
        insert: vec![new],
        ..Batch::default()
    };
    injections.join(&mut batch);
    match reception.tools.spool.commit(batch, &[]).await {
        Ok(proof) => {
            for stored in injections.committed() {
                reception.tools.onward.accept(stored);
            }
            reception.tools.onward.accept(StoredMessage {
                message: Arc::clone(&message),
                stage,
                due,
                content,
            });
            promise(message, &proof, fate, &ruling, size)
        }
        Err(error) => refused(storage_reply(&reception, id, &error)),
    }
}

/// The only place where a kept message becomes a 250.
fn promise(
    message: Arc<Message>,
    _proof: &Durable,
    fate: Fate,
    ruling: &Ruling,
    size: u64,
) -> Answered {
    let mut answered = positive(message.id, fate, ruling, size);
    answered.ended.kept = Some(message);
    answered
}

/// Accepted and dropped: the record is the log line.
fn discard(ready: &Ready) -> Answered {
    positive(ready.id, Fate::Discarded, &ready.ruling, ready.size())
}

/// As [`discard`], with what sinks put in instead.
async fn discard_with(reception: &Reception, ready: &Ready) -> Answered {
    if ready.orders.injected.is_empty() {
        return discard(ready);
    }
    let injections = match put_in(reception, ready.id, &ready.orders.injected).await {
        Ok(injections) => injections,
        Err(reply) => return refused(Refused::by_service(reply), ready.size()),
    };
    let mut batch = Batch::default();
    injections.join(&mut batch);
    match reception.tools.spool.commit(batch, &[]).await {
        Ok(_durable) => {
            for stored in injections.committed() {
                reception.tools.onward.accept(stored);
            }
            discard(ready)
        }
        Err(error) => {
            let reply = storage_reply(reception, ready.id, &error);
            refused(Refused::by_service(reply), ready.size())
        }
    }
}

/// Makes ready what sinks put in beside a message.
async fn put_in(
    reception: &Reception,
    id: MessageId,
    injections: &[Injection],
) -> Result<Injections, Reply> {
    if injections.is_empty() {
        return Ok(Injections::default());
    }
    let server = &reception.server;
    let cause = InjectedBy {
        parent: Some(id),
        by_verdict: true,
        server: &server.name,
        depth: 0,
    };
    let made = Injections::prepare(
        &*reception.tools.spool,
        injections,
        cause,
        |_| server.hostname.to_string(),
        |path| server.policy.is_ours(path),
        SystemTime::now(),
    );
    made.await.map_err(|error| match error {
        InjectionError::Spool(error) => storage_reply(reception, id, &error),
        InjectionError::Trace(error) => {
            tracing::error!(%id, %error, "what a sink puts in was refused");
            replies::storage_failed(id)
        }
    })
}

fn positive(id: MessageId, fate: Fate, ruling: &Ruling, size: u64) -> Answered {
    let reply = replies::queued(id);
    let by = ruling.by.as_ref();
    Answered {
        ended: Ended {
            by: by.map(|by| by.binding.to_string()),
            reason: ruling.reason_code.clone(),
            fault: by.and_then(|by| match &by.cause {
                Cause::Failure(_, fault) => Some(fault.to_string()),
                Cause::Verdict => None,
            }),
            ..Ended::accepted(fate, reply.clone(), size)
        },
        reply,
        disconnect: false,
    }
}

fn refused(refused: Refused, size: u64) -> Answered {
    let Refused {
        reply,
        disconnect,
        by,
    } = refused;
    Answered {
        ended: Ended::refused(reply.clone(), by, size),
        reply,
        disconnect,
    }
}

/// What a client hears when the spool fails, and what the operator reads.
pub(in crate::front) fn storage_reply(
    reception: &Reception,
    id: impl Display,
    error: &SpoolError,
) -> Reply {
    match error {
        SpoolError::NoSpace => {
            reception
                .tools
                .metrics
                .count_limit(&reception.server.name, LimitName::SpoolSpace);
            tracing::warn!(%id, "message refused for want of space in the spool");
            replies::no_space()
        }
        error => {
            tracing::error!(%id, %error, "message not stored");
            replies::storage_failed(id)
        }
    }
}

/// A message of a user with the fields that it lacks; others go as they came.
fn complete(
    reception: &Reception,
    id: MessageId,
    draft: &Draft,
    version: &Version,
    at: SystemTime,
) -> Result<Version, Incomplete> {
    let Some(submission) = &reception.server.submission else {
        return Ok(version.clone());
    };
    let known = Known {
        id,
        sender: &draft.envelope.sender,
        hostname: &reception.server.hostname,
        smtp_utf8: draft.envelope.smtp_utf8,
        at,
    };
    submission.completion.complete(version, &known)
}

fn trace<'a>(
    reception: &'a Reception,
    id: MessageId,
    session: Option<&'a SessionContext>,
    draft: &'a Draft,
    at: SystemTime,
) -> Trace<'a> {
    let only_recipient = match draft.recipients.as_slice() {
        // What it was rewritten to is nothing that the sender may read in a report.
        [only] => Some(only.given_address()),
        _ => None,
    };
    Trace {
        helo: session
            .and_then(|session| session.helo.as_ref())
            .map_or(b"", |helo| &helo.name),
        extended: session.is_some_and(SessionContext::is_extended),
        lmtp: reception.server.protocol == Protocol::Lmtp,
        authenticated: session.is_some_and(|session| session.authentication.is_some()),
        smtp_utf8: draft.envelope.smtp_utf8,
        priority: draft.envelope.priority,
        client: session.and_then(|session| session.client.address),
        reverse_name: session
            .map(|session| session.client.reverse_name.first())
            .and_then(|(name, confirmed)| confirmed.then_some(name)),
        tls: session.and_then(|session| session.tls.as_ref()),
        hostname: &reception.server.hostname,
        id,
        only_recipient,
        at,
    }
}

fn message(
    reception: &Reception,
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
        server: reception.server.name.to_string(),
        origin: match reception.server.protocol {
            Protocol::Smtp | Protocol::Submission => Origin::Smtp,
            Protocol::Lmtp => Origin::Lmtp,
        },
        received_at,
        envelope: draft.envelope,
        recipients: draft.recipients,
        properties: draft.properties,
        skipped: Vec::new(),
        passed: Vec::new(),
        version,
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    }
}
