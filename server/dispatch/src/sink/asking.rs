//! Questions and news of sessions: where they go, and what becomes of them there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postern_attach::{
    Cancelled, ConnectionId, Description, Ending, NoReplica, Outcome, Pick, Placement, Refusal,
    ReplicaId, Retry, StreamId, Tried,
};
use postern_events::fault::Fault;
use postern_proto::v1 as pb;

use crate::attached::Key;

use super::command::{Again, Answer, Ask, Asking, Heard, QuestionKey};
use super::questions::Open;
use super::queue::Waiting;
use super::task::SinkTask;

/// Where an instance may be opened.
pub(super) enum Place {
    On(StreamId),
    Wait,
    Fault(Fault),
}

/// Instances of a stream before its numbers run into those of another one. No harm comes of that: they are for sinks that
/// mix up their streams, which seldom mix up old ones.
const NUMBERS: u64 = 1 << 12;

/// Where the numbers of a new stream's instances begin: elsewhere than those of every other stream.
fn numbers() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(NUMBERS, Ordering::Relaxed)
}

impl SinkTask {
    pub(super) fn ask(&mut self, mut ask: Box<Ask>) {
        let key = ask.attached.key;
        let begin = ask.begin.take();
        let Some(entry) = self.instances.take_up(&ask.attached, begin) else {
            return gone(&ask);
        };
        // What waits is not overtaken.
        let stuck = if entry.waiting.is_empty() {
            self.try_ask(ask)
        } else {
            Some(ask)
        };
        if let Some(stuck) = stuck {
            self.instances.wait(key, Waiting::Ask(stuck));
        }
    }

    /// Asks, or gives back what has to wait.
    pub(super) fn try_ask(&mut self, ask: Box<Ask>) -> Option<Box<Ask>> {
        // Nobody waits for any of them any more.
        if ask.questions.is_empty() {
            return None;
        }
        let now = Instant::now();
        let key = ask.attached.key;
        let Some(entry) = self.instances.get_mut(key) else {
            gone(&ask);
            return None;
        };
        if entry.place.is_none() {
            match self.place(key, ask.again.as_deref(), now) {
                Place::On(stream) => {
                    if let Err(refusal) = self.open(key, stream, now) {
                        return self.refused(ask, refusal);
                    }
                }
                Place::Wait => return Some(ask),
                Place::Fault(fault) => {
                    self.instances.remove(key);
                    ask.attached.end(Ending::Lost);
                    refuse(&ask, &fault);
                    return None;
                }
            }
        }
        self.put(ask, now)
    }

    /// Finds a stream for an instance.
    pub(super) fn place(&mut self, key: Key, again: Option<&Again>, now: Instant) -> Place {
        if self.draining.is_some() {
            return Place::Fault(super::face::shutting_down());
        }
        let elsewhere = self.elsewhere();
        let begin = self
            .instances
            .get_mut(key)
            .and_then(|entry| entry.begin.as_ref());
        let bulky = begin.is_some_and(|begin| begin.bulky);
        let pick = match again {
            None => begin
                .and_then(|begin| begin.avoid.as_ref())
                .and_then(|avoid| {
                    self.fleet
                        .pick_again(&mut self.random, avoid, Retry::Always, elsewhere)
                })
                .map_or_else(|| self.fleet.pick(&mut self.random, elsewhere), Ok),
            Some(again) => self
                .fleet
                .pick_again(&mut self.random, &again.tried, again.retry, elsewhere)
                .ok_or_else(|| NoReplica::Fault(again.fault.clone())),
        };
        let pick = match pick {
            Ok(pick) => pick,
            Err(NoReplica::Wait) => return Place::Wait,
            Err(NoReplica::Fault(fault)) => return Place::Fault(fault),
        };
        self.place_at(pick, bulky, now)
    }

    fn place_at(&mut self, pick: Pick, bulky: bool, now: Instant) -> Place {
        // Parking makes room once; a second time nothing is left to park.
        for _ in 0..2 {
            let streams = self.streams.occupancies(now);
            match self.fleet.place(now, pick, bulky, streams) {
                Placement::On(stream) => return Place::On(stream),
                Placement::Open {
                    stream,
                    connection,
                    description,
                } => {
                    return if self.open_stream(stream, connection, pick.replica, &description, now)
                    {
                        Place::On(stream)
                    } else {
                        Place::Wait
                    };
                }
                Placement::ParkIdle(stream) => {
                    if let Some(stream) = self.streams.touch(stream) {
                        stream.link.park_idle(now, 1);
                    }
                }
                Placement::Wait => return Place::Wait,
                Placement::Fault(fault) => return Place::Fault(fault),
            }
        }
        Place::Wait
    }

    fn open_stream(
        &mut self,
        stream: StreamId,
        connection: ConnectionId,
        replica: ReplicaId,
        described: &Description,
        now: Instant,
    ) -> bool {
        let Some(channel) = self.connections.channel(connection).cloned() else {
            return false;
        };
        let mut settings = self.settings.link.clone();
        settings.capacity = described.capacity;
        settings.instances_after = numbers();
        settings.initial_credit = described.initial_credit;
        settings.features = described.features.common(self.settings.features);
        settings.protocol_version = described
            .response
            .protocol_version
            .min(crate::connection::PROTOCOL_VERSION);
        let name = self.name_of(replica);
        self.streams.open(
            stream,
            (replica, name),
            &channel,
            settings,
            self.settings.stream_bytes,
            now,
        );
        true
    }

    /// Opens an instance on a stream.
    pub(super) fn open(
        &mut self,
        key: Key,
        stream_id: StreamId,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(entry) = self.instances.get_mut(key) else {
            return Err(Refusal::Gone);
        };
        let Some(stream) = self.streams.touch(stream_id) else {
            return Err(Refusal::NoRoom);
        };
        let Some(begin) = &entry.begin else {
            return Err(Refusal::Gone);
        };
        let instance = stream.link.open(now, begin.opening.clone())?;
        entry.place = Some((stream_id, instance));
        entry.attached.opened(&stream.replica_name, stream.settles);
        let begin = entry.begin.take();
        for news in begin.into_iter().flat_map(|begin| begin.replayed) {
            // What cannot be told again makes the questions no less answerable.
            let _refused = stream.link.tell(now, instance, news).is_err();
        }
        Ok(())
    }

    /// Puts questions to an instance that is open.
    fn put(&mut self, mut ask: Box<Ask>, now: Instant) -> Option<Box<Ask>> {
        let key = ask.attached.key;
        let elsewhere = self.elsewhere();
        let Some((stream_id, instance)) = self.instances.get_mut(key).and_then(|entry| entry.place)
        else {
            gone(&ask);
            return None;
        };
        let Some(stream) = self.streams.touch(stream_id) else {
            gone(&ask);
            return None;
        };
        for news in std::mem::take(&mut ask.told) {
            match stream.link.tell(now, instance, news.clone()) {
                Ok(_) | Err(Refusal::Declined | Refusal::Size(_)) => {}
                Err(Refusal::Busy) => {
                    ask.told.push(news);
                    return Some(ask);
                }
                Err(refusal) => return self.refused(ask, refusal),
            }
        }
        let replica = stream.replica;
        if let Err(fault) = self.fleet.admit(replica, elsewhere) {
            refuse(&ask, &fault);
            return None;
        }
        let questions: Vec<_> = ask
            .questions
            .iter()
            .map(|asking| asking.question.clone())
            .collect();
        let group = match stream.link.ask_group(now, instance, questions) {
            Ok(group) => group,
            Err(refusal) => return self.refused(ask, refusal),
        };
        let tried = match ask.again.take() {
            Some(again) => again.tried,
            None => Tried::new(
                self.fleet
                    .description(replica)
                    .is_some_and(|description| description.is_harmless(ask.careful)),
            ),
        };
        for (asking, asked) in ask.questions.into_iter().zip(group) {
            let Asking {
                key: question,
                shown,
                answers,
                ticket,
                ..
            } = asking;
            let mut tried = tried.clone();
            let Some(replica) = self.fleet.asked(stream_id, &mut tried) else {
                continue;
            };
            ask.attached.asked(&tried);
            let open = Open {
                instance: key,
                asked,
                stream: stream_id,
                replica,
                answers,
                ticket,
                showing: None,
                tried,
                answered: false,
            };
            self.questions.insert(question, open);
            self.count(1);
            if let Some(shown) = shown {
                self.begin_showing(question, shown);
            }
        }
        None
    }

    /// The link did not take questions: waits, or says why.
    fn refused(&mut self, ask: Box<Ask>, refusal: Refusal) -> Option<Box<Ask>> {
        match refusal {
            Refusal::Busy | Refusal::NoRoom => return Some(ask),
            Refusal::Declined => say(&ask, || Heard::Declined),
            Refusal::Gone => gone(&ask),
            Refusal::Size(fault) => refuse(&ask, &fault),
        }
        None
    }

    pub(super) fn cancel(&mut self, key: Key, question: QuestionKey, reason: pb::CancelReason) {
        let now = Instant::now();
        self.instances.forget(key, question);
        if self
            .questions
            .get_mut(question)
            .is_none_or(|open| open.answered)
        {
            return;
        }
        let Some(open) = self.questions.remove(question) else {
            return;
        };
        self.count(-1);
        let Some(stream) = self.streams.touch(open.stream) else {
            return self.fleet.report(now, open.replica, Outcome::Lost);
        };
        let cancelled = stream.link.cancel(now, open.asked, reason);
        let outcome = match (reason, cancelled) {
            (pb::CancelReason::Deadline, Cancelled::Taken { silent }) => {
                Outcome::TimedOut { silent }
            }
            _ => Outcome::Cancelled,
        };
        self.fleet.report(now, open.replica, outcome);
    }

    pub(super) fn extend(&mut self, question: QuestionKey, remaining: Duration) {
        if let Some(open) = self.questions.get_mut(question)
            && let Some(stream) = self.streams.touch(open.stream)
        {
            stream.link.extend(Instant::now(), open.asked, remaining);
        }
    }

    pub(super) fn settle(&mut self, question: QuestionKey, settled: pb::Settled) {
        if let Some(open) = self.questions.remove(question)
            && let Some(stream) = self.streams.touch(open.stream)
        {
            stream.link.settle(Instant::now(), open.asked, settled);
        }
    }

    /// A question fails on this side.
    pub(super) fn fail(&mut self, question: QuestionKey, fault: Fault, reason: pb::CancelReason) {
        let Some(open) = self.questions.remove(question) else {
            return;
        };
        let now = Instant::now();
        self.count(-1);
        self.fleet.report(now, open.replica, Outcome::Cancelled);
        if let Some(stream) = self.streams.touch(open.stream) {
            stream.link.cancel(now, open.asked, reason);
        }
        open.answers.put(Answer {
            ticket: open.ticket,
            heard: Heard::Failed { fault, again: None },
        });
    }

    /// Questions of this sink that are open on other threads.
    fn elsewhere(&self) -> usize {
        self.sink
            .open_questions()
            .saturating_sub(self.questions.open())
    }

    /// Counts questions that are open at the sink, all threads together.
    pub(super) fn count(&self, change: i64) {
        self.sink.count_questions(change);
    }
}

fn say(ask: &Ask, heard: impl Fn() -> Heard) {
    for asking in &ask.questions {
        asking.answers.put(Answer {
            ticket: asking.ticket,
            heard: heard(),
        });
    }
}

/// The instance is over, and the questions were not sent. What was asked elsewhere before stays counted.
pub(super) fn gone(ask: &Ask) {
    match &ask.again {
        None => say(ask, || Heard::Gone),
        Some(again) => say(ask, || Heard::Failed {
            fault: again.fault.clone(),
            again: Some(again.clone()),
        }),
    }
}

fn refuse(ask: &Ask, fault: &Fault) {
    say(ask, || Heard::Failed {
        fault: fault.clone(),
        again: None,
    });
}
