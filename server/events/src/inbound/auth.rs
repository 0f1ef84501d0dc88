//! `inbound.auth`: a step of an AUTH exchange (RFC 4954).

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::check::{limit, name_or_empty};
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::Event;
use crate::wire::{self, View};

/// A step of an AUTH exchange. Only bindings that read `credentials` see what the client sent.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// The line of this step.
    pub command: CommandLine,
    /// The mechanism, upper case.
    pub mechanism: Bytes,
    /// The client's response of this step, decoded. `None`: it sent none.
    pub response: Option<Bytes>,
    /// Number of the step, from 1.
    pub step: u32,
}

impl Event for Auth {
    const KIND: EventKind = EventKind::InboundAuth;
    type Context = InboundContext;
    type Answer = AuthAnswer;

    fn body(&self, _: &InboundContext, _: Option<&AuthAnswer>, view: &View<'_>) -> Kind {
        let shown = view.reads.credentials;
        Kind::InboundAuth(pb::InboundAuth {
            command: Some(wire::command(&self.command, shown)),
            mechanism: self.mechanism.clone(),
            response: self.response.clone().filter(|_| shown),
            step: self.step,
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &InboundContext,
        _: Option<&AuthAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::AuthMechanism => AttributeValue::lossy(&self.mechanism),
            Attribute::AuthStep => AttributeValue::count(self.step),
            _ => return None,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.mechanism)
    }
}

/// Octets of a challenge, and of an identity.
const MAX_CHALLENGE: usize = postern_smtp::server::MAX_CHALLENGE;
const MAX_IDENTITY: usize = 255;

/// A step of an AUTH exchange (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthAnswer {
    /// Ask the client for more: a 334 with this, before base64.
    Challenge(Bytes),
    /// The client is who it says.
    Success(AuthSuccess),
    /// The mechanisms that EHLO is to offer, upper case, in order of preference.
    Mechanisms(Vec<Bytes>),
}

/// A 235 to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSuccess {
    /// The authenticated identity.
    pub identity: Bytes,
    /// The identity that it acts for; empty where it is the same.
    pub authorization_identity: Bytes,
    /// It may relay.
    pub may_relay: bool,
    /// The tenant that the session belongs to; empty where there is none.
    pub tenant: String,
}

impl TypedAnswer for AuthAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Auth);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Auth(own) = answer else {
            return Err(not_the_answer());
        };
        use pb::auth_answer::Kind as K;
        match own.kind {
            Some(K::Challenge(own)) => {
                limit("octets of a challenge", own.challenge.len(), MAX_CHALLENGE)?;
                Ok(AuthAnswer::Challenge(own.challenge))
            }
            Some(K::Success(own)) => {
                if own.identity.is_empty() {
                    return Err(Fault::protocol("a success needs an identity"));
                }
                limit("octets of an identity", own.identity.len(), MAX_IDENTITY)?;
                limit(
                    "octets of an identity",
                    own.authorization_identity.len(),
                    MAX_IDENTITY,
                )?;
                if own.may_relay {
                    checks.may("relay")?;
                }
                let tenant = name_or_empty(own.tenant, "the tenant")?;
                if !tenant.is_empty() {
                    checks.may("tenant")?;
                }
                Ok(AuthAnswer::Success(AuthSuccess {
                    identity: own.identity,
                    authorization_identity: own.authorization_identity,
                    may_relay: own.may_relay,
                    tenant,
                }))
            }
            Some(K::Mechanisms(own)) => {
                limit("mechanisms", own.names.len(), 32)?;
                let is_name = |name: &Bytes| {
                    (1..=20).contains(&name.len())
                        && name.iter().all(|b| {
                            b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
                        })
                };
                if !own.names.iter().all(is_name) {
                    return Err(Fault::protocol("a mechanism has no such name (RFC 4422)"));
                }
                Ok(AuthAnswer::Mechanisms(own.names))
            }
            None => Err(Fault::protocol("the answer is unset or unknown")),
        }
    }

    /// Mechanisms of several sinks add up; of a step the first answer counts: whoever gave it carries the exchange on.
    fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Mechanisms(mut own), Self::Mechanisms(later)) => {
                for name in later {
                    if !own.contains(&name) {
                        own.push(name);
                    }
                }
                Self::Mechanisms(own)
            }
            (first, _) => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Reads;
    use crate::samples;

    #[test]
    fn credentials_are_shown_to_who_reads_them_alone() {
        let event = Auth {
            command: samples::line("AUTH", "AUTH PLAIN AGEAYg=="),
            mechanism: Bytes::from_static(b"PLAIN"),
            response: Some(Bytes::from_static(b"\0a\0b")),
            step: 2,
        };
        let context = samples::inbound().into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::InboundAuth(pb::InboundAuth {
                command: samples::wire_line("AUTH", "AUTH PLAIN AGEAYg=="),
                mechanism: Bytes::from_static(b"PLAIN"),
                response: Some(Bytes::from_static(b"\0a\0b")),
                step: 2,
            })
        );
        assert_eq!(
            samples::viewed(&event, None, &context, &Reads::everything()),
            Kind::InboundAuth(pb::InboundAuth {
                command: samples::wire_line("AUTH", ""),
                mechanism: Bytes::from_static(b"PLAIN"),
                response: None,
                step: 2,
            })
        );
        for (attribute, value) in [
            (Attribute::AuthMechanism, AttributeValue::text("PLAIN")),
            (Attribute::AuthStep, AttributeValue::Int(2)),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
    }

    #[test]
    fn mechanisms_add_up_and_steps_do_not() {
        let names = |names: &[&'static str]| {
            AuthAnswer::Mechanisms(
                names
                    .iter()
                    .map(|name| Bytes::from_static(name.as_bytes()))
                    .collect(),
            )
        };
        assert_eq!(
            names(&["PLAIN"]).then(names(&["LOGIN", "PLAIN"])),
            names(&["PLAIN", "LOGIN"])
        );
        let step = AuthAnswer::Challenge(Bytes::new());
        let success = AuthAnswer::Success(AuthSuccess::default());
        assert_eq!(step.clone().then(success), step);
    }
}
