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

/// Holds the reply back for as long as a sink asked for, within the bounds of patience.
pub(in crate::front) async fn hold_back(ruling: &Ruling, budget: &Budget) {
    let delay = ruling.delay.min(DELAY_MAX).min(budget.left(Instant::now()));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}
