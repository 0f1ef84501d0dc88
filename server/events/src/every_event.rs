//! Every row of the table has its event, in the scope and with the answer that the table says.

use std::any::TypeId;

use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;

use crate::answer as a;
use crate::context as c;
use crate::event::EventKind;
use crate::question::Event;
use crate::{delivery, inbound, outbound, service, transport};

struct Row {
    kind: EventKind,
    context: TypeId,
    answer: TypeId,
}

fn row<E: Event>() -> Row
where
    E::Context: 'static,
{
    Row {
        kind: E::KIND,
        context: TypeId::of::<E::Context>(),
        answer: TypeId::of::<E::Answer>(),
    }
}

fn rows() -> Vec<Row> {
    vec![
        row::<inbound::Connect>(),
        row::<inbound::Helo>(),
        row::<inbound::Tls>(),
        row::<inbound::Auth>(),
        row::<inbound::Mail>(),
        row::<inbound::Rcpt>(),
        row::<inbound::Data>(),
        row::<inbound::Headers>(),
        row::<inbound::Message>(),
        row::<inbound::Command>(),
        row::<inbound::Response>(),
        row::<inbound::Outcome>(),
        row::<inbound::Reset>(),
        row::<inbound::Disconnect>(),
        row::<transport::Submit>(),
        row::<transport::PreCategorize>(),
        row::<transport::Categorize>(),
        row::<transport::Expand>(),
        row::<transport::PostCategorize>(),
        row::<transport::Route>(),
        row::<transport::MaxSize>(),
        row::<transport::Resolve>(),
        row::<transport::LocalDelivery>(),
        row::<transport::Dsn>(),
        row::<outbound::SessionStart>(),
        row::<outbound::MessageStart>(),
        row::<outbound::Recipient>(),
        row::<outbound::BeforeData>(),
        row::<outbound::SessionEnd>(),
        row::<outbound::Command>(),
        row::<outbound::Response>(),
        row::<outbound::Tls>(),
        row::<delivery::Result>(),
        row::<delivery::Link>(),
        row::<delivery::Track>(),
        row::<service::Start>(),
        row::<service::Stop>(),
        row::<service::Config>(),
    ]
}

#[test]
fn all_38_events_have_a_struct() {
    let kinds: Vec<_> = rows().iter().map(|row| row.kind).collect();
    assert_eq!(kinds, EventKind::ALL);
}

#[test]
fn each_takes_the_answer_of_the_table() {
    let answer = |kind: AnswerKind| match kind {
        AnswerKind::Rcpt => TypeId::of::<a::RcptAnswer>(),
        AnswerKind::Response => TypeId::of::<a::ResponseAnswer>(),
        AnswerKind::Auth => TypeId::of::<a::AuthAnswer>(),
        AnswerKind::Dialogue => TypeId::of::<a::DialogueAnswer>(),
        AnswerKind::Expansion => TypeId::of::<a::ExpansionAnswer>(),
        AnswerKind::Route => TypeId::of::<a::RouteAnswer>(),
        AnswerKind::Resolve => TypeId::of::<a::ResolveAnswer>(),
        AnswerKind::Size => TypeId::of::<a::SizeAnswer>(),
        AnswerKind::LocalDelivery => TypeId::of::<a::LocalDeliveryAnswer>(),
        AnswerKind::Dsn => TypeId::of::<a::DsnAnswer>(),
        AnswerKind::Commands => TypeId::of::<a::CommandsAnswer>(),
        AnswerKind::RemoteStatus => TypeId::of::<a::RemoteStatusAnswer>(),
    };
    for row in rows() {
        let allowed = row.kind.rule().answers;
        let expected = allowed
            .first()
            .map_or(TypeId::of::<a::NoAnswer>(), |one| answer(one.kind));
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
