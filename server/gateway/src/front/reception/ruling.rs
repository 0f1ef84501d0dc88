//! What a chain came to, in terms of replies.

use std::fmt::Display;
use std::time::{Duration, Instant};

use postern_events::budget::Budget;
use postern_events::ruling::{Cause, Decision, Ruling};
use postern_smtp::reply::Reply;

use crate::front::replies;

/// Longest time for which a sink may hold a reply back.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// A reply in place of our own.
pub(in crate::front) struct Refused {
    pub(in crate::front) reply: Reply,
    pub(in crate::front) disconnect: bool,
    /// The binding that decided; absent where it was the service.
    pub(in crate::front) by: Option<String>,
}

impl Refused {
    /// The service itself refuses.
    pub(in crate::front) fn by_service(reply: Reply) -> Self {
        Self {
            reply,
            disconnect: false,
            by: None,
        }
    }
}

/// The reply that the ruling wants sent, if the service is not to go on with its own handling. `id` is what the
/// client reads when a sink failed, and what the operator looks for.
pub(in crate::front) fn refusal(ruling: &Ruling, id: &dyn Display) -> Option<Refused> {
    let reply = ruling.decision.reply()?;
    let reply = match ruling.by.as_ref() {
        Some(by) => match &by.cause {
            Cause::Failure(policy, fault) => {
                tracing::debug!(
                    %id, event = ruling.event.name(), binding = &*by.binding, policy = policy.name(),
                    kind = fault.kind.name(), code = reply.code().value(), "failure policy applied"
                );
                replies::sink_failed(reply, id)
            }
            Cause::Verdict => reply.clone(),
        },
        None => reply.clone(),
    };
    Some(Refused {
        reply,
        disconnect: matches!(ruling.decision, Decision::Disconnect(_)),
        by: ruling.by.as_ref().map(|by| by.binding.to_string()),
    })
}

/// Holds the reply back for as long as a sink asked for, within the bounds of patience, and not into the time that is
/// reserved for what is still to be asked.
pub(in crate::front) async fn hold_back(ruling: &Ruling, budget: &Budget) {
    let left = budget
        .latest_extension(Duration::ZERO)
        .map_or(Duration::ZERO, |latest| {
            latest.saturating_duration_since(Instant::now())
        });
    let delay = ruling.delay.min(DELAY_MAX).min(left);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use postern_events::event::EventKind;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn v15_a_delay_leaves_the_time_of_what_is_still_to_be_asked() {
        for (delay, total, reserved, held) in [
            (3, 90, 0, 3),
            // The longest that there is.
            (60, 90, 0, 30),
            (20, 25, 15, 10),
            (20, 15, 20, 0),
        ] {
            let seconds = Duration::from_secs;
            let ruling = Ruling {
                delay: seconds(delay),
                ..Ruling::proceed(EventKind::InboundCommand)
            };
            let budget = Budget::starting(Instant::now(), seconds(total));
            let since = tokio::time::Instant::now();
            hold_back(&ruling, &budget.reserving(seconds(reserved))).await;
            let took = since.elapsed().as_secs_f64();
            assert!((took - f64::from(held)).abs() < 1.0, "{took} is not {held}");
        }
    }
}
