//! One run of a chain against real sinks: sends what the chain asks, hears what they answer, keeps its time.
//!
//! Runs inside the future of whoever waits for the ruling; no task of its own. Dropping it cancels what is open.

mod telling;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use postern_message::Version;
use postern_proto::v1 as pb;
use tokio::sync::oneshot;

use crate::budget::Budget;
use crate::chain::{Chain, ChainOptions, Step};
use crate::content::Content;
use crate::fault::Fault;
use crate::instance::{Heard, Note, Ticket};
use crate::judge::Judge;
use crate::mailbox::Mailbox;
use crate::observer::What;
use crate::plan::{Member, Stage};
use crate::pump::Pump;
use crate::replica::Replica;
use crate::scope::Scope;
use crate::seat::{Asked, Asking, Sent};
use crate::validate::{NoUploads, Question, validate};
use crate::verdict::{Decision, Ruling, Verdict};
use crate::wire::Happening;

type Waiting<T> = FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>;

/// One run.
pub(crate) struct Run {
    scope: Arc<Scope>,
    happening: Arc<Happening>,
    chain: Chain,
    mailbox: Arc<Mailbox<Note>>,
    asks: Vec<Ask>,
    /// Questions that wait for a connection or for room on a stream.
    waits: Waiting<Ticket>,
    pumps: Waiting<()>,
    content: Option<Arc<dyn Content>>,
    /// How often the stage was begun before.
    earlier: u32,
    began: Instant,
    done: bool,
}

/// One member, as far as it was asked.
#[derive(Default)]
struct Ask {
    /// Replicas that were lost with the question.
    attempt: u32,
    avoid: Option<Arc<Replica>>,
    asked: Option<Asked>,
    /// The version that the sink was shown.
    version: Option<Version>,
    elapsed: Option<Duration>,
}

/// How a run begins.
#[derive(Default)]
pub(crate) struct Begin<'a> {
    /// The time for the reply; absent while the content is still arriving.
    pub(crate) budget: Option<Budget>,
    /// The binding to begin with.
    pub(crate) from: Option<&'a str>,
    /// How often the stage was begun before.
    pub(crate) earlier: u32,
    /// The content that belongs to the event.
    pub(crate) content: Option<Arc<dyn Content>>,
    /// The reply reports something that has been done.
    pub(crate) reply_stands: bool,
}

/// What ended a wait.
enum Woke {
    Note(Note),
    Retry(Ticket),
    Ended(Budget),
    Time,
}

impl Run {
    /// A run of the event's chain; absent if nobody is bound to it, or the message's events were finished.
    pub(crate) fn begin(
        scope: &Arc<Scope>,
        happening: Arc<Happening>,
        begin: Begin<'_>,
    ) -> Option<Self> {
        let stage = scope.stage(happening.event())?;
        let reference = {
            let mut facts = scope.facts.lock();
            if happening.is_of_transaction() {
                facts.remember(&happening, scope.shared.tuning.history);
            }
            let of_message = matches!(
                *happening,
                Happening::Rcpt(_)
                    | Happening::Data(_)
                    | Happening::Headers(_)
                    | Happening::Message(_)
            );
            if of_message && facts.is_finished() {
                return None;
            }
            match (facts.message_id(), facts.session_id()) {
                (Some(message), _) => message.to_string(),
                (None, Some(session)) => session.to_string(),
                (None, None) => String::new(),
            }
        };
        let (start, fired) = begin
            .from
            .map_or((0, false), |from| start(scope, &stage, from));
        let options = ChainOptions {
            start,
            fired,
            budget: begin.budget,
            reference,
            reply_stands: begin.reply_stands,
        };
        let asks = stage.members.iter().map(|_| Ask::default()).collect();
        Some(Self {
            scope: Arc::clone(scope),
            happening,
            chain: Chain::new(stage, options),
            mailbox: Arc::new(Mailbox::new()),
            asks,
            waits: FuturesUnordered::new(),
            pumps: FuturesUnordered::new(),
            content: begin.content,
            earlier: begin.earlier,
            began: Instant::now(),
            done: false,
        })
    }

    /// Runs to the end of the chain. `ending` brings the budget when the content ends.
    pub(crate) async fn ruling(
        mut self,
        mut ending: Option<&mut oneshot::Receiver<Budget>>,
    ) -> Ruling {
        loop {
            let now = Instant::now();
            let mut judge = Judge {
                scope: &self.scope,
                happening: &self.happening,
                attempt: self.earlier.saturating_add(1),
            };
            match self.chain.poll(now, &mut judge) {
                Step::Ask { member, deadline } => self.ask(member, deadline, now),
                Step::Passed { member } => {
                    self.observe(
                        member,
                        What::Skipped {
                            why: "its rule or condition does not hold",
                        },
                    );
                }
                Step::Cancel { member, why } => self.cancel(member, why),
                Step::Settle { member, settlement } => self.settle(member, &settlement),
                Step::Done(ruling) => return self.finish(ruling),
                Step::Wait { until } => match self.wait(until, &mut ending).await {
                    Woke::Note(note) => self.hear(note),
                    Woke::Retry(ticket) => self.retry(ticket),
                    Woke::Ended(budget) => {
                        ending = None;
                        self.content_ended(budget);
                    }
                    Woke::Time => {}
                },
            }
        }
    }

    async fn wait(
        &mut self,
        until: Option<Instant>,
        ending: &mut Option<&mut oneshot::Receiver<Budget>>,
    ) -> Woke {
        let Self {
            mailbox,
            waits,
            pumps,
            ..
        } = self;
        let time = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        let end = async {
            match ending {
                // A sender that is gone has given the run up; the run is dropped with it.
                Some(ending) => match ending.await {
                    Ok(budget) => budget,
                    Err(_) => std::future::pending().await,
                },
                None => std::future::pending().await,
            }
        };
        let mut time = std::pin::pin!(time);
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                biased;
                note = mailbox.take() => return Woke::Note(note),
                budget = &mut end => return Woke::Ended(budget),
                Some(ticket) = waits.next(), if !waits.is_empty() => return Woke::Retry(ticket),
                Some(()) = pumps.next(), if !pumps.is_empty() => {}
                () = &mut time => return Woke::Time,
            }
        }
    }

    fn ask(&mut self, member: usize, deadline: Option<Instant>, now: Instant) {
        let stage = Arc::clone(self.chain.stage());
        let (Some(place), Some(ask)) = (stage.members.get(member), self.asks.get_mut(member))
        else {
            return;
        };
        let seat = self.scope.seat(&place.binding);
        let ticket = Ticket {
            member,
            attempt: ask.attempt,
        };
        let asking = Asking {
            ticket,
            mailbox: &self.mailbox,
            time: deadline.map_or(place.timeout, |deadline| {
                deadline.saturating_duration_since(now)
            }),
            earlier: self.earlier,
            avoid: ask.avoid.as_ref(),
        };
        let time = asking.time;
        let again = ask.attempt > 0;
        match seat.send(&self.scope, &self.happening, Some(&asking)) {
            Sent::Asked(asked) => {
                if let (Some(showing), Some(content)) = (&asked.showing, &self.content) {
                    let pump = Pump::new(
                        Arc::clone(&asked.instance),
                        asked.event_id,
                        showing.clone(),
                        Arc::clone(content),
                    );
                    self.pumps.push(Box::pin(pump.run()));
                }
                if let Some(ask) = self.asks.get_mut(member) {
                    ask.version = self.scope.facts.lock().version().cloned();
                    ask.asked = Some(asked);
                }
                self.observe(
                    member,
                    What::Asked {
                        deadline: time,
                        again,
                    },
                );
            }
            Sent::Declined | Sent::Told(_) => {
                self.observe(
                    member,
                    What::Skipped {
                        why: "the sink needs nothing further",
                    },
                );
                self.chain
                    .answer(member, Ok(Verdict::of(Decision::Proceed)), now);
            }
            Sent::Full(stream) => self.waits.push(Box::pin(async move {
                // An ended stream is found by the next attempt.
                let _ended = stream.outbox().wait_for_room().await.is_err();
                ticket
            })),
            Sent::Wait(replica) => self.waits.push(Box::pin(async move {
                replica.settled().await;
                ticket
            })),
            Sent::Failed(fault) => {
                self.chain.answer(member, Err(fault), now);
            }
        }
    }

    fn retry(&mut self, ticket: Ticket) {
        if self.is_current(ticket) {
            let deadline = self.chain.deadline(ticket.member);
            self.ask(ticket.member, deadline, Instant::now());
        }
    }

    /// The question is still open, and was not asked elsewhere meanwhile.
    fn is_current(&self, ticket: Ticket) -> bool {
        self.asks
            .get(ticket.member)
            .is_some_and(|ask| ask.attempt == ticket.attempt)
            && self.chain.open().any(|member| member == ticket.member)
    }

    fn hear(&mut self, note: Note) {
        let member = note.ticket.member;
        let now = Instant::now();
        if !self.is_current(note.ticket) {
            return;
        }
        match note.heard {
            Heard::Progress => self.chain.progress(member, now),
            Heard::Verdict(verdict) => {
                self.note_elapsed(member);
                let checked = self.check(member, *verdict);
                if let Ok(verdict) = &checked {
                    self.observe_answer(member, verdict);
                }
                self.chain.answer(member, checked, now);
            }
            Heard::Failed(fault) => {
                self.note_elapsed(member);
                self.chain.answer(member, Err(fault), now);
            }
            Heard::Lost(fault) => self.lost(member, fault, now),
        }
    }

    /// The replica was lost with the question: another one is asked, once, if there is one.
    fn lost(&mut self, member: usize, fault: Fault, now: Instant) {
        self.note_elapsed(member);
        let Some(binding) = self.binding(member) else {
            return;
        };
        let may = !binding.side_effects || binding.repeatable;
        let seat = self.scope.seat(&binding);
        if let Some(ask) = self.asks.get_mut(member)
            && ask.attempt == 0
            && may
            && let Some(asked) = &ask.asked
            && seat.pool().has_other(asked.instance.stream().replica())
        {
            ask.attempt = 1;
            ask.avoid = Some(Arc::clone(asked.instance.stream().replica()));
            ask.asked = None;
            let deadline = self.chain.deadline(member);
            return self.ask(member, deadline, now);
        }
        self.chain.answer(member, Err(fault), now);
    }

    fn check(&self, member: usize, verdict: pb::Verdict) -> Result<Verdict, Fault> {
        let (Some(binding), Some(ask)) = (self.binding(member), self.asks.get(member)) else {
            return Err(Fault::protocol("nobody asked"));
        };
        let utf8 = self.scope.facts.lock().draft.envelope.smtp_utf8;
        let question = Question {
            event: self.happening.event(),
            binding: &binding,
            version: ask.version.as_ref(),
            utf8,
            verb: match &*self.happening {
                Happening::Command(line) => Some((
                    std::str::from_utf8(&line.verb).unwrap_or_default(),
                    line.known,
                )),
                _ => None,
            },
            reply: match &*self.happening {
                Happening::Response(response) => Some(&response.reply),
                _ => None,
            },
            recipient: match &*self.happening {
                Happening::Rcpt(rcpt) => Some(rcpt.recipient.id),
                _ => None,
            },
        };
        validate(verdict, &question, &mut NoUploads)
    }

    fn content_ended(&mut self, budget: Budget) {
        if let Some(end) = self.content.as_ref().and_then(|content| content.end()) {
            self.scope.facts.lock().close_content(end.size_bytes);
            for ask in &mut self.asks {
                ask.version = ask.version.take().map(|version| {
                    if version.is_open() {
                        version.close(end.size_bytes)
                    } else {
                        version
                    }
                });
            }
        }
        self.chain.content_ended(budget, Instant::now());
    }
}

/// Where a chain goes on from this binding, and whether that is the binding itself, which has fired already. Where it
/// is not there any more: behind the last one that was asked before it, since to ask that one again would be to edit
/// twice.
fn start(scope: &Scope, stage: &Stage, from: &str) -> (usize, bool) {
    if let Some(place) = stage.position(from) {
        return (place, true);
    }
    let facts = scope.facts.lock();
    let passed = |member: &Member| facts.has_passed(stage.event, &member.binding.name);
    let last = stage.members.iter().rposition(passed);
    (last.map_or(0, |last| last + 1), false)
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        for ask in &self.asks {
            if let Some(asked) = &ask.asked {
                asked
                    .instance
                    .give_up(asked.event_id, pb::CancelReason::ClientGone);
            }
        }
    }
}
