//! `outbound.tls`: how TLS turned out in this attempt.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::{self, OutgoingContext};
use crate::event::EventKind;
use crate::question::Event;
use crate::route::TlsPolicy;
use crate::wire::{self, View};

/// The TLS result of an outgoing attempt.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The handshake. `None`: there was none.
    pub tls: Option<context::Tls>,
    /// The policy that ruled.
    pub policy: TlsPolicy,
    /// Where the policy came from: `dane`, `mta-sts`, `route`, `default`.
    pub policy_source: String,
    /// Why it is not met; empty where it is.
    pub failure: String,
}

impl Event for Tls {
    const KIND: EventKind = EventKind::OutboundTls;
    type Context = OutgoingContext;
    type Answer = NoAnswer;

    fn body(&self, _: &OutgoingContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::OutboundTls(
            pb::OutboundTls {
                tls: self.tls.as_ref().map(wire::tls),
                policy: wire::tls_policy(self.policy).into(),
                policy_source: self.policy_source.clone(),
                failure: self.failure.clone(),
            }
            .into(),
        )
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.failure)
    }
}
