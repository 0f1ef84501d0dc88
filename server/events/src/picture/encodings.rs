//! Encodings that several bindings share.

use std::sync::Arc;

use super::place::Place;
use super::update::{self, Told};
use crate::context::{Context, Working};
use crate::encode::{EncodedEvent, EncodedSnapshot};
use crate::fault::Fault;
use crate::plan::Binding;
use crate::question::Question;

/// How many are kept: one event is asked of all its bindings at about the same time.
const KEPT: usize = 16;

/// Encodings of one scope. Bindings with the same view that were told the same share them.
#[derive(Debug, Default)]
pub struct Encodings {
    events: Vec<(EventKey, EncodedEvent, Told)>,
    snapshots: Vec<(SnapshotKey, EncodedSnapshot)>,
}

/// What bindings see of an event is the same if all of this is.
#[derive(Debug, PartialEq, Eq)]
struct EventKey {
    question: Identity,
    view: ViewKey,
    shows_headers: bool,
    place: Place,
    told: Told,
    now: Told,
    /// What was edited, also before MAIL or RCPT was accepted: the event's own body shows it.
    clock: u64,
}

/// One asking of one event, after so many answers.
#[derive(Debug)]
struct Identity(Question);

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same_as(&other.0) && self.0.said() == other.0.said()
    }
}

impl Eq for Identity {}

/// What a binding reads, and, once any sink has set a property, whose it sees.
#[derive(Debug, PartialEq, Eq)]
struct ViewKey {
    view: u32,
    sink: Option<Arc<str>>,
}

#[derive(Debug, PartialEq, Eq)]
struct SnapshotKey {
    view: ViewKey,
    told: Told,
}

impl ViewKey {
    fn of(context: &Context, binding: &Binding) -> Self {
        Self {
            view: binding.view,
            sink: context
                .has_properties()
                .then(|| Arc::clone(&binding.sink.name)),
        }
    }
}

impl Encodings {
    /// Nothing is encoded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn event(
        &mut self,
        question: &Question,
        context: &Context,
        binding: &Binding,
        place: Place,
        told: &Told,
    ) -> Result<(EncodedEvent, Told), Fault> {
        let kind = question.kind();
        let key = EventKey {
            question: Identity(question.clone()),
            view: ViewKey::of(context, binding),
            shows_headers: binding.depth(kind).shows_headers(),
            place,
            told: told.clone(),
            now: Told::by_snapshot(context),
            clock: context.working().map_or(0, Working::clock),
        };
        if let Some((_, encoded, told)) = self.events.iter().find(|(own, ..)| *own == key) {
            return Ok((encoded.clone(), told.clone()));
        }
        let (event, told) = update::event(question, context, binding, place, told)?;
        let encoded = EncodedEvent::new(kind, &event)?;
        if self.events.len() >= KEPT {
            self.events.remove(0);
        }
        self.events.push((key, encoded.clone(), told.clone()));
        Ok((encoded, told))
    }

    /// An event that is told again: its body, and nothing of what changed.
    pub(super) fn replayed(
        &mut self,
        question: &Question,
        context: &Context,
        binding: &Binding,
    ) -> Result<EncodedEvent, Fault> {
        let kind = question
            .event()
            .body(context, question.said(), &binding.view())?;
        let kind = match kind {
            postern_proto::v1::event::Kind::InboundRcpt(mut own) => {
                own.group_position = 0;
                own.group_size = 0;
                postern_proto::v1::event::Kind::InboundRcpt(own)
            }
            kind => kind,
        };
        let event = postern_proto::v1::Event {
            kind: Some(kind),
            ..postern_proto::v1::Event::default()
        };
        EncodedEvent::new(question.kind(), &event)
    }

    pub(super) fn snapshot(
        &mut self,
        context: &Context,
        binding: &Binding,
        told: &Told,
    ) -> Result<EncodedSnapshot, Fault> {
        let key = SnapshotKey {
            view: ViewKey::of(context, binding),
            told: told.clone(),
        };
        // The client's conduct changes without a tick; what the next event says of it counts.
        if let Some((_, encoded)) = self.snapshots.iter().find(|(own, _)| *own == key) {
            return Ok(encoded.clone());
        }
        let encoded = EncodedSnapshot::new(&update::snapshot(context, binding))?;
        if self.snapshots.len() >= KEPT {
            self.snapshots.remove(0);
        }
        self.snapshots.push((key, encoded.clone()));
        Ok(encoded)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use super::*;
    use crate::inbound;
    use crate::plan::{BindingSpec, Plan, PlanSpec, ServerSpec, SinkSpec};
    use crate::testing;

    #[test]
    fn no_more_is_kept_than_can_be_used() {
        let spec = PlanSpec {
            servers: vec![ServerSpec::new("in")],
            sinks: vec![SinkSpec {
                name: "a".to_owned(),
                endpoints: vec!["unix:/s".to_owned()],
                ..SinkSpec::default()
            }],
            bindings: vec![BindingSpec {
                events: Some(vec!["inbound.data".to_owned()]),
                may: Some(Vec::new()),
                ..BindingSpec::new("a", "a")
            }],
        };
        let plan = Plan::build(spec, &HashMap::new()).unwrap();
        let binding = plan.bindings().first().unwrap();
        let mut own = testing::inbound();
        let mut encodings = Encodings::new();
        for _ in 0..KEPT + 3 {
            // Another state of the session each time.
            own.set_relay(true);
            let context = Context::from(own.clone());
            let told = Told::by_snapshot(&context);
            let question = Question::new(inbound::Data::default());
            for _ in 0..2 {
                encodings.snapshot(&context, binding, &told).unwrap();
                let told = Told::default();
                encodings
                    .event(&question, &context, binding, Place::ALONE, &told)
                    .unwrap();
            }
        }
        assert_eq!(
            (encodings.events.len(), encodings.snapshots.len()),
            (KEPT, KEPT)
        );
    }
}
