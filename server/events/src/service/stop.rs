//! `service.stop`: the gateway is stopping.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::ServiceContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// The gateway is stopping. Actions are taken until the instance is closed.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// Why.
    pub reason: String,
}

impl Event for Stop {
    const KIND: EventKind = EventKind::ServiceStop;
    type Context = ServiceContext;
    type Answer = NoAnswer;

    fn body(&self, _: &ServiceContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::ServiceStop(pb::ServiceStop {
            reason: self.reason.clone(),
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_reason_is_told() {
        let event = Stop {
            reason: "SIGTERM".to_owned(),
        };
        assert_eq!(
            samples::body(event, None, &samples::service("").into()),
            Kind::ServiceStop(pb::ServiceStop {
                reason: "SIGTERM".to_owned(),
            })
        );
    }
}
