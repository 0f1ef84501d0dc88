#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use postern_message::{Lifetime, Message, PropertyLimits, PropertyScope, Value};

use super::*;
use crate::samples;
use crate::testing;

#[test]
fn who_was_passed_over_is_noted_once_on_the_session_or_the_message() {
    let mut context = Context::from(testing::inbound());
    let before = context.session_at();
    context.skip("a");
    let told = context.session_at();
    context.skip("a");
    assert_eq!(context.session().unwrap().skipped, ["a"]);
    assert!(told > before, "sinks are told of it");
    assert_eq!(context.session_at(), told);
    let mut context = Context::from(testing::message());
    context.skip("b");
    context.skip("b");
    assert_eq!(context.working().unwrap().skipped, ["b"]);
}

/// One context of each kind, with what it is about.
fn all() -> [Context; 6] {
    let mut inbound = testing::inbound();
    inbound.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    let mut outgoing = samples::outgoing();
    outgoing.take(testing::message());
    [
        inbound.into(),
        testing::message().into(),
        outgoing.into(),
        samples::destination().into(),
        samples::delivery().into(),
        samples::service("submission").into(),
    ]
}

#[test]
fn each_kind_of_context_knows_its_server_its_session_and_its_message() {
    for (context, (server, has_session, has_message)) in all().iter_mut().zip([
        ("in", true, true),
        ("in", true, true),
        ("inbound", true, true),
        ("inbound", false, false),
        ("inbound", false, false),
        ("submission", false, false),
    ]) {
        assert_eq!(&**context.server(), server);
        assert_eq!(context.session().is_some(), has_session, "{context:?}");
        assert_eq!(context.session_at() > 0, has_session, "{context:?}");
        let id = context.session().map(|session| session.id);
        assert_eq!(context.session_id(), id);
        let message = context.working().map(|working| working.piece().id);
        assert_eq!(message.is_some(), has_message, "{context:?}");
        assert_eq!(context.message_id(), message);
        let changed = context.working_mut().map(|working| working.piece().id);
        assert_eq!(changed, message);
        // A session that is going on names the trace, else the message does.
        let trace = match context {
            Context::Inbound(_) => id.map(|id| *id.as_bytes()),
            _ => message.map(|id| *id.as_bytes()),
        };
        assert_eq!(context.trace_id(), trace);
        let version = context
            .working()
            .and_then(|own| own.draft().version.clone());
        assert_eq!(context.version().cloned(), version);
    }
}

#[test]
fn without_a_transaction_or_a_message_there_is_none() {
    let mut outgoing = samples::outgoing();
    outgoing.release();
    for mut context in [Context::from(testing::inbound()), outgoing.into()] {
        assert!(context.working().is_none() && context.working_mut().is_none());
        assert!(context.message_id().is_none() && context.version().is_none());
        assert!(context.recipient(RecipientId::new()).is_none());
    }
}

#[test]
fn of_a_session_that_is_not_at_hand_the_id_is_known() {
    let id = SessionId::new();
    let stored = Message {
        session: Some(id),
        ..testing::stored()
    };
    let own = MessageContext::with_session(Arc::new(stored), None);
    let mut outgoing = samples::outgoing();
    outgoing.take(own.clone());
    for context in [Context::from(own), outgoing.into()] {
        assert!(context.session().is_none());
        assert_eq!(context.session_id(), Some(id));
        assert_eq!(context.session_at(), 0);
    }
}

#[test]
fn a_context_is_found_by_its_own_type_alone() {
    let found = |context: &Context| {
        [
            InboundContext::of(context).is_some(),
            MessageContext::of(context).is_some(),
            OutgoingContext::of(context).is_some(),
            DestinationContext::of(context).is_some(),
            DeliveryContext::of(context).is_some(),
            ServiceContext::of(context).is_some(),
        ]
    };
    for (place, context) in all().iter().enumerate() {
        let expected = [0, 1, 2, 3, 4, 5].map(|own| own == place);
        assert_eq!(found(context), expected);
        assert!(Context::of(context).is_some());
    }
}

#[test]
fn a_recipient_is_found_pending_and_accepted() {
    let mut own = testing::inbound();
    own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    let one = Recipient::new(testing::path("b@y.test"));
    own.propose(one.clone(), Vec::new());
    assert_eq!(Context::from(own.clone()).recipient(one.id), Some(&one));
    own.decide(one.id, true);
    assert_eq!(Context::from(own).recipient(one.id), Some(&one));
    let message = testing::message();
    let one = message.working().draft().recipients[1].clone();
    assert_eq!(Context::from(message).recipient(one.id), Some(&one));
}

fn set(scope: PropertyScope) -> [Edit; 1] {
    [Edit::SetProperty {
        scope,
        key: "k".to_owned(),
        value: Some(Value::Int(1)),
        lifetime: Lifetime::Kept,
    }]
}

fn apply(
    context: &mut Context,
    edits: &[Edit],
    of: Option<RecipientId>,
) -> Result<Made, EditError> {
    let limits = EditLimits::default();
    context.apply("s", edits, &[], &Split::default(), of, &limits)
}

#[test]
fn edits_reach_the_message_or_the_session_that_is_there() {
    for context in &mut all() {
        let before = context.working().map(|own| own.draft().properties.len());
        let done = apply(context, &set(PropertyScope::Message), None);
        assert_eq!(done, Ok(Made::default()));
        let after = context.working().map(|own| own.draft().properties.len());
        assert_eq!(after, before.map(|count| count + 1));
        if let Context::Inbound(own) = context {
            let before = own.session().properties.len();
            apply(context, &set(PropertyScope::Session), None).unwrap();
            assert_eq!(context.session().unwrap().properties.len(), before + 1);
        }
    }
}

#[test]
fn any_property_of_session_message_or_recipient_makes_views_differ() {
    for mut context in all() {
        assert!(!context.has_properties(), "{context:?}");
        if context.working().is_some() {
            apply(&mut context, &set(PropertyScope::Message), None).unwrap();
            assert!(context.has_properties(), "{context:?}");
        }
    }
    let [mut inbound, mut transport, ..] = all();
    apply(&mut inbound, &set(PropertyScope::Session), None).unwrap();
    assert!(inbound.has_properties());
    let id = transport.working().unwrap().draft().recipients[0].id;
    apply(&mut transport, &set(PropertyScope::Recipient(id)), None).unwrap();
    assert!(transport.has_properties());
    // Also of a recipient that is still asked about, and of one that comes with some.
    let mut one = Recipient::new(testing::path("b@y.test"));
    one.properties
        .set("s", "k", Value::Int(1), &PropertyLimits::default())
        .unwrap();
    for accepted in [false, true] {
        let mut own = testing::inbound();
        own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
        own.propose(Recipient::new(testing::path("c@y.test")), Vec::new());
        assert!(!Context::from(own.clone()).has_properties());
        own.propose(one.clone(), Vec::new());
        if accepted {
            own.decide(one.id, true);
        }
        assert!(Context::from(own).has_properties());
    }
    let stored = Message {
        recipients: vec![one],
        ..testing::stored()
    };
    let stored = MessageContext::with_session(Arc::new(stored), None);
    assert!(Context::from(stored).has_properties());
}
