//! `inbound.reset`: a transaction was given up before its content.

use postern_message::MessageId;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::InboundContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A transaction was given up.
#[derive(Clone, Copy, Debug)]
pub struct Reset {
    /// The transaction. `None`: there was none.
    pub message_id: Option<MessageId>,
    /// Why.
    pub reason: ResetReason,
}

/// Why a transaction was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetReason {
    /// RSET.
    Command,
    /// HELO, EHLO or LHLO.
    Greeting,
    /// TLS began.
    Tls,
}

impl Event for Reset {
    const KIND: EventKind = EventKind::InboundReset;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        let reason = match self.reason {
            ResetReason::Command => pb::ResetReason::Command,
            ResetReason::Greeting => pb::ResetReason::Greeting,
            ResetReason::Tls => pb::ResetReason::Tls,
        };
        Kind::InboundReset(pb::InboundReset {
            transaction_id: self
                .message_id
                .map(|message| wire::id(message.as_bytes()))
                .unwrap_or_default(),
            reason: reason.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn transaction_and_reason_are_told() {
        let message = MessageId::new();
        for (reason, shown) in [
            (ResetReason::Command, pb::ResetReason::Command),
            (ResetReason::Greeting, pb::ResetReason::Greeting),
            (ResetReason::Tls, pb::ResetReason::Tls),
        ] {
            let event = Reset {
                message_id: Some(message),
                reason,
            };
            assert_eq!(
                samples::body(event, None, &samples::inbound().into()),
                Kind::InboundReset(pb::InboundReset {
                    transaction_id: wire::id(message.as_bytes()),
                    reason: shown.into(),
                })
            );
        }
    }
}
