//! `inbound.helo`: HELO, EHLO or LHLO.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::command::HelloName;

use super::auth::AuthAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{self, CommandLine, InboundContext};
use crate::event::EventKind;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A greeting that is asked about. A sink may answer with the mechanisms that EHLO is to offer.
#[derive(Clone, Debug, Default)]
pub struct Helo {
    /// The line.
    pub command: CommandLine,
    /// Verb and name.
    pub helo: context::Helo,
}

impl Event for Helo {
    const KIND: EventKind = EventKind::InboundHelo;
    type Context = InboundContext;
    type Answer = AuthAnswer;

    fn body(&self, _: &InboundContext, _: Option<&AuthAnswer>, view: &View<'_>) -> Kind {
        let shown = view.reads.session;
        Kind::InboundHelo(pb::InboundHelo {
            command: Some(wire::command(&self.command, shown)),
            helo: shown.then(|| wire::helo(&self.helo)),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &InboundContext,
        _: Option<&AuthAnswer>,
    ) -> Option<AttributeValue> {
        match attribute {
            Attribute::SessionHelo => Some(AttributeValue::lossy(&self.helo.name)),
            Attribute::SessionHeloValid => Some(AttributeValue::Bool(
                HelloName::parse(&self.helo.name).is_some(),
            )),
            _ => None,
        }
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            helo: Some(&self.helo.name),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.helo.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_greeting_is_shown_to_who_reads_the_session() {
        let event = Helo {
            command: samples::line("EHLO", "EHLO mail.example.test"),
            helo: context::Helo {
                verb: "EHLO".into(),
                name: "mail.example.test".into(),
            },
        };
        let context = samples::inbound().into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::InboundHelo(pb::InboundHelo {
                command: samples::wire_line("EHLO", "EHLO mail.example.test"),
                helo: Some(pb::Helo {
                    verb: "EHLO".into(),
                    name: "mail.example.test".into(),
                }),
            })
        );
        assert_eq!(
            samples::attribute(&event, Attribute::SessionHelo, None, &context),
            AttributeValue::text("mail.example.test")
        );
        assert_eq!(event.facts().helo, Some(&b"mail.example.test"[..]));
        assert_eq!(
            samples::blind_body(event, &context),
            Kind::InboundHelo(pb::InboundHelo {
                command: samples::wire_line("EHLO", ""),
                helo: None,
            })
        );
    }
}
