//! `inbound.disconnect`: the session ended.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::InboundContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// The end of a session. Its counts are in the conduct that goes with the event.
#[derive(Clone, Copy, Debug)]
pub struct Disconnect {
    /// Why.
    pub reason: DisconnectReason,
    /// Octets read from the client.
    pub received_bytes: u64,
    /// Octets sent to it.
    pub sent_bytes: u64,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// QUIT.
    Quit,
    /// The client closed, or the connection broke.
    ClientGone,
    /// It took too long.
    Timeout,
    /// It broke a limit.
    Limit,
    /// A verdict, or the failure policy of a binding.
    Verdict,
    /// The gateway shuts down.
    Shutdown,
    /// A TLS handshake failed.
    Tls,
    /// The gateway failed.
    GatewayFault,
}

impl DisconnectReason {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::ClientGone => "client gone",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::Verdict => "verdict",
            Self::Shutdown => "shutdown",
            Self::Tls => "tls",
            Self::GatewayFault => "gateway fault",
        }
    }
}

impl Event for Disconnect {
    const KIND: EventKind = EventKind::InboundDisconnect;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        use pb::DisconnectReason as W;
        let reason = match self.reason {
            DisconnectReason::Quit => W::Quit,
            DisconnectReason::ClientGone => W::ClientGone,
            DisconnectReason::Timeout => W::Timeout,
            DisconnectReason::Limit => W::Limit,
            DisconnectReason::Verdict => W::Verdict,
            DisconnectReason::Shutdown => W::Shutdown,
            DisconnectReason::Tls => W::Tls,
            DisconnectReason::GatewayFault => W::GatewayFault,
        };
        Kind::InboundDisconnect(pb::InboundDisconnect {
            reason: reason.into(),
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.reason.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn reason_and_octets_are_told() {
        use DisconnectReason as R;
        for (number, reason) in (1..).zip([
            R::Quit,
            R::ClientGone,
            R::Timeout,
            R::Limit,
            R::Verdict,
            R::Shutdown,
            R::Tls,
            R::GatewayFault,
        ]) {
            let event = Disconnect {
                reason,
                received_bytes: 10,
                sent_bytes: 20,
            };
            let body = samples::body(event, None, &samples::inbound().into());
            let Kind::InboundDisconnect(shown) = body else {
                panic!("{body:?}");
            };
            assert_eq!(
                (shown.reason, shown.received_bytes, shown.sent_bytes),
                (number, 10, 20)
            );
            let name = reason.name().to_uppercase().replace(' ', "_");
            assert_eq!(
                shown.reason().as_str_name(),
                format!("DISCONNECT_REASON_{name}")
            );
        }
    }
}
