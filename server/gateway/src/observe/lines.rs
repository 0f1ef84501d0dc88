//! The lines of the log about sinks.

use std::fmt;

use postern_dispatch::observer::{Record, What};
use postern_events::event::EventKind;

use crate::sink_advice;

/// One line for what an operator has to know, more at lower levels.
pub(super) fn log(record: &Record<'_>) {
    let id = Id(record);
    let event = record.event.map_or("", EventKind::name);
    let (binding, sink, replica) = (record.binding, record.sink, record.replica);
    match record.what {
        What::Failed { elapsed, fault } => {
            let (kind, detail) = (fault.kind.name(), &fault.detail);
            tracing::warn!(%id, event, binding, sink, replica, ?elapsed, kind, detail, "sink failed");
        }
        What::Answered {
            elapsed,
            decision,
            reason,
            explanation,
            warnings,
            ..
        } => {
            let decision = decision.name();
            if decision == "proceed" {
                tracing::debug!(
                    %id, event, binding, sink, replica, ?elapsed, decision, reason, explanation, "verdict"
                );
            } else {
                tracing::info!(
                    %id, event, binding, sink, replica, ?elapsed, decision, reason, explanation, "verdict"
                );
            }
            for warning in warnings {
                tracing::warn!(%id, event, binding, sink, warning, "remark of a sink");
            }
        }
        What::Dropped { count } => {
            tracing::warn!(%id, event, binding, sink, count, "one-way events were lost, the sink is too slow");
        }
        What::ReplicaUp { description } => {
            tracing::info!(sink, replica, description, "replica is reachable")
        }
        What::ReplicaDown { fault, retry_in } => {
            let advice = sink_advice::for_failure(replica, &fault.detail);
            tracing::warn!(sink, replica, %fault, ?retry_in, advice, "replica is not reachable");
        }
        What::AsksForMore { what } => {
            tracing::warn!(
                binding,
                sink,
                replica,
                %what,
                "what a sink says of itself is not what was accepted"
            );
        }
        What::ContractBroken { fault } => {
            // The session or message that it names.
            let about = record.detail;
            tracing::warn!(about, event, binding, sink, replica, %fault, "a sink broke the protocol");
        }
        What::Acted {
            deed: "refused",
            status,
            detail,
            ..
        } => {
            let status = status.name();
            tracing::debug!(
                binding,
                sink,
                replica,
                status,
                detail,
                "an action of a sink was refused"
            );
        }
        What::Acted {
            deed,
            status,
            detail,
            elapsed,
        } => {
            let status = status.name();
            tracing::info!(
                binding,
                sink,
                replica,
                deed,
                status,
                detail,
                ?elapsed,
                "a sink acted"
            );
        }
        What::GoingAway { drain, reason } => {
            tracing::info!(sink, replica, ?drain, reason, "a replica goes away");
        }
        What::Stalled => tracing::warn!(
            sink,
            replica,
            "a connection takes nothing more, the sink does not read; another one takes its place"
        ),
        What::TlsFiles {
            broken: Some(broken),
        } => tracing::warn!(
            sink,
            error = broken,
            "files of the sink's TLS cannot be used, those read before stay in use"
        ),
        What::TlsFiles { broken: None } => {
            tracing::info!(sink, "files of the sink's TLS can be used again");
        }
        What::SinkReachable => tracing::info!(sink, "sink is reachable"),
        What::SinkUnreachable { fault } => tracing::warn!(sink, %fault, "sink is not reachable"),
        What::Late => tracing::debug!(%id, event, binding, sink, replica, "verdict came too late"),
        What::Asked { deadline, again } => {
            tracing::trace!(%id, event, binding, sink, replica, ?deadline, again, "asked");
        }
        What::Told => tracing::trace!(%id, event, binding, sink, replica, "told"),
        What::Skipped { why } => tracing::trace!(%id, event, binding, why, "did not fire"),
        What::NotReached { because } => {
            tracing::debug!(%id, event, binding, because, "verdict not reached")
        }
        What::Ruled {
            elapsed,
            decision,
            by,
            ..
        } => {
            tracing::debug!(%id, event, ?elapsed, decision = decision.name(), by, "ruled");
        }
    }
}

/// The id under which a client that was refused asks the operator: the message's, else the session's.
struct Id<'a>(&'a Record<'a>);

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.message, self.0.session) {
            (Some(id), _) => id.fmt(f),
            (None, Some(id)) => id.fmt(f),
            (None, None) => f.write_str("-"),
        }
    }
}
