//! What the sinks decided about a message, as the log, the record and the sender's report name it.

use std::time::SystemTime;

use postern_events::fault::{Fault, FaultKind};
use postern_events::ruling::{Cause, Decision, Ruling};
use postern_message::{MessageId, Status};
use postern_smtp::reply::Reply;
use postern_spool::StoredMessage;

use super::judge::Judge;
use super::question::Question;

/// Who decided about a message, and why.
pub(super) struct Decided {
    id: MessageId,
    event: &'static str,
    /// The binding; empty where nobody objected.
    pub(super) binding: String,
    sink: String,
    reason: String,
    /// The binding failed, and its failure policy decided.
    fault: Option<Fault>,
    /// The message stays, to be asked about again.
    stays: bool,
}

impl Decided {
    pub(super) fn of(
        stored: &StoredMessage,
        question: &Question,
        ruling: &Ruling,
        judge: &dyn Judge,
    ) -> Self {
        let binding = ruling
            .by
            .as_ref()
            .map_or_else(String::new, |by| by.binding.to_string());
        let sink = judge.sink_of(&binding);
        let fault = ruling.by.as_ref().and_then(|by| match &by.cause {
            Cause::Failure(_, fault) => Some(fault.clone()),
            Cause::Verdict => None,
        });
        Self {
            id: stored.message.id,
            event: question.event.name(),
            binding,
            sink: sink.map_or_else(String::new, |sink| sink.to_string()),
            reason: ruling.reason_code.clone(),
            fault,
            stays: matches!(
                ruling.decision,
                Decision::Tempfail(_) | Decision::Disconnect(_) | Decision::Hold { .. }
            ),
        }
    }

    /// The binding whose sink failed, so that the message stays: it is asked about again when that sink is back.
    pub(super) fn waits_for(&self) -> Option<&str> {
        let failed = self.stays && self.fault.is_some();
        failed.then_some(self.binding.as_str())
    }

    /// The line of the log: a warning where a sink failed.
    pub(super) fn log(&self, what: &'static str, reply: Option<&Reply>) {
        let Self {
            id,
            event,
            binding,
            sink,
            reason,
            fault,
            ..
        } = self;
        let reply = reply.map(tracing::field::display);
        match fault {
            Some(fault) => {
                tracing::warn!(%id, event, binding, sink, reply, %fault, "message {what}");
            }
            None => tracing::info!(%id, event, binding, sink, reply, reason, "message {what}"),
        }
    }

    /// The status of the recipients. A report that is made of it names the cause: a sender whose mail comes to nothing
    /// because a filter fails learns which one, and how. What exactly it said is for the operator alone.
    pub(super) fn status(&self, reply: &Reply, at: SystemTime) -> Status {
        let mut status = words(reply, at);
        if let Some(fault) = &self.fault {
            let how = how(fault.kind);
            status.text = format!("{}; the filter {} {how}", status.text, self.binding);
        }
        status
    }
}

/// How a filter failed, in words for who sent the message.
pub(super) const fn how(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unreachable => "could not be reached",
        FaultKind::Timeout => "did not answer in time",
        FaultKind::Overload => "was too busy",
        FaultKind::Protocol => "gave an answer that could not be applied",
        FaultKind::Fault => "reported a failure of its own",
        FaultKind::Budget => "was not asked for want of time",
        FaultKind::Size => "cannot take a message of this kind or size",
    }
}

/// A reply as the status of recipients.
pub(super) fn words(reply: &Reply, at: SystemTime) -> Status {
    let text: Vec<_> = reply.text().iter().map(|line| line.as_str()).collect();
    Status {
        at,
        code: Some(reply.code().value()),
        enhanced: reply
            .enhanced()
            .map(|code| (code.class(), code.subject(), code.detail())),
        text: text.join("\n"),
        remote: None,
    }
}

/// A status of our own.
pub(super) fn own(class: u8, text: String, at: SystemTime) -> Status {
    Status {
        at,
        code: None,
        enhanced: Some((class, 0, 0)),
        text,
        remote: None,
    }
}
