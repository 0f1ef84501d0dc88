//! `inbound.tls`: a handshake ended, well or not.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{self, InboundContext};
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A handshake that ended. No reply is waiting: a refusal is the reply to the client's next command, with implicit TLS
/// the banner.
#[derive(Clone, Debug, Default)]
pub struct Tls(pub context::Tls);

impl Event for Tls {
    const KIND: EventKind = EventKind::InboundTls;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, view: &View<'_>) -> Kind {
        Kind::InboundTls(pb::InboundTls {
            tls: view.reads.session.then(|| wire::tls(&self.0)),
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &InboundContext,
        _: Option<&NoAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::SessionTls => AttributeValue::Bool(!self.0.version.is_empty()),
            Attribute::SessionTlsVersion => AttributeValue::text(&self.0.version),
            Attribute::SessionTlsCipher => AttributeValue::text(&self.0.cipher),
            _ => return None,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_handshake_is_shown_to_who_reads_the_session() {
        let event = Tls(samples::handshake());
        let context = samples::inbound().into();
        assert_eq!(
            samples::body(event.clone(), None, &context),
            Kind::InboundTls(pb::InboundTls {
                tls: Some(samples::wire_handshake()),
            })
        );
        let text = AttributeValue::text;
        for (attribute, value) in [
            (Attribute::SessionTls, AttributeValue::Bool(true)),
            (Attribute::SessionTlsVersion, text("TLSv1.3")),
            (Attribute::SessionTlsCipher, text("TLS_AES_128_GCM_SHA256")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), value);
        }
        assert_eq!(
            samples::blind_body(event, &context),
            Kind::InboundTls(pb::InboundTls { tls: None })
        );
    }
}
