//! What a failure policy comes to at an event.

use postern_proto::rules::Effect;
use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

use crate::event::EventKind;
use crate::fault::Policy;
use crate::ruling::Decision;

/// The decision; `None` where the binding is passed over. The client reads no more than that the service is not
/// available, and an id; the operator finds the rest under it.
pub(super) fn decision(
    event: EventKind,
    policy: Policy,
    stands: bool,
    reference: &str,
) -> Option<Decision> {
    let rule = event.rule();
    let after = rule.policies_after_acceptance;
    let effect = if stands && !after.is_empty() {
        let own = after.iter().find(|(own, _)| *own == policy);
        own.map(|(_, effect)| *effect)
    } else {
        rule.effect(policy)
    };
    // What stands is no decision; one-way events have no policies.
    let effect = match effect? {
        Effect::Skipped | Effect::Stands | Effect::LimitImposed => return None,
        Effect::Reply(_) if stands && policy != Policy::Disconnect => return None,
        effect => effect,
    };
    Some(match (policy, effect) {
        (Policy::Continue, _) => return None,
        (_, Effect::Held) => Decision::Hold { at_most: None },
        (_, Effect::Quarantined) => Decision::Quarantine,
        (Policy::Disconnect, Effect::Reply(code)) => {
            Decision::Disconnect(unavailable(code, reference))
        }
        (Policy::Disconnect, _) => Decision::Disconnect(unavailable(421, reference)),
        (Policy::Reject, Effect::Reply(code)) => Decision::Reject(unavailable(code, reference)),
        (Policy::Reject, _) => Decision::Reject(unavailable(550, reference)),
        (_, Effect::Reply(code)) => Decision::Tempfail(unavailable(code, reference)),
        (..) => Decision::Tempfail(unavailable(451, reference)),
    })
}

fn unavailable(code: u16, reference: &str) -> Reply {
    let text = if code < 500 {
        format!("Service unavailable, try again later ({reference})")
    } else {
        format!("Service unavailable ({reference})")
    };
    let make = || {
        let code = Code::new(code)?;
        Reply::new(
            code,
            Some(EnhancedCode::new(code.class(), 7, 1)?),
            vec![ReplyText::lossy(&text)],
        )
    };
    make().expect("the codes of the table are codes of replies")
}
