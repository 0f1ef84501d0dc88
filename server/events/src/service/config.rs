//! `service.config`: another configuration took effect.

use std::borrow::Cow;

use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::NoAnswer;
use crate::context::ServiceContext;
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::View;

/// Another configuration took effect.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Number of the plan, increasing.
    pub plan_number: u64,
    /// Names of bindings that were added, changed or removed.
    pub changed_bindings: Vec<String>,
}

impl Event for Config {
    const KIND: EventKind = EventKind::ServiceConfig;
    type Context = ServiceContext;
    type Answer = NoAnswer;

    fn body(&self, _: &ServiceContext, _: Option<&NoAnswer>, _: &View<'_>) -> Kind {
        Kind::ServiceConfig(pb::ServiceConfig {
            plan_number: self.plan_number,
            changed_bindings: self.changed_bindings.clone(),
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("plan {}", self.plan_number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_plan_and_what_changed_are_told() {
        let event = Config {
            plan_number: 9,
            changed_bindings: vec!["spam".to_owned()],
        };
        assert_eq!(
            samples::body(event, None, &samples::service("").into()),
            Kind::ServiceConfig(pb::ServiceConfig {
                plan_number: 9,
                changed_bindings: vec!["spam".to_owned()],
            })
        );
    }
}
