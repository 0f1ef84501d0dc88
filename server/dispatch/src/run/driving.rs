//! The loop of a run: puts the questions that the chain wants asked, waits, and hears what sinks answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_events::budget::Budget;
use postern_events::fault::{Fault, FaultKind};
use postern_events::ruling::Ruling;
use tokio::sync::oneshot;

use crate::sink::{Again, Answer, Command, Heard};

use super::putting::put_all;
use super::{Due, Run};

/// Times that a question is put to a new instance because the one before had just ended.
const TRIES: u32 = 4;

/// What ended a wait.
enum Woke {
    Answer(Answer),
    Ended(Budget),
    Time,
}

impl Run {
    /// Runs to the end of the chain. `ending` brings the budget when the content ends.
    pub(crate) async fn ruling(
        mut self,
        mut ending: Option<&mut oneshot::Receiver<Budget>>,
    ) -> Ruling {
        loop {
            let (due, until) = self.advance();
            if !due.is_empty() {
                let scope = Arc::clone(&self.scope);
                let due = due.into_iter().map(|due| (0, due)).collect();
                put_all(&scope, &mut [&mut self], due, None);
                continue;
            }
            if let Some(ruling) = self.ended.take() {
                return self.finish(ruling);
            }
            match self.wait(until, &mut ending).await {
                Woke::Answer(answer) => self.hear(answer),
                Woke::Ended(budget) => {
                    ending = None;
                    self.content_ended(budget);
                }
                Woke::Time => {}
            }
        }
    }

    async fn wait(
        &mut self,
        until: Option<Instant>,
        ending: &mut Option<&mut oneshot::Receiver<Budget>>,
    ) -> Woke {
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
        tokio::select! {
            biased;
            answer = self.answers.take() => Woke::Answer(answer),
            budget = end => Woke::Ended(budget),
            () = time => Woke::Time,
        }
    }

    /// Asks one member.
    fn ask(&mut self, due: Due, again: Option<Box<Again>>) {
        let scope = Arc::clone(&self.scope);
        put_all(&scope, &mut [self], vec![(0, due)], again);
    }

    fn hear(&mut self, answer: Answer) {
        let Answer { ticket, heard } = answer;
        let now = Instant::now();
        if !self.is_current(ticket) {
            return;
        }
        let member = ticket.member;
        match heard {
            Heard::Progress { wanted } => self.progress(member, wanted, now),
            Heard::Verdict(verdict) => {
                self.note_over(member);
                let checked = self.check(member, *verdict);
                if let Ok(verdict) = &checked {
                    self.observe_answer(member, verdict);
                }
                self.chain.answer(member, checked, now);
            }
            Heard::Declined => {
                self.note_over(member);
                self.declined(member);
            }
            Heard::Gone => self.once_more(member, None, &over()),
            Heard::Failed {
                fault,
                again: Some(again),
            } => self.once_more(member, Some(again), &fault),
            Heard::Failed { fault, again: None } => {
                self.note_over(member);
                self.chain.answer(member, Err(fault), now);
            }
        }
    }

    /// The sink is still at work: its time starts anew. It is told how much it has if it asked for some.
    fn progress(&mut self, member: usize, wanted: Option<Duration>, now: Instant) {
        let extension = self.chain.progress(member, wanted, now);
        if let Some(remaining) = extension.and_then(|extension| extension.remaining)
            && let Some((sink, question)) = self.way(member)
        {
            let command = Command::Extend {
                question,
                remaining,
            };
            // One that cannot be told of its time finds out.
            let _stuck = sink.send(command).is_err();
        }
    }

    /// A question failed and may be asked again, or never reached its instance.
    fn once_more(&mut self, member: usize, again: Option<Box<Again>>, fault: &Fault) {
        let now = Instant::now();
        let deadline = self.chain.deadline(member);
        let late = deadline.is_some_and(|at| at <= now);
        let attempts = self.members.get(member).map_or(0, |own| own.attempt);
        let question = self.question_of(member).cloned();
        let asked = self.members.get(member).and_then(|own| own.asked.as_ref());
        let attached = asked.map(|sent| Arc::clone(&sent.attached));
        let (Some(binding), Some(question), Some(attached)) =
            (self.binding(member), question, attached)
        else {
            return;
        };
        let possible = {
            let mut state = self.scope.state();
            let (attachment, _, _) = self.scope.attachment(&mut state, &binding);
            // What else is open there would be lost with the instance, unless that is over as it is.
            let over = attached.ending().is_some();
            let alone = again.is_none() || over || !attachment.has_others(&question);
            if alone && !late && attempts < TRIES {
                attachment.over(&question);
                if again.is_some() {
                    attachment.detach(&attached);
                }
                true
            } else {
                false
            }
        };
        if possible {
            self.ask(Due { member, deadline }, again);
        } else {
            self.note_over(member);
            self.chain.answer(member, Err(fault.clone()), now);
        }
    }
}

fn over() -> Fault {
    Fault::new(FaultKind::Unreachable, "its instance ended again and again")
}
