//! `inbound.auth`: a step of an AUTH exchange (RFC 4954).

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::AuthAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
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
}
