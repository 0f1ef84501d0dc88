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
use crate::metrics::labels::{
    ActedLabel, Change, Endpoint, Faulted, OfSink, Reasoned, ReplicaChange, Ruled,
};

pub mod addresses;
mod lines;
mod outages;
pub mod standing;

use self::lines::log;
use self::outages::{News, Outages};

/// Counts, logs, and passes every record on to one more observer.
pub struct Watch {
    metrics: Arc<Metrics>,
    also: Option<Arc<dyn Observer>>,
    /// Replicas by sink and endpoint, and sinks. Every runtime has its own connections; the operator is told once.
    replicas: Mutex<Outages<(String, String)>>,
    sinks: Mutex<Outages<String>>,
    /// Why each replica cannot be used, as was said in this outage: each reason is told once.
    said: Mutex<HashMap<(String, String), HashSet<String>>>,
    /// What is wrong with the files of sinks' TLS, as was said: every runtime reads them.
    files: Mutex<HashMap<String, String>>,
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
/// So many different reasons of one outage are told.
const OUTAGE_REASONS: usize = 8;
/// So many different reasons of a binding are counted by their names, the others as `other`.
const REASONS: usize = 64;

impl Watch {
    /// Counts in `metrics`; `also` hears everything too.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, also: Option<Arc<dyn Observer>>) -> Self {
        Self {
            metrics,
            also,
            replicas: Mutex::default(),
            sinks: Mutex::default(),
            said: Mutex::default(),
            files: Mutex::default(),
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
            What::Acted { deed, status, .. } => {
                let acted = ActedLabel {
                    binding: record.binding.into(),
                    sink: record.sink.into(),
                    deed,
                    status: status.name(),
                };
                self.metrics.actions.get_or_create(&acted).inc();
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
            What::Stalled => {
                self.metrics
                    .stalls
                    .get_or_create(&Endpoint {
                        sink: record.sink.into(),
                    })
                    .inc();
            }
            What::ReplicaUp { .. }
            | What::ReplicaDown { .. }
            | What::Asked { .. }
            | What::Told
            | What::Skipped { .. }
            | What::NotReached { .. }
            | What::Ruled { .. }
            | What::AsksForMore { .. }
            | What::ContractBroken { .. }
            | What::GoingAway { .. }
            | What::TlsFiles { .. }
            | What::SinkReachable
            | What::SinkUnreachable { .. } => {}
        }
    }

    /// What a thread says of a replica or a sink: counted, and worth a line, where it is news to the gateway.
    fn is_news(&self, record: &Record<'_>, thread: usize) -> bool {
        let replica = || (record.sink.to_owned(), record.replica.to_owned());
        let (news, change) = match record.what {
            What::ReplicaUp { .. } => {
                (self.replicas.lock().up(replica(), thread), Some(Change::Up))
            }
            What::ReplicaDown { fault, .. } => {
                let news = self.replicas.lock().down(replica(), thread);
                let is_new = {
                    let mut said = self.said.lock();
                    let said = said.entry(replica()).or_default();
                    if news == News::Change {
                        said.clear();
                    }
                    said.len() < OUTAGE_REASONS && said.insert(fault.detail.clone())
                };
                if news == News::None && is_new {
                    return true;
                }
                (news, Some(Change::Down))
            }
            What::SinkReachable => (self.sinks.lock().up(record.sink.to_owned(), thread), None),
            What::SinkUnreachable { .. } => {
                (self.sinks.lock().down(record.sink.to_owned(), thread), None)
            }
            What::TlsFiles { broken } => return self.is_new_of_files(record.sink, broken),
            _ => return true,
        };
        // What was never away has not come back.
        if let (News::Change, Some(change)) = (news, change) {
            self.count_change(record, change);
        }
        news != News::None
    }

    /// Whether it is news that this is wrong with the files of a sink's TLS, or nothing any more.
    fn is_new_of_files(&self, sink: &str, broken: Option<&str>) -> bool {
        let mut files = self.files.lock();
        match broken {
            Some(broken) => {
                files.insert(sink.to_owned(), broken.to_owned()).as_deref() != Some(broken)
            }
            None => files.remove(sink).is_some(),
        }
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

impl Watch {
    /// Observes for one runtime thread.
    #[must_use]
    pub fn on_thread(self: &Arc<Self>, thread: usize) -> Arc<dyn Observer> {
        Arc::new(OnThread {
            watch: Arc::clone(self),
            thread,
        })
    }

    fn observe(&self, record: &Record<'_>, thread: usize) {
        self.count(record);
        match record.what {
            What::AsksForMore { what } if !self.is_new_wish(record, what) => {}
            _ if !self.is_news(record, thread) => {}
            _ => log(record),
        }
        if let Some(also) = &self.also {
            also.observe(record);
        }
    }
}

/// What one runtime thread observes.
struct OnThread {
    watch: Arc<Watch>,
    thread: usize,
}

impl Observer for OnThread {
    fn observe(&self, record: &Record<'_>) {
        self.watch.observe(record, self.thread);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
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
            watch.observe(
                &record(What::Answered {
                    elapsed: Duration::from_millis(2),
                    decision: &Decision::Proceed,
                    reply: None,
                    edits: &[],
                    reason: &format!("r{}", number % 100),
                    explanation: "",
                    warnings: &[],
                }),
                0,
            );
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
        watch.observe(
            &record(What::Answered {
                elapsed: Duration::from_millis(2),
                decision: &Decision::Proceed,
                reply: None,
                edits: &[],
                reason: "",
                explanation: "",
                warnings: &[],
            }),
            0,
        );
        let fault = Fault::new(FaultKind::Timeout, "5 s");
        watch.observe(
            &record(What::Failed {
                elapsed: Duration::from_secs(5),
                fault: &fault,
            }),
            0,
        );
        watch.observe(&record(What::Dropped { count: 7 }), 1);
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

    #[test]
    fn a_replica_changes_once_for_all_threads_and_was_not_away_before_it_was_known() {
        let metrics = Metrics::new();
        let watch = Watch::new(Arc::clone(&metrics), None);
        let fault = Fault::new(FaultKind::Unreachable, "refused");
        let say = |up: bool, thread| {
            let retry_in = Duration::from_secs(1);
            let what = match up {
                true => What::ReplicaUp { description: "s 1" },
                false => What::ReplicaDown {
                    fault: &fault,
                    retry_in,
                },
            };
            watch.observe(&record(what), thread);
        };
        for (up, thread) in [
            (true, 0),
            (true, 1),
            (false, 1),
            (false, 0),
            (true, 0),
            (true, 1),
        ] {
            say(up, thread);
        }
        let text = metrics.render().unwrap();
        for change in ["up", "down"] {
            let line = format!("change=\"{change}\"}} 1\n");
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
    }
}
