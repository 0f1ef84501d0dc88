//! What a failure policy comes to at an event.

use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

use crate::event::{EventGroup, EventKind};
use crate::fault::Policy;
use crate::verdict::Decision;

/// The decision; `None` where the binding is passed over. The client reads no more than that the service is not
/// available, and an id; the operator finds the rest under it.
pub(super) fn decision(event: EventKind, policy: Policy, reference: &str) -> Option<Decision> {
    if event.group() == EventGroup::OneWay {
        return None;
    }
    let before_commands = matches!(event, EventKind::InboundConnect | EventKind::InboundTls);
    Some(match policy {
        Policy::Continue => return None,
        Policy::Tempfail => Decision::Tempfail(unavailable(
            if before_commands { 421 } else { 451 },
            reference,
        )),
        Policy::Reject => Decision::Reject(unavailable(550, reference)),
        Policy::Hold => Decision::Hold,
        Policy::Quarantine => Decision::Quarantine,
        Policy::Disconnect => Decision::Disconnect(unavailable(421, reference)),
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
    make().expect("code and enhanced code are of one class")
}
