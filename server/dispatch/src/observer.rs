//! The one place where events are observed: logs, metrics and timelines are made from these records.

use std::fmt;
use std::time::Duration;

use postern_message::{Edit, MessageId, SessionId};
use postern_smtp::reply::Reply;

use postern_events::action::Status;
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_events::ruling::Decision;

/// Hears of everything that passes between the gateway and its sinks.
///
/// Called on the runtime thread, in the middle of the work: it must not block and should be quick.
pub trait Observer: Send + Sync {
    /// One thing happened.
    fn observe(&self, record: &Record<'_>);

    /// False where nobody would read the records of this event: they are not made then. Records about
    /// replicas, and faults, are always made.
    fn listens(&self, _event: EventKind) -> bool {
        true
    }
}

/// An observer that hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn observe(&self, _record: &Record<'_>) {}

    fn listens(&self, _event: EventKind) -> bool {
        false
    }
}

/// One thing that happened, with what is needed for a readable line about it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The virtual server.
    pub server: &'a str,
    /// The session, where there is one.
    pub session: Option<SessionId>,
    /// The message, where there is one.
    pub message: Option<MessageId>,
    /// The event; absent for records about a sink's replica as such.
    pub event: Option<EventKind>,
    /// What the event is about, such as the address of a recipient or the client's name.
    pub detail: &'a str,
    /// The binding; empty for records about a replica and for a ruling.
    pub binding: &'a str,
    /// The sink.
    pub sink: &'a str,
    /// The endpoint of the replica; empty where none was reached.
    pub replica: &'a str,
    /// What happened.
    pub what: What<'a>,
}

/// What happened.
#[derive(Clone, Copy)]
pub enum What<'a> {
    /// The event was sent to the sink, which is expected to answer.
    Asked {
        /// Time that the sink has.
        deadline: Duration,
        /// It was asked before, on a replica that was lost.
        again: bool,
    },
    /// A one-way event was sent.
    Told,
    /// The sink answered.
    Answered {
        /// From the question to the answer.
        elapsed: Duration,
        /// The decision.
        decision: &'a Decision,
        /// The reply that the sink wants the client to read.
        reply: Option<&'a Reply>,
        /// The edits that it asks for.
        edits: &'a [Edit],
        /// The sink's own word for why, for metrics.
        reason: &'a str,
        /// The sink's explanation, for traces.
        explanation: &'a str,
        /// Remarks for the operator.
        warnings: &'a [String],
    },
    /// The sink failed; the binding's failure policy speaks.
    Failed {
        /// From the question to the failure.
        elapsed: Duration,
        /// What went wrong.
        fault: &'a Fault,
    },
    /// The binding did not fire.
    Skipped {
        /// Why.
        why: &'a str,
    },
    /// The verdict reached no effect, because another decided before it.
    NotReached {
        /// The binding that decided.
        because: &'a str,
    },
    /// The chain of the event has ended.
    Ruled {
        /// From its begin to its end.
        elapsed: Duration,
        /// What was decided.
        decision: &'a Decision,
        /// The binding that decided; absent where no binding objected.
        by: Option<&'a str>,
        /// The reply for the client.
        reply: Option<&'a Reply>,
    },
    /// A verdict came too late, for an event that had been given up.
    Late,
    /// One-way events were lost because a queue was full.
    Dropped {
        /// How many since the last such record.
        count: u64,
    },
    /// A replica can be used.
    ReplicaUp {
        /// Name and version, as the sink describes itself.
        description: &'a str,
    },
    /// A replica cannot be used for now.
    ReplicaDown {
        /// What went wrong.
        fault: &'a Fault,
        /// For how long it is left alone.
        retry_in: Duration,
    },
    /// A connection to a replica takes nothing more, because the sink does not read. What was on it goes by another.
    Stalled,
    /// What the sink asks for is not what was accepted for its binding: it asks for more, and does not get it. Or
    /// who answers is not who was accepted, and is not asked.
    AsksForMore {
        /// What differs.
        what: &'a str,
    },
    /// Files of the sink's TLS cannot be used any more: what was read before stays in use. Or they can again.
    TlsFiles {
        /// What is wrong with them.
        broken: Option<&'a str>,
    },
    /// The sink broke the contract. The record names the binding, and the session or message as its detail.
    ContractBroken {
        /// What it did.
        fault: &'a Fault,
    },
    /// The sink did something of its own accord, or wanted to.
    Acted {
        /// What, in a word.
        deed: &'static str,
        /// What became of it.
        status: Status,
        /// Why, for the sink's author.
        detail: &'a str,
        /// From the action to its answer.
        elapsed: Duration,
    },
    /// A replica takes no new instances on a stream; it is about to stop.
    GoingAway {
        /// How long what is open has.
        drain: Duration,
        /// What it says.
        reason: &'a str,
    },
    /// Some replica of the sink can be used again, after none could.
    SinkReachable,
    /// No replica of the sink can be used.
    SinkUnreachable {
        /// Why not the last of them.
        fault: &'a Fault,
    },
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("event", &self.event)
            .field("binding", &self.binding)
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}
