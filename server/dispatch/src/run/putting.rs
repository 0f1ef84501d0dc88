//! Questions on their way to sinks: what the runs of one scope ask a binding at once goes in one command.

use std::sync::Arc;
use std::time::Instant;

use postern_attach::Deadline;
use postern_events::plan::Binding;
use postern_events::question::Question;
use postern_proto::rules::bounds;
use postern_proto::v1 as pb;

use crate::attachment::{Unasked, next_number};
use crate::scope::Scope;
use crate::shown::Shown;
use crate::sink::{Again, Ask, Asking, Command, Ticket};

use super::{Due, Run, Sent};

/// Questions of several runs, each with the place of its run among them.
pub(super) type Placed = Vec<(usize, Due)>;

/// Puts questions of several runs: to each binding all that are for it, in one go. Each is named by the place of its run.
pub(super) fn put_all(
    scope: &Arc<Scope>,
    runs: &mut [&mut Run],
    due: Placed,
    mut again: Option<Box<Again>>,
) {
    let mut by_binding: Vec<(Arc<Binding>, Placed)> = Vec::new();
    for (run, due) in due {
        let Some(binding) = runs.get(run).and_then(|run| run.binding(due.member)) else {
            continue;
        };
        match by_binding
            .iter_mut()
            .find(|(own, _)| Arc::ptr_eq(own, &binding))
        {
            Some((_, own)) => own.push((run, due)),
            None => by_binding.push((binding, vec![(run, due)])),
        }
    }
    for (binding, mut due) in by_binding {
        while !due.is_empty() {
            let rest = due.split_off(due.len().min(bounds::GROUP));
            put(scope, &binding, runs, due, again.take());
            due = rest;
        }
    }
}

/// Puts questions of several runs to one binding.
fn put(
    scope: &Arc<Scope>,
    binding: &Arc<Binding>,
    runs: &mut [&mut Run],
    due: Placed,
    again: Option<Box<Again>>,
) {
    let now = Instant::now();
    let mut state = scope.state();
    let (attachment, context, encodings) = scope.attachment(&mut state, binding);
    let questions: Vec<Question> = due
        .iter()
        .filter_map(|(run, due)| runs.get(*run)?.question_of(due.member).cloned())
        .collect();
    let borrowed: Vec<&Question> = questions.iter().collect();
    let prepared = attachment.prepare(&borrowed, context, scope.subject(), encodings);
    let sink = Arc::clone(attachment.sink());
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(unasked) => {
            drop(state);
            for (run, due) in due {
                if let Some(run) = runs.get_mut(run) {
                    run.unasked(due.member, &unasked);
                }
            }
            return;
        }
    };
    let version = context
        .working()
        .and_then(|working| working.shown(binding.reads.original))
        .cloned();
    let message = context.message_id().map(|id| *id.as_bytes());
    let asked_before = again
        .as_ref()
        .map_or(0, |again| u32::from(again.tried.askings()));
    let mut asking = Vec::with_capacity(due.len());
    let mut failed = Vec::new();
    for (((place, due), question), event) in due.iter().zip(&questions).zip(prepared.events) {
        let Some(run) = runs.get_mut(*place) else {
            continue;
        };
        let timeout = run.timeout(due.member);
        let attributes = match attachment.attributes(context, question) {
            Ok(attributes) => attributes,
            Err(fault) => {
                failed.push((*place, *due, fault));
                continue;
            }
        };
        let Some(own) = run.members.get_mut(due.member) else {
            continue;
        };
        attachment.asked(question);
        let key = next_number();
        own.attempt += 1;
        own.version.clone_from(&version);
        let earlier = own.asked.take();
        own.asked = Some(Sent {
            key,
            attached: Arc::clone(&prepared.attached),
            at: earlier.as_ref().map_or(now, |earlier| earlier.at),
            before: earlier.map(|earlier| earlier.replica()),
        });
        let depth = attachment.depth(question.kind());
        let shown = match (&run.content, depth, &version) {
            (Some(content), Some(_), Some(version)) => Some(Arc::new(Shown {
                content: Arc::clone(content),
                version: version.clone(),
                digest: binding.reads.digest,
                history: binding.reads.history,
            })),
            _ => None,
        };
        asking.push(Asking {
            key,
            question: postern_attach::Question {
                event,
                deadline: due
                    .deadline
                    .map_or(Deadline::AfterContent(timeout), Deadline::At),
                attempt: run.earlier.saturating_add(asked_before),
                ask_reason: if again.is_some() {
                    pb::AskReason::FailOver
                } else {
                    run.reason
                },
                content: depth.filter(|_| shown.is_some()),
                attributes,
                trace_parent: scope.subject().trace_parent(),
                message,
                tag: key,
            },
            shown,
            answers: Arc::clone(&run.answers),
            ticket: Ticket {
                member: due.member,
                attempt: own.attempt,
            },
        });
    }
    let ask = Ask {
        attached: prepared.attached,
        begin: prepared.begin,
        told: prepared.told,
        questions: asking,
        careful: binding.side_effects,
        again,
    };
    drop(state);
    let sent = sink.send(Command::Ask(Box::new(ask)));
    for (place, due) in due {
        let Some(run) = runs.get_mut(place) else {
            continue;
        };
        let failure = failed
            .iter()
            .find(|(of, own, _)| *of == place && own.member == due.member);
        if let Some((_, _, fault)) = failure {
            run.unasked(due.member, &Unasked::Fault(fault.clone()));
            continue;
        }
        match &sent {
            Ok(()) => run.observe_asked(due.member, due.deadline, now),
            Err(fault) => {
                run.note_over(due.member);
                run.unasked(due.member, &Unasked::Fault(fault.clone()));
            }
        }
    }
}
