//! Observes what passes between the gateway and its sinks: counts it, and writes what an operator needs to the log.
//!
//! The log holds no content. Addresses appear as `[log] addresses` says.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use postern_dispatch::observer::{Observer, Record, What};
use postern_events::event::EventKind;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;
use crate::metrics::labels::{Change, Endpoint, Faulted, OfSink, Reasoned, ReplicaChange, Ruled};
use crate::sink_advice;

pub mod addresses;

/// Counts, logs, and passes every record on to one more observer.
pub struct Watch {
    metrics: Arc<Metrics>,
    also: Option<Arc<dyn Observer>>,
    /// What was last said of each replica: that it can be used, or why not. Every runtime has its own connections; the
    /// operator is told once, and again when the reason is another.
    said: Mutex<HashMap<(String, String), Option<String>>>,
    /// The counters of verdicts by event and decision: there are many of them, and making their labels each time
    /// would cost more than counting.
    answered: RwLock<HashMap<(&'static str, &'static str), Vec<Answered>>>,
    /// Sinks, and what they asked for beyond what was accepted.
    asked: Mutex<HashSet<(String, String)>>,
    /// Bindings, and the reasons that their verdicts gave.
    reasons: Mutex<HashMap<String, HashSet<String>>>,
}

/// The counters of one binding's verdicts of one kind.
struct Answered {
    binding: Box<str>,
    sink: Box<str>,
    verdicts: Counter,
    time: Histogram,
}

/// So many different wishes are told; a sink that thinks of more has been noticed.
const WISHES: usize = 256;
/// So many different reasons of a binding are counted by their names, the others as `other`.
const REASONS: usize = 64;

impl Watch {
    /// Counts in `metrics`; `also` hears everything too.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, also: Option<Arc<dyn Observer>>) -> Self {
        Self {
            metrics,
            also,
            said: Mutex::default(),
            answered: RwLock::default(),
            asked: Mutex::default(),
            reasons: Mutex::default(),
        }
    }

    fn count_reason(&self, record: &Record<'_>, event: &'static str, reason: &str) {
        let is_named = {
            let mut reasons = self.reasons.lock();
            let known = reasons.entry(record.binding.to_owned()).or_default();
            known.contains(reason) || known.len() < REASONS && known.insert(reason.to_owned())
        };
        let reasoned = Reasoned {
            binding: record.binding.into(),
            sink: record.sink.into(),
            event,
            reason: if is_named { reason } else { "other" }.into(),
        };
        self.metrics.reasons.get_or_create(&reasoned).inc();
    }

    fn count_answer(
        &self,
        record: &Record<'_>,
        event: &'static str,
        decision: &'static str,
        elapsed: Duration,
    ) {
        let key = (event, decision);
        let known = |all: &HashMap<_, Vec<Answered>>| {
            let of_binding =
                |one: &&Answered| *one.binding == *record.binding && *one.sink == *record.sink;
            let Some(found) = all.get(&key).and_then(|list| list.iter().find(of_binding)) else {
                return false;
            };
            found.verdicts.inc();
            found.time.observe(elapsed.as_secs_f64());
            true
        };
        if known(&self.answered.read()) {
            return;
        }
        let verdict = Ruled {
            binding: record.binding.into(),
            sink: record.sink.into(),
            event,
            decision,
        };
        let of_sink = OfSink {
            sink: record.sink.into(),
            event,
        };
        let answered = Answered {
            binding: record.binding.into(),
            sink: record.sink.into(),
            verdicts: self.metrics.verdicts.get_or_create_owned(&verdict),
            time: self.metrics.sink_time.get_or_create_owned(&of_sink),
        };
        let mut all = self.answered.write();
        all.entry(key).or_default().push(answered);
        known(&all);
    }

    fn count(&self, record: &Record<'_>) {
        let event = record.event.map_or("", EventKind::name);
        match record.what {
            What::Answered {
                elapsed,
                decision,
                reason,
                ..
            } => {
                self.count_answer(record, event, decision.name(), elapsed);
                if !reason.is_empty() {
                    self.count_reason(record, event, reason);
                }
            }
            What::Failed { fault, .. } => {
                let failure = Faulted {
                    binding: record.binding.into(),
                    sink: record.sink.into(),
                    event,
                    kind: fault.kind.name(),
                };
                self.metrics.faults.get_or_create(&failure).inc();
            }
            What::Late => {
                self.metrics
                    .late
                    .get_or_create(&Endpoint {
                        sink: record.sink.into(),
                    })
                    .inc();
            }
            What::Dropped { count } => {
                self.metrics
                    .dropped
                    .get_or_create(&Endpoint {
                        sink: record.sink.into(),
                    })
                    .inc_by(count);
            }
            What::ReplicaUp { .. } => self.count_change(record, Change::Up),
            What::ReplicaDown { .. } => self.count_change(record, Change::Down),
            What::Asked { .. }
            | What::Told
            | What::Skipped { .. }
            | What::NotReached { .. }
            | What::Ruled { .. }
            | What::AsksForMore { .. }
            | What::ContractBroken { .. }
            | What::GoingAway { .. }
            | What::SinkReachable
            | What::SinkUnreachable { .. } => {}
        }
    }

    /// Whether it is news that the replica can be used, or that it cannot for this reason.
    fn is_news(&self, record: &Record<'_>, why_not: Option<&str>) -> bool {
        let replica = (record.sink.to_owned(), record.replica.to_owned());
        let why_not = why_not.map(str::to_owned);
        self.said.lock().insert(replica, why_not.clone()) != Some(why_not)
    }

    /// Whether it is news that the sink asks for this. It is asked anew by every runtime and at each connection.
    fn is_new_wish(&self, record: &Record<'_>, what: &str) -> bool {
        let mut asked = self.asked.lock();
        asked.len() < WISHES && asked.insert((record.sink.to_owned(), what.to_owned()))
    }

    fn count_change(&self, record: &Record<'_>, change: Change) {
        let label = ReplicaChange {
            sink: record.sink.into(),
            replica: record.replica.into(),
            change,
        };
        self.metrics.replica_changes.get_or_create(&label).inc();
    }
}

impl Observer for Watch {
    fn observe(&self, record: &Record<'_>) {
        self.count(record);
        match record.what {
            What::ReplicaUp { .. } if !self.is_news(record, None) => {}
            What::ReplicaDown { fault, .. } if !self.is_news(record, Some(&fault.detail)) => {}
            What::AsksForMore { what } if !self.is_new_wish(record, what) => {}
            _ => log(record),
        }
        if let Some(also) = &self.also {
            also.observe(record);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// One line for what an operator has to know, more at lower levels.
fn log(record: &Record<'_>) {
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
            tracing::info!(sink, replica, description, "sink is reachable")
        }
        What::ReplicaDown { fault, retry_in } => {
            let advice = sink_advice::for_failure(replica, &fault.detail);
            tracing::warn!(sink, replica, %fault, ?retry_in, advice, "sink is not reachable");
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
            tracing::warn!(%id, event, binding, sink, replica, %fault, "a sink broke the protocol");
        }
        What::GoingAway { drain, reason } => {
            tracing::info!(sink, replica, ?drain, reason, "a replica goes away");
        }
        What::SinkReachable => tracing::info!(sink, "sink can be reached"),
        What::SinkUnreachable { fault } => tracing::warn!(sink, %fault, "sink cannot be reached"),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use postern_events::fault::{Fault, FaultKind};
    use postern_events::ruling::Decision;

    use super::*;

    struct Counted(AtomicUsize);

    impl Observer for Counted {
        fn observe(&self, _record: &Record<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn record(what: What<'_>) -> Record<'_> {
        Record {
            server: "inbound",
            session: None,
            message: None,
            event: Some(EventKind::InboundRcpt),
            detail: "",
            binding: "check",
            sink: "checker",
            replica: "http://127.0.0.1:7001",
            what,
        }
    }

    #[test]
    fn what_a_sink_asks_for_beyond_is_news_once() {
        let watch = Watch::new(Metrics::new(), None);
        let news = |what: &str| {
            let record = record(What::AsksForMore { what });
            watch.is_new_wish(&record, what)
        };
        assert!(news("body"));
        assert!(
            !news("body"),
            "of another runtime, or after a new connection"
        );
        assert!(news("body, sender"));
        let new = (0..1000).filter(|number| news(&number.to_string())).count();
        assert!(new < WISHES);
    }

    #[test]
    fn reasons_are_counted_by_name_up_to_a_bound() {
        let metrics = Metrics::new();
        let watch = Watch::new(Arc::clone(&metrics), None);
        for number in 0..200 {
            watch.observe(&record(What::Answered {
                elapsed: Duration::from_millis(2),
                decision: &Decision::Proceed,
                reply: None,
                edits: &[],
                reason: &format!("r{}", number % 100),
                explanation: "",
                warnings: &[],
            }));
        }
        let text = metrics.render().unwrap();
        let count = |reason: &str, times: usize| {
            let line = format!("event=\"inbound.rcpt\",reason=\"{reason}\"}} {times}\n");
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        };
        count("r0", 2);
        count("other", 2 * (100 - REASONS));
    }

    #[test]
    fn verdicts_and_failures_are_counted_and_passed_on() {
        let metrics = Metrics::new();
        let also = Arc::new(Counted(AtomicUsize::new(0)));
        let watch = Watch::new(Arc::clone(&metrics), Some(also.clone()));
        watch.observe(&record(What::Answered {
            elapsed: Duration::from_millis(2),
            decision: &Decision::Proceed,
            reply: None,
            edits: &[],
            reason: "",
            explanation: "",
            warnings: &[],
        }));
        let fault = Fault::new(FaultKind::Timeout, "5 s");
        watch.observe(&record(What::Failed {
            elapsed: Duration::from_secs(5),
            fault: &fault,
        }));
        watch.observe(&record(What::Dropped { count: 7 }));
        assert_eq!(also.0.load(Ordering::Relaxed), 3);
        let text = metrics.render().unwrap();
        for line in [
            "postern_sink_verdicts_total{binding=\"check\",sink=\"checker\",event=\"inbound.rcpt\",decision=\"proceed\"} 1",
            "postern_sink_faults_total{binding=\"check\",sink=\"checker\",event=\"inbound.rcpt\",kind=\"timeout\"} 1",
            "postern_sink_dropped_total{sink=\"checker\"} 7",
            "postern_sink_time_seconds_count{sink=\"checker\",event=\"inbound.rcpt\"} 1",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}
