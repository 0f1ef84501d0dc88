//! `transport.resolve`: addresses are needed for a name.

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::ResolveAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::DestinationContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A name whose addresses are needed: that of its context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resolve {
    /// Mail exchangers are wanted, not the addresses of a host.
    pub mail_exchangers: bool,
}

impl Event for Resolve {
    const KIND: EventKind = EventKind::TransportResolve;
    type Context = DestinationContext;
    type Answer = ResolveAnswer;

    fn body(&self, context: &DestinationContext, _: Option<&ResolveAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportResolve(pb::TransportResolve {
            name: Bytes::copy_from_slice(context.domain.as_bytes()),
            mail_exchangers: self.mail_exchangers,
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &DestinationContext,
        _: Option<&ResolveAnswer>,
    ) -> Option<AttributeValue> {
        match attribute {
            Attribute::DestinationMailExchangers => {
                Some(AttributeValue::Bool(self.mail_exchangers))
            }
            _ => None,
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.mail_exchangers {
            "MX"
        } else {
            "address"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_name_is_that_of_the_destination() {
        let event = Resolve {
            mail_exchangers: true,
        };
        let context = samples::destination().into();
        assert_eq!(
            samples::body(event, None, &context),
            Kind::TransportResolve(pb::TransportResolve {
                name: Bytes::from_static(b"example.test"),
                mail_exchangers: true,
            })
        );
        assert_eq!(
            samples::attribute(&event, Attribute::DestinationMailExchangers, None, &context),
            AttributeValue::Bool(true)
        );
    }
}
