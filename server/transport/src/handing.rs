//! One message over a connection: as many transactions as the peer wants it in, and what becomes of each recipient.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use postern_delivery::{
    Attempted, Connection, Fate, Hop, PeerFacts, Sending, is_damage, is_trouble, is_without_bdat,
};
use postern_smtp::client::{Delivery, Report};
use tokio::time::{Instant, sleep_until};

use super::core::{RECIPIENTS, Settings};
use super::envelope::transaction;
use super::fitting::{Fitting, fit_to};
use super::job::{Group, Job};
use super::recording::Recording;
use super::results::{self, Attempt};
use super::scheduler::End;
use super::seat::{Seat, What};
use super::settle::Outcome;
use super::worker::Context;

/// The time for a connection, and that for a message's commands, each in times for one command.
pub(crate) const COMMANDS: u32 = 5;
/// Octets a second that a peer has to take of a content.
const LEAST_RATE: u64 = 16 * 1024;
/// Time for a delivery to come to its end once the gateway is stopping, while it may still be given up.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What came of a group, beside its results.
pub(crate) struct Delivered {
    pub(crate) end: End,
    /// Recipients that are to be tried again at once.
    pub(crate) again: Option<Group>,
    /// Those that another host may take. They have no result yet, and nobody else of the group has to be tried again.
    pub(crate) unwanted: Option<Unwanted>,
    /// False: the connection was left in the middle of something.
    pub(crate) usable: bool,
}

/// Recipients of a message that a host refused because of itself.
pub(crate) struct Unwanted {
    job: Arc<Job>,
    /// What it said to each.
    outcomes: Vec<(usize, Outcome)>,
    /// Recipients that had no answer, and are to be tried again in any case.
    left: VecDeque<usize>,
    attempt: Attempt,
}

impl Unwanted {
    /// All of them, for another host.
    pub(crate) fn into_group(self) -> Group {
        let refused = self.outcomes.into_iter().map(|(index, _)| index);
        Group {
            job: self.job,
            recipients: refused.chain(self.left).collect(),
        }
    }

    /// There is no other host: what this one said is the result. Returns what is left.
    pub(crate) async fn record(self, context: &Context) -> Option<Group> {
        let partly = !self.left.is_empty();
        results::record(context, &self.job, self.outcomes, partly, &self.attempt).await;
        partly.then(|| Group {
            job: self.job,
            recipients: self.left.into(),
        })
    }
}

/// How a delivery ended.
enum Ended<T> {
    Done(T),
    /// It was given up before the peer could have taken the message: the whole attempt took too long.
    TooLong,
    /// It was given up before the peer could have taken the message: the gateway is stopping.
    Stopping,
}

/// Waits for a delivery, and not for ever. Once the peer may have taken the message only the session's own time-outs end it.
async fn watched<T>(
    context: &Context,
    most: Duration,
    at_stake: &AtomicBool,
    delivery: impl Future<Output = T>,
) -> Ended<T> {
    let stopping = context.shutdown.begun();
    tokio::pin!(delivery, stopping);
    let mut until = Instant::now() + most;
    let mut is_stopping = false;
    loop {
        tokio::select! {
            done = &mut delivery => return Ended::Done(done),
            () = &mut stopping, if !is_stopping => {
                is_stopping = true;
                until = until.min(Instant::now() + LAST_WORDS);
            }
            () = sleep_until(until) => match (at_stake.load(Ordering::Relaxed), is_stopping) {
                (true, _) => until = Instant::now() + most,
                (false, true) => return Ended::Stopping,
                (false, false) => return Ended::TooLong,
            }
        }
    }
}

/// The most that an attempt may take for a message of this size, whatever the peer does within the time for each reply.
fn most_time(settings: &Settings, size: u64) -> Duration {
    let content = Duration::from_secs(size / LEAST_RATE);
    settings.command_timeout * COMMANDS + settings.data_timeout + content
}

/// Sends one message to a group of its recipients, in as many transactions as the peer wants it in.
pub(crate) async fn deliver(
    context: &Context,
    seat: &Seat,
    recording: &mut Recording,
    hop: &Hop,
    connection: &mut Connection,
    group: Group,
) -> Delivered {
    let Group { job, recipients } = group;
    let mut left: VecDeque<usize> = recipients.into();
    let mut outcomes = Vec::with_capacity(left.len());
    let mut unwanted = Vec::new();
    let mut given_up = false;
    let mut end = End::Result;
    let attempt = Attempt::new(hop.to_string(), connection.host(), connection.address());
    let bdat = seat.may_use_bdat();
    if !bdat {
        connection.leave_out_bdat();
    }
    let way = connection.way(bdat);
    // What goes by BDAT alone may go again once that is tried again.
    let weakened = connection.is_weakened() || way != connection.way(true);
    let fitting = fit_to(&context.core, &job, way, weakened, &hop.to_string()).await;
    while !left.is_empty() && connection.is_ready() {
        let most = connection
            .most_recipients()
            .unwrap_or(RECIPIENTS)
            .clamp(1, RECIPIENTS);
        let part: Vec<usize> = left.drain(..most.min(left.len())).collect();
        let reused = connection.messages() > 0;
        let fitted = match &fitting {
            Fitting::Fits(fitted) => fitted,
            Fitting::Unfit(why) => {
                outcomes.extend(part.iter().map(|&at| (at, Outcome::Tried(why.clone()))));
                continue;
            }
            Fitting::Damaged(error) => {
                job.put_aside(&context.core, error).await;
                return Delivered {
                    end,
                    again: None,
                    unwanted: None,
                    usable: true,
                };
            }
        };
        let transaction = transaction(&job.message, &part, fitted);
        let content = fitted.content(&job.message, &job.content);
        let at_stake = connection.at_stake();
        let most = most_time(&context.core.settings, fitted.size);
        let sending = connection.is_asked_about().then(|| Sending {
            message: Arc::clone(&job.message),
            source: Arc::clone(&job.content),
            recipients: part.clone(),
            fitted: fitted.clone(),
            way,
            attempt: attempt.id(),
        });
        let delivery = connection.deliver(transaction, content, sending);
        let report = match watched(context, most, &at_stake, delivery).await {
            Ended::Done(Some(report)) => match connection.take_unreadable() {
                Some(error) if is_damage(&error) => {
                    job.put_aside(&context.core, &error).await;
                    return Delivered {
                        end,
                        again: None,
                        unwanted: None,
                        usable: false,
                    };
                }
                _ => report,
            },
            Ended::Done(None) => {
                left.extend(part);
                break;
            }
            Ended::Stopping => {
                // It is in the spool as it was, and due.
                tracing::info!(id = %job.message.id, destination = %hop, "delivery given up, stopping");
                given_up = true;
                left.extend(part);
                break;
            }
            Ended::TooLong => {
                let text = format!("the attempt took longer than {} s", most.as_secs());
                let at = context.core.now();
                let late = Attempted::own(Fate::Deferred, 4, 2, text, at);
                outcomes.extend(
                    part.iter()
                        .map(|&index| (index, Outcome::Tried(late.clone()))),
                );
                given_up = true;
                end = End::Trouble;
                break;
            }
        };
        if report.recipients.iter().any(is_trouble) {
            end = End::Trouble;
        }
        let facts = PeerFacts {
            host: connection.host(),
            lmtp: hop.lmtp,
            reused,
            weakened: connection.is_weakened(),
        };
        if report.recipients.iter().any(refuses_bdat) {
            tracing::warn!(destination = %hop, "BDAT is refused though CHUNKING is offered, going on with DATA");
            seat.tell(What::BdatRefused).await;
        }
        let sorted = Sorted {
            outcomes: &mut outcomes,
            left: &mut left,
            unwanted: &mut unwanted,
        };
        sort(&part, &report, &facts, context, sorted);
    }
    let usable = !given_up;
    if left.is_empty() && unwanted.is_empty() {
        recording.begin(results::recording(context, job, outcomes, attempt));
        return Delivered {
            end,
            again: None,
            unwanted: None,
            usable,
        };
    }
    // The others are tried again at once, and what is done may not be done again.
    if !outcomes.is_empty() {
        results::record(context, &job, outcomes, true, &attempt).await;
    }
    let (again, unwanted) = match unwanted.is_empty() {
        true => {
            let recipients = left.into();
            (Some(Group { job, recipients }), None)
        }
        false => {
            let unwanted = Unwanted {
                job,
                outcomes: unwanted,
                left,
                attempt,
            };
            (None, Some(unwanted))
        }
    };
    Delivered {
        end,
        again,
        unwanted,
        usable,
    }
}

/// Where the results of a transaction go.
struct Sorted<'a> {
    /// What is to be recorded.
    outcomes: &'a mut Vec<(usize, Outcome)>,
    /// Who is to be tried again at once.
    left: &'a mut VecDeque<usize>,
    /// Who is to be tried at another host, and what this one said.
    unwanted: &'a mut Vec<(usize, Outcome)>,
}

/// Sorts the recipients of a transaction by what becomes of them.
fn sort(part: &[usize], report: &Report, facts: &PeerFacts<'_>, context: &Context, to: Sorted<'_>) {
    let now = context.core.now();
    let some_accepted = report
        .recipients
        .iter()
        .any(|delivery| matches!(delivery, Delivery::Accepted(_)));
    for (&index, delivery) in part.iter().zip(&report.recipients) {
        if some_accepted && delivery.is_too_many_recipients() {
            to.left.push_back(index);
            continue;
        }
        match Attempted::from_peer(delivery, facts, now).map(Outcome::Tried) {
            Some(outcome) if delivery.rules_out_host() => to.unwanted.push((index, outcome)),
            Some(outcome) => to.outcomes.push((index, outcome)),
            None => to.left.push_back(index),
        }
    }
}

fn refuses_bdat(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Broken(failure) if is_without_bdat(failure))
}
