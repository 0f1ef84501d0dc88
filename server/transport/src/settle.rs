//! From the result of an attempt to the new state of a recipient.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use postern_message::{Message, MessageId, RecipientState, Status};

use super::schedule::{Next, Schedule};
use postern_delivery::{Attempted, Fate};

/// What became of a recipient in this round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was tried.
    Tried(Attempted),
    /// A verdict dropped it.
    Discarded(Status),
    /// It was not tried, and is to be tried then, unless it has come to its end.
    Waits {
        /// When.
        until: SystemTime,
        /// Why.
        status: Status,
    },
}

/// The state after `outcome`, for a recipient of `message` in the state `before`. `hops`: so many next hops have their turn,
/// the next one at once; the schedule counts rounds of them.
pub(crate) fn settle(
    message: &Message,
    before: &RecipientState,
    outcome: Outcome,
    schedule: &Schedule,
    hops: usize,
    now: SystemTime,
) -> RecipientState {
    let RecipientState::Pending { attempts, .. } = before else {
        return before.clone();
    };
    match outcome {
        Outcome::Discarded(status) => RecipientState::Discarded(status),
        Outcome::Waits { until, status } => match schedule.ends_at(message.received_at) {
            Some(end) if now >= end => RecipientState::Expired(status),
            end => RecipientState::Pending {
                attempts: *attempts,
                due: Some(end.map_or(until, |end| until.min(end))),
                last: Some(status),
            },
        },
        Outcome::Tried(Attempted { fate, status }) => match fate {
            Fate::Delivered => RecipientState::Delivered(status),
            Fate::Relayed => RecipientState::Relayed(status),
            Fate::Failed => RecipientState::Failed(status),
            Fate::Deferred => {
                let attempts = attempts.saturating_add(1);
                let hops = u32::try_from(hops).unwrap_or(u32::MAX).max(1);
                let round_is_over = attempts.is_multiple_of(hops);
                match schedule.retry(
                    message.received_at,
                    attempts.div_ceil(hops),
                    now,
                    draw(message.id, attempts),
                ) {
                    Next::At(at) => RecipientState::Pending {
                        attempts,
                        due: Some(if round_is_over { at } else { now }),
                        last: Some(status),
                    },
                    Next::Expired => RecipientState::Expired(status),
                }
            }
        },
    }
}

/// The jitter of an attempt, a number of any size. It follows from the message's id, so that its recipients stay together.
#[must_use]
pub fn draw(message: MessageId, attempts: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (message, attempts).hash(&mut hasher);
    (hasher.finish() >> 32) as u32
}

/// When the next recipient is due; `None` if none is pending.
pub(crate) fn next_due<'a>(
    states: impl Iterator<Item = &'a RecipientState>,
    now: SystemTime,
) -> Option<SystemTime> {
    states
        .filter(|state| !state.is_done())
        .map(|state| state.due().unwrap_or(now))
        .min()
}

/// Whether a delay of this recipient is to be reported (RFC 3461 4.1: by default it may be).
pub(crate) fn wants_warning(recipient: &postern_message::Recipient) -> bool {
    recipient.notify.is_none_or(|notify| notify.delay)
}

/// Whether a failure of this recipient is to be reported (RFC 3461 4.1: by default it is).
pub(crate) fn wants_report(recipient: &postern_message::Recipient) -> bool {
    recipient.notify.is_none_or(|notify| notify.failure)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use postern_delivery::testing;

    use super::*;

    #[test]
    fn what_waits_for_its_route_comes_to_its_end_as_all_does() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let after = |seconds| start + Duration::from_secs(seconds);
        let content = bytes::Bytes::from_static(b"A: b\r\n\r\n");
        let message = testing::message(&content, &["a@x.test"], start);
        let schedule = Schedule::new(Vec::new(), Duration::from_secs(100));
        let before = RecipientState::Pending {
            attempts: 0,
            due: None,
            last: None,
        };
        let waits = |until: SystemTime, now: SystemTime| {
            let text = "closed".to_owned();
            let status = Attempted::own(Fate::Deferred, 4, 0, text, now).status;
            let outcome = Outcome::Waits { until, status };
            settle(&message, &before, outcome, &schedule, 0, now)
        };
        assert_eq!(waits(after(50), start).due(), Some(after(50)));
        assert_eq!(waits(after(1 << 40), start).due(), Some(after(100)));
        let over = waits(after(1 << 40), after(100));
        assert!(matches!(over, RecipientState::Expired(_)), "{over:?}");
    }
}
