//! `transport.pre_categorize`: recipients are about to be resolved.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::MessageContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A message whose recipients are about to be resolved.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreCategorize;

impl Event for PreCategorize {
    const KIND: EventKind = EventKind::TransportPreCategorize;
    type Context = MessageContext;
    type Answer = NoAnswer;

    fn body(&self, _: &MessageContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportPreCategorize(pb::TransportPreCategorize {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn its_arm_is_on_the_wire() {
        let context = samples::message().into();
        assert_eq!(
            samples::body(PreCategorize, None, &context),
            Kind::TransportPreCategorize(pb::TransportPreCategorize {})
        );
    }
}
