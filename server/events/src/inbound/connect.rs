//! `inbound.connect`: a client connected; the banner has not been sent.

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::InboundContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// A client connected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connect;

impl Event for Connect {
    const KIND: EventKind = EventKind::InboundConnect;
    type Context = InboundContext;
    type Answer = NoAnswer;

    fn body(&self, _: &InboundContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::InboundConnect(pb::InboundConnect {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn its_arm_is_on_the_wire() {
        assert_eq!(
            samples::body(Connect, None, &samples::inbound().into()),
            Kind::InboundConnect(pb::InboundConnect {})
        );
    }
}
