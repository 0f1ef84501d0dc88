//! What a ruling about a message comes to. One rule for the front end, where the message is being accepted, and for transport,
//! where it stays or goes on. Times and randomness are arguments, and nothing is done here.

use std::time::SystemTime;

use postern_events::event::EventKind;
use postern_events::ruling::{Cause, Decision, Ruling};
use postern_smtp::reply::Reply;
use postern_spool::{Point, Stage};

use super::schedule::{Next, Schedule};

/// Where a message is when a chain has ruled about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position<'a> {
    /// At the front end, with a client that waits for its reply.
    Arriving,
    /// Queued: asked about at a point of its way.
    Queued {
        /// The point.
        point: Point,
        /// When it was received: its age counts from then.
        received_at: SystemTime,
        /// How often it may have been asked about before.
        attempts: u32,
    },
    /// Accepted before, and held because of a binding. The client has its reply.
    Held {
        /// The event that is asked again.
        event: EventKind,
        /// The binding.
        binding: &'a str,
        /// Since when.
        since: SystemTime,
        /// How often it was asked again.
        attempts: u32,
    },
}

/// What a refusal means for a message that was accepted and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeldRefusal {
    /// Kept until a person acts.
    #[default]
    Quarantine,
    /// Dropped, on record.
    Discard,
}

/// What becomes of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// It goes on, to this stage, now.
    Goes(Stage),
    /// It is kept at this stage, and asked about again at this time.
    Kept {
        /// The stage.
        stage: Stage,
        /// The time.
        due: SystemTime,
    },
    /// It is kept until a person acts.
    Quarantined {
        /// The binding because of which.
        by: String,
        /// Why, in a word or a line.
        why: String,
        /// The event, by its dotted name.
        event: String,
    },
    /// It is dropped, on record.
    Discarded,
    /// It is refused for good: to the client, or in transport to all recipients that are left.
    Refused(Reply),
    /// It is refused for now: to the client, or in transport by the retry schedule of its recipients.
    Deferred {
        /// In these words; `None`: a sink wanted to be asked again after the message's last attempt.
        reply: Option<Reply>,
    },
}

/// What `ruling` comes to at `now`. `refusal` is what a refusal of mail that was held means; `draw` is a random number.
#[must_use]
pub fn disposition(
    ruling: &Ruling,
    position: &Position<'_>,
    schedule: &Schedule,
    refusal: HeldRefusal,
    draw: u32,
    now: SystemTime,
) -> Disposition {
    match &ruling.decision {
        Decision::Proceed | Decision::Finish(_) | Decision::Respond(_) => {
            Disposition::Goes(match position {
                Position::Arriving => Stage::submit(),
                // A message that was held on its way in is submitted now.
                Position::Held { event, .. } => {
                    Point::of_event(event.name()).map_or_else(Stage::submit, Stage::behind)
                }
                Position::Queued { point, .. } => Stage::behind(*point),
            })
        }
        Decision::Reject(reply) => match position {
            Position::Held { event, binding, .. }
                if Point::of_event(event.name()).is_none() || *binding == by(ruling) =>
            {
                match refusal {
                    HeldRefusal::Quarantine => Disposition::Quarantined {
                        by: by(ruling).to_owned(),
                        why: reply.to_string(),
                        event: ruling.event.name().to_owned(),
                    },
                    HeldRefusal::Discard => Disposition::Discarded,
                }
            }
            _ => Disposition::Refused(reply.clone()),
        },
        Decision::Tempfail(reply) | Decision::Disconnect(reply) => match position {
            Position::Held { .. } => still_held(ruling, position, schedule, draw, now),
            // The reply says whether the client may come again.
            Position::Arriving if reply.code().value() >= 500 => {
                Disposition::Refused(reply.clone())
            }
            Position::Arriving | Position::Queued { .. } => Disposition::Deferred {
                reply: Some(reply.clone()),
            },
        },
        Decision::Discard => Disposition::Discarded,
        Decision::Quarantine => Disposition::Quarantined {
            by: by(ruling).to_owned(),
            why: why(ruling),
            event: ruling.event.name().to_owned(),
        },
        Decision::Hold { at_most } => {
            let (since, attempts) = held_since(position, now);
            match schedule.next(since, attempts.saturating_add(1), now, draw) {
                Next::At(at) => Disposition::Kept {
                    stage: held(ruling, since, attempts),
                    due: at_most.and_then(|wait| now.checked_add(wait)).unwrap_or(at),
                },
                Next::Expired => held_too_long(ruling.event, by(ruling), attempts),
            }
        }
        Decision::Postpone(wait) => {
            let began = match position {
                Position::Queued { received_at, .. } => *received_at,
                _ => held_since(position, now).0,
            };
            // What is only arriving has all its time before it.
            let is_over = !matches!(position, Position::Arriving)
                && schedule.next(began, 1, now, 0) == Next::Expired;
            match position {
                Position::Held { .. } if is_over => {
                    still_held(ruling, position, schedule, draw, now)
                }
                _ if is_over => Disposition::Deferred { reply: None },
                Position::Queued {
                    point, attempts, ..
                } => Disposition::Kept {
                    stage: Stage::At {
                        point: *point,
                        // Recipients that are asked about one by one have a chain each.
                        from_binding: (*point != Point::Expand).then(|| by(ruling).to_owned()),
                        attempts: *attempts,
                        waits_for: None,
                    },
                    due: now.checked_add(*wait).unwrap_or(now),
                },
                Position::Arriving | Position::Held { .. } => {
                    let (since, attempts) = held_since(position, now);
                    Disposition::Kept {
                        stage: held(ruling, since, attempts),
                        due: now.checked_add(*wait).unwrap_or(now),
                    }
                }
            }
        }
    }
}

/// The binding that decided; empty where nobody objected.
fn by(ruling: &Ruling) -> &str {
    ruling.by.as_ref().map_or("", |by| &*by.binding)
}

/// The binding whose sink failed, if that is why the message is kept: it is asked again when that sink is back.
fn waits_for(ruling: &Ruling) -> Option<String> {
    let by = ruling.by.as_ref()?;
    matches!(by.cause, Cause::Failure(..)).then(|| by.binding.to_string())
}

/// Why, in a word or a line, for who looks after what is kept.
fn why(ruling: &Ruling) -> String {
    match ruling.by.as_ref().map(|by| &by.cause) {
        Some(Cause::Failure(_, fault)) => fault.to_string(),
        _ if ruling.reason_code.is_empty() => ruling.event.name().to_owned(),
        _ => ruling.reason_code.clone(),
    }
}

fn held_since(position: &Position<'_>, now: SystemTime) -> (SystemTime, u32) {
    match position {
        Position::Held {
            since, attempts, ..
        } => (*since, *attempts),
        Position::Arriving | Position::Queued { .. } => (now, 0),
    }
}

/// Held at the event and the binding of the ruling.
fn held(ruling: &Ruling, since: SystemTime, attempts: u32) -> Stage {
    Stage::Held {
        event: ruling.event.name().to_owned(),
        binding: by(ruling).to_owned(),
        since,
        attempts,
        waits_for: waits_for(ruling),
    }
}

/// Held as it was: asked again by the retry schedule; at its end, kept for a person.
fn still_held(
    ruling: &Ruling,
    position: &Position<'_>,
    schedule: &Schedule,
    draw: u32,
    now: SystemTime,
) -> Disposition {
    let Position::Held {
        event,
        binding,
        since,
        attempts,
    } = *position
    else {
        return Disposition::Deferred { reply: None };
    };
    match schedule.next(since, attempts.saturating_add(1), now, draw) {
        Next::At(due) => Disposition::Kept {
            stage: Stage::Held {
                event: event.name().to_owned(),
                binding: binding.to_owned(),
                since,
                attempts,
                waits_for: waits_for(ruling),
            },
            due,
        },
        Next::Expired => held_too_long(event, binding, attempts),
    }
}

fn held_too_long(event: EventKind, binding: &str, attempts: u32) -> Disposition {
    let (event, attempts) = (event.name(), attempts.saturating_add(1));
    Disposition::Quarantined {
        by: binding.to_owned(),
        why: format!("held too long: no answer to {event} in {attempts} attempts"),
        event: event.to_owned(),
    }
}

#[cfg(test)]
mod tests;
