#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use bytes::Bytes;
use postern_message::{Lifetime, NewRecipient, PropertyScope, Value};

use super::*;
use crate::testing;

const NO_SPLIT: Split = Split {
    decided: Vec::new(),
    forks: Vec::new(),
};

fn apply(
    own: &mut InboundContext,
    edits: &[Edit],
    orders: &[Order],
    of: Option<RecipientId>,
) -> Result<Made, EditError> {
    own.apply("s", edits, orders, &NO_SPLIT, of, &EditLimits::default())
}

fn set(scope: PropertyScope, number: i64) -> Edit {
    Edit::SetProperty {
        scope,
        key: "k".to_owned(),
        value: Some(Value::Int(number)),
        lifetime: Lifetime::Kept,
    }
}

/// A transaction with one recipient that is kept and one that is asked about.
fn running() -> (InboundContext, RecipientId, RecipientId) {
    let mut own = testing::inbound();
    own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    own.begun();
    let kept = Recipient::new(testing::path("kept@y.test"));
    let asked = Recipient::new(testing::path("asked@y.test"));
    let ids = (kept.id, asked.id);
    own.propose(kept, Vec::new());
    own.decide(ids.0, true);
    own.propose(asked, Vec::new());
    (own, ids.0, ids.1)
}

#[test]
fn what_is_set_shows_and_sinks_are_told_of_it() {
    type Change = fn(&mut InboundContext);
    type Shown = fn(&SessionContext) -> bool;
    let changes: [(&str, Change, Shown); 7] = [
        (
            "greet",
            |own| {
                own.greet(Helo {
                    verb: Bytes::from_static(b"LHLO"),
                    name: Bytes::from_static(b"other.test"),
                });
            },
            |session| session.helo.as_ref().unwrap().name == "other.test",
        ),
        (
            "secure",
            |own| {
                own.secure(Tls {
                    version: "TLSv1.3".to_owned(),
                    ..Tls::default()
                });
            },
            // What was said before the handshake counts no more.
            |session| session.tls.as_ref().unwrap().version == "TLSv1.3" && session.helo.is_none(),
        ),
        (
            "authenticate",
            |own| {
                own.authenticate(Authentication {
                    identity: Bytes::from_static(b"anna"),
                    ..Authentication::default()
                });
            },
            |session| session.authentication.as_ref().unwrap().identity == "anna",
        ),
        (
            "relay",
            |own| own.set_relay(true),
            |session| session.may_relay,
        ),
        (
            "tenant",
            |own| own.set_tenant("acme".to_owned()),
            |session| session.tenant == "acme",
        ),
        (
            "skip",
            |own| own.skip("scanner"),
            |session| session.skipped == ["scanner"],
        ),
        (
            "orders",
            |own| {
                let identity = Bytes::from_static(b"bea");
                let orders = [Order::Relay(true), Order::Authenticated(identity)];
                apply(own, &[], &orders, None).unwrap();
            },
            |session| {
                let identity = session.authentication.as_ref().map(|own| &own.identity[..]);
                session.may_relay && identity == Some(b"bea")
            },
        ),
    ];
    for (name, change, shows) in changes {
        let mut own = testing::inbound();
        let before = own.session_at();
        change(&mut own);
        assert!(shows(own.session()), "{name}: {:?}", own.session());
        assert!(own.session_at() > before, "{name}");
    }
}

#[test]
fn what_is_no_change_of_the_session_is_not_told_as_one() {
    let (mut own, ..) = running();
    let before = own.session_at();
    let conduct = Conduct {
        commands: 7,
        ..Conduct::default()
    };
    own.note_conduct(conduct);
    assert_eq!(own.session().conduct, conduct);
    apply(&mut own, &[], &[Order::Priority(3)], None).unwrap();
    apply(&mut own, &[set(PropertyScope::Message, 1)], &[], None).unwrap();
    assert_eq!(own.session_at(), before);
    apply(&mut own, &[set(PropertyScope::Session, 1)], &[], None).unwrap();
    let told = own.session_at();
    assert!(told > before);
    // The same value again.
    apply(&mut own, &[set(PropertyScope::Session, 1)], &[], None).unwrap();
    assert_eq!(own.session_at(), told);
}

#[test]
fn properties_of_the_session_are_set_with_and_without_a_transaction() {
    let number = |own: &InboundContext| own.session().properties.value("s", "k").cloned();
    let mut own = testing::inbound();
    let edit = |number| [set(PropertyScope::Session, number)];
    apply(&mut own, &edit(1), &[], None).unwrap();
    assert_eq!(number(&own), Some(Value::Int(1)));
    let (mut own, _, asked) = running();
    apply(&mut own, &edit(2), &[], None).unwrap();
    assert_eq!(number(&own), Some(Value::Int(2)));
    apply(&mut own, &edit(3), &[], Some(asked)).unwrap();
    assert_eq!(number(&own), Some(Value::Int(3)));
    // Without a transaction there is no message that could have any.
    let mut own = testing::inbound();
    let none = apply(
        &mut own,
        &[set(PropertyScope::Recipient(asked), 1)],
        &[],
        None,
    );
    assert!(none.is_err());
}

#[test]
fn a_transaction_counts_from_when_mail_is_accepted() {
    let mut own = testing::inbound();
    let numbers = |own: &InboundContext| {
        let running = own.transaction().unwrap();
        (running.number(), running.has_begun())
    };
    let begin = |own: &mut InboundContext| {
        let parameters = vec![(Bytes::from_static(b"SIZE"), None)];
        let id = MessageId::new();
        own.begin(id, testing::envelope("a@x.test"), parameters.clone());
        let running = own.transaction().unwrap();
        assert_eq!((running.id(), running.parameters()), (id, &parameters[..]));
    };
    own.begun();
    begin(&mut own);
    assert_eq!(numbers(&own), (1, false));
    // MAIL was refused, and is tried again.
    begin(&mut own);
    assert_eq!(numbers(&own), (1, false));
    own.begun();
    own.begun();
    assert_eq!(numbers(&own), (1, true));
    assert!(!own.transaction().unwrap().is_finished());
    own.finish_message();
    assert!(own.transaction().unwrap().is_finished());
    own.end_transaction();
    assert!(own.transaction().is_none());
    own.finish_message();
    begin(&mut own);
    assert_eq!(numbers(&own), (2, false));
    assert!(!own.transaction().unwrap().is_finished());
}

#[test]
fn a_recipient_waits_until_it_is_decided_and_goes_with_its_parameters() {
    let mut own = testing::inbound();
    let parameters = vec![(Bytes::from_static(b"NOTIFY"), None)];
    let [kept, refused, other] = ["kept", "refused", "other"]
        .map(|name| Recipient::new(testing::path(&format!("{name}@y.test"))));
    let ids = [kept.id, refused.id, other.id];
    // Without MAIL nothing comes of it.
    own.propose(kept.clone(), parameters.clone());
    own.decide(kept.id, true);
    own.begin(MessageId::new(), testing::envelope("a@x.test"), Vec::new());
    for one in [kept, refused, other] {
        own.propose(one, parameters.clone());
    }
    let running = own.transaction().unwrap();
    assert_eq!(running.pending().len(), 3);
    for id in ids {
        assert_eq!(running.parameters_of(id), parameters);
        assert_eq!(running.recipient(id).unwrap().id, id);
    }
    own.decide(RecipientId::new(), true);
    own.decide(ids[0], true);
    own.decide(ids[1], false);
    let running = own.transaction().unwrap();
    let pending: Vec<_> = running.pending().iter().map(|one| one.id).collect();
    assert_eq!(pending, [ids[2]]);
    assert_eq!(running.parameters_of(ids[0]), parameters);
    assert!(running.parameters_of(ids[1]).is_empty());
    let accepted = running.working();
    assert!(accepted.recipient(ids[0]).is_some());
    assert!(running.recipient(ids[1]).is_none());
    assert!(accepted.recipient(ids[2]).is_none() && running.recipient(ids[2]).is_some());
}

#[test]
fn what_is_asked_about_one_recipient_changes_it_and_the_message_alone() {
    let (mut own, kept, asked) = running();
    let clock = |own: &InboundContext| own.transaction().unwrap().working().clock();
    let before = clock(&own);
    let address = testing::path("new@y.test");
    let edits = [
        Edit::RewriteRecipient {
            id: asked,
            address: address.clone(),
        },
        set(PropertyScope::Recipient(asked), 1),
        set(PropertyScope::Message, 2),
    ];
    assert_eq!(
        apply(&mut own, &edits, &[], Some(asked)),
        Ok(Made::default())
    );
    let running = own.transaction().unwrap();
    let one = running.recipient(asked).unwrap();
    assert_eq!(one.address, address);
    assert_eq!(one.properties.value("s", "k"), Some(&Value::Int(1)));
    let properties = &running.working().draft().properties;
    assert_eq!(properties.value("s", "k"), Some(&Value::Int(2)));
    assert_eq!(running.pending().len(), 1);
    let told = clock(&own);
    assert!(told > before, "what was encoded of it is old");
    // Of the message's properties sinks are told, of others only that the clock has moved.
    assert!(
        own.transaction()
            .unwrap()
            .working()
            .envelope_changed_since(before)
    );
    apply(&mut own, &edits[1..2], &[], Some(asked)).unwrap();
    assert!(clock(&own) > told);
    assert!(
        !own.transaction()
            .unwrap()
            .working()
            .envelope_changed_since(told)
    );
    // Others are not there to be named.
    let other = Edit::RewriteRecipient { id: kept, address };
    assert!(apply(&mut own, &[other], &[], Some(asked)).is_err());
    let none = apply(&mut own, &edits[2..], &[], Some(kept));
    assert_eq!(none, Err(EditError::UnknownRecipient { id: kept }));
}

#[test]
fn a_refused_edit_leaves_all_as_it_was() {
    let (mut own, _, asked) = running();
    let before = (own.session().clone(), own.session_at());
    let unknown = Edit::RemoveRecipient {
        id: RecipientId::new(),
    };
    for of in [None, Some(asked)] {
        let edits = [set(PropertyScope::Session, 1), unknown.clone()];
        assert!(apply(&mut own, &edits, &[Order::Relay(true)], of).is_err());
        assert_eq!((own.session().clone(), own.session_at()), before);
    }
}

#[test]
fn content_and_its_end_come_to_the_message_of_the_transaction() {
    let (mut own, ..) = running();
    let version = |own: &InboundContext| own.transaction()?.working().draft().version.clone();
    assert!(version(&own).is_none());
    own.content(testing::version(false));
    assert!(version(&own).unwrap().is_open());
    own.close_content(testing::MAIL.len() as u64);
    assert_eq!(version(&own), Some(testing::version(true)));
    let add = Edit::AddRecipient(NewRecipient::new(testing::path("more@y.test")));
    apply(&mut own, &[add], &[], None).unwrap();
    let working = own.working_mut().unwrap();
    assert_eq!(working.draft().recipients.len(), 2);
    // Without one they are nothing.
    let mut none = testing::inbound();
    none.content(testing::version(false));
    none.close_content(1);
    assert!(none.transaction().is_none() && none.working_mut().is_none());
}

#[test]
fn a_held_message_is_its_first_transaction() {
    let mut stored = testing::stored();
    stored.skipped = vec!["scanner".to_owned()];
    let own = InboundContext::of_held(testing::session(), &stored);
    let running = own.transaction().unwrap();
    assert_eq!((running.number(), running.has_begun()), (1, true));
    assert!(!running.is_finished() && running.pending().is_empty());
    assert_eq!(running.working().skipped, ["scanner"]);
    assert_eq!(running.working().draft().recipients, stored.recipients);
}

#[test]
fn what_sinks_say_of_a_recipient_holds_once_it_is_kept() {
    let (mut own, _, asked) = running();
    let hop = NextHop::to("lmtp://store.test:24");
    let ways = |own: &InboundContext| {
        own.transaction()
            .unwrap()
            .working()
            .piece()
            .orders
            .handling
            .next_hops
            .clone()
    };
    own.claim(asked, "acme", Some(hop.clone()));
    // Nobody else's, and silence takes nothing back.
    own.claim(RecipientId::new(), "other", None);
    own.claim(asked, "", None);
    assert_eq!(
        own.transaction().unwrap().recipient(asked).unwrap().tenant,
        "acme"
    );
    assert!(ways(&own).is_empty());
    let before = own.transaction().unwrap().working().clock();
    own.decide(asked, true);
    assert_eq!(ways(&own), [(asked, vec![hop.clone()])].into());
    let working = own.transaction().unwrap().working();
    assert_eq!(working.recipient(asked).unwrap().tenant, "acme");
    assert!(working.envelope_changed_since(before));
    // Of one that is refused nothing is left.
    let (mut own, _, asked) = running();
    own.claim(asked, "acme", Some(hop));
    own.decide(asked, false);
    assert!(ways(&own).is_empty());
}

#[test]
fn starttls_takes_back_what_came_of_words_in_clear() {
    let secured = |own: &mut InboundContext| {
        own.secure(Tls::default());
        own.session().may_relay
    };
    let mut own = testing::inbound();
    own.set_relay(false);
    own.admitted();
    own.set_relay(true);
    assert!(!secured(&mut own), "it was said of a name in clear");
    let mut own = testing::inbound();
    own.set_relay(true);
    own.admitted();
    assert!(secured(&mut own), "it was said of the client");
}
