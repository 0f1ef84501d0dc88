//! Every row of the table has its event, in the scope and with the answer that the table says.

use std::any::TypeId;

use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;

use crate::answer::TypedAnswer;
use crate::context as c;
use crate::event::EventKind;
use crate::question::Event;
use crate::{delivery, inbound, outbound, service, transport};

/// One event, as its struct says.
pub(crate) struct Row {
    kind: EventKind,
    context: TypeId,
    answer: Option<AnswerKind>,
}

/// The row of an event.
pub(crate) fn row<E: Event>() -> Row
where
    E::Context: 'static,
{
    Row {
        kind: E::KIND,
        context: TypeId::of::<E::Context>(),
        answer: E::Answer::KIND,
    }
}

fn rows() -> Vec<Row> {
    let families = [
        inbound::rows(),
        transport::rows(),
        outbound::rows(),
        delivery::rows(),
        service::rows(),
    ];
    families.into_iter().flatten().collect()
}

#[test]
fn all_events_have_a_struct() {
    let kinds: Vec<_> = rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, EventKind::ALL);
}

#[test]
fn each_takes_the_answer_of_the_table() {
    for row in rows() {
        let allowed = row.kind.rule().answers;
        let expected = allowed.first().map(|one| one.kind);
        assert_eq!(row.answer, expected, "{}", row.kind);
    }
}

#[test]
fn each_happens_in_the_scope_of_the_table() {
    for row in rows() {
        let rule = row.kind.rule();
        let expected = if rule.also_in.is_empty() {
            match rule.scope {
                pb::Scope::InboundSession => TypeId::of::<c::InboundContext>(),
                pb::Scope::Transport => TypeId::of::<c::MessageContext>(),
                pb::Scope::OutboundSession => TypeId::of::<c::OutgoingContext>(),
                pb::Scope::Destination => TypeId::of::<c::DestinationContext>(),
                pb::Scope::Delivery => TypeId::of::<c::DeliveryContext>(),
                pb::Scope::Service => TypeId::of::<c::ServiceContext>(),
                pb::Scope::Unspecified => panic!("{} has no scope", row.kind),
            }
        } else {
            TypeId::of::<c::Context>()
        };
        assert_eq!(row.context, expected, "{}", row.kind);
    }
}
