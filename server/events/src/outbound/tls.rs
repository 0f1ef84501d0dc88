//! `outbound.tls`: how TLS turned out in an attempt.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::proposed::of_remote;
use crate::answer::NoAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{OutgoingContext, Tls as Handshake};
use crate::event::EventKind;
use crate::question::Event;
use crate::route::TlsPolicy;
use crate::wire::{self, View};

/// How TLS turned out, and what the policy makes of it.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The handshake. `None`: there was none.
    pub handshake: Option<Handshake>,
    /// The policy that ruled.
    pub policy: TlsPolicy,
    /// Where the policy came from.
    pub policy_source: PolicySource,
    /// Why it is not met. Empty: it is.
    pub failure: String,
}

/// Where the TLS policy of an attempt came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicySource {
    /// TLSA records (RFC 7672).
    Dane,
    /// The domain's MTA-STS policy (RFC 8461).
    MtaSts,
    /// The next hop says so.
    Route,
    /// The configuration's default.
    #[default]
    Default,
}

impl PolicySource {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dane => "dane",
            Self::MtaSts => "mta-sts",
            Self::Route => "route",
            Self::Default => "default",
        }
    }
}

impl Event for Tls {
    const KIND: EventKind = EventKind::OutboundTls;
    type Context = OutgoingContext;
    type Answer = NoAnswer;

    fn body(&self, _: &OutgoingContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::OutboundTls(
            pb::OutboundTls {
                tls: self.handshake.as_ref().map(wire::tls),
                policy: wire::tls_policy(self.policy).into(),
                policy_source: self.policy_source.name().to_owned(),
                failure: self.failure.clone(),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &OutgoingContext,
        _: Option<&NoAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::RemoteTlsPolicy => AttributeValue::text(self.policy.name()),
            Attribute::RemoteTlsPolicySource => AttributeValue::text(self.policy_source.name()),
            Attribute::RemoteTlsFailure => AttributeValue::text(&self.failure),
            _ => return of_remote(attribute, context),
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.failure.is_empty() {
            self.policy.name()
        } else {
            &self.failure
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::proposed::tests::remote;
    use super::*;
    use crate::samples;

    #[test]
    fn handshake_and_policy_are_shown() {
        let context = samples::outgoing().into();
        for (source, name) in [
            (PolicySource::Dane, "dane"),
            (PolicySource::MtaSts, "mta-sts"),
            (PolicySource::Route, "route"),
            (PolicySource::Default, "default"),
        ] {
            let event = Tls {
                handshake: Some(samples::handshake()),
                policy: TlsPolicy::Dane,
                policy_source: source,
                failure: "no TLSA record matches".to_owned(),
            };
            assert_eq!(
                samples::body(event.clone(), None, &context),
                Kind::OutboundTls(
                    pb::OutboundTls {
                        tls: Some(samples::wire_handshake()),
                        policy: pb::TlsPolicy::Dane.into(),
                        policy_source: name.to_owned(),
                        failure: "no TLSA record matches".to_owned(),
                    }
                    .into()
                )
            );
            let text = AttributeValue::text;
            for (attribute, value) in [
                (Attribute::RemoteTlsPolicy, text("dane")),
                (Attribute::RemoteTlsPolicySource, text(name)),
                (Attribute::RemoteTlsFailure, text("no TLSA record matches")),
            ]
            .into_iter()
            .chain(remote())
            {
                assert_eq!(samples::attribute(&event, attribute, None, &context), value);
            }
        }
    }
}
