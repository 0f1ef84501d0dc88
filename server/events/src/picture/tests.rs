#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use postern_message::{
    Edit, EditLimits, HeaderId, Lifetime, MessageId, PropertyScope, Recipient, RecipientId, Value,
};
use postern_proto::v1 as pb;
use prost::Message as _;

use super::*;
use crate::context::{CommandLine, Helo, InboundContext, OutgoingContext, Remote, Split};
use crate::inbound;
use crate::plan::{BindingSpec, BodyDepth, Plan, PlanSpec, ServerSpec, SinkSpec};
use crate::recipient_kind::RecipientKind;
use crate::testing;
use crate::transport;

/// Bindings by name, sink of the same name, and what they read.
fn bindings(specs: &[(&str, &[&str])]) -> Vec<Arc<Binding>> {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let events = [
        "inbound.connect",
        "inbound.mail",
        "inbound.rcpt",
        "inbound.data",
        "inbound.message",
        "inbound.outcome",
        "transport.submit",
    ];
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in")],
        sinks: specs
            .iter()
            .map(|(name, _)| SinkSpec {
                name: (*name).to_owned(),
                endpoints: vec!["unix:/s".to_owned()],
                ..SinkSpec::default()
            })
            .collect(),
        bindings: specs
            .iter()
            .map(|(name, reads)| BindingSpec {
                events: words(&events),
                reads: words(reads),
                may: words(&["recipients", "headers", "sender"]),
                body: Some(BodyDepth::Full),
                ..BindingSpec::new(*name, *name)
            })
            .collect(),
    };
    Plan::build(spec, &HashMap::new())
        .unwrap()
        .bindings()
        .to_vec()
}

const ALL: &[&str] = &["session", "sender", "recipients", "headers", "body"];

fn one() -> Arc<Binding> {
    bindings(&[("a", ALL)]).remove(0)
}

/// A session and what one instance knows of it, kept by the rules of the protocol.
struct Side {
    context: Context,
    picture: Picture,
    encodings: Encodings,
    binding: Arc<Binding>,
    world: World,
}

/// The picture that a receiver has.
#[derive(Debug, Default, PartialEq)]
struct World {
    session: Option<pb::Session>,
    transaction: Option<pb::Transaction>,
    message: Option<pb::Message>,
    headers: Option<pb::Headers>,
    recipients: Vec<pb::Recipient>,
}

impl World {
    fn open(snapshot: &EncodedSnapshot) -> Self {
        let snapshot = pb::Snapshot::decode(snapshot.whole()).unwrap();
        Self {
            session: snapshot.session,
            transaction: snapshot.transaction,
            message: snapshot.message,
            headers: None,
            recipients: snapshot.recipients,
        }
    }

    fn take(&mut self, event: &pb::Event, outgoing: bool) {
        if event.message_ended {
            let session = self.session.take().filter(|_| !outgoing);
            *self = Self {
                session,
                ..Self::default()
            };
        }
        self.session = event.session.as_deref().cloned().or(self.session.take());
        self.transaction = event
            .transaction
            .as_deref()
            .cloned()
            .or(self.transaction.take());
        self.message = event.message.as_deref().cloned().or(self.message.take());
        self.headers = event.headers.clone().or(self.headers.take());
        if let Some(update) = &event.recipients {
            if update.replaces_all {
                self.recipients.clear();
            }
            self.recipients
                .retain(|own| !update.removed_ids.contains(&own.recipient_id));
            for one in &update.changed {
                match self
                    .recipients
                    .iter_mut()
                    .find(|own| own.recipient_id == one.recipient_id)
                {
                    Some(own) => *own = one.clone(),
                    None => self.recipients.push(one.clone()),
                }
            }
        }
    }
}

impl Side {
    fn new(context: impl Into<Context>, binding: Arc<Binding>) -> Self {
        let mut side = Self {
            context: context.into(),
            picture: Picture::new(),
            encodings: Encodings::new(),
            binding,
            world: World::default(),
        };
        side.open(&[]);
        side
    }

    fn inbound(&mut self) -> &mut InboundContext {
        match &mut self.context {
            Context::Inbound(own) => own,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, open: &[&Question]) -> Opening {
        let opening = self
            .picture
            .open(&self.context, &self.binding, open, &mut self.encodings)
            .unwrap();
        self.world = World::open(&opening.snapshot);
        opening
    }

    fn event(&mut self, question: &Question) -> pb::Event {
        let encoded = self
            .picture
            .event(
                question,
                &self.context,
                &self.binding,
                Place::ALONE,
                &mut self.encodings,
            )
            .unwrap();
        let event = pb::Event::decode(encoded.whole()).unwrap();
        let outgoing = matches!(self.context, Context::Outgoing(_));
        self.world.take(&event, outgoing);
        event
    }

    /// What the receiver knows is what a new one would be told.
    fn check(&self) {
        let mut fresh = Picture::new();
        let mut encodings = Encodings::new();
        let opening = fresh
            .open(&self.context, &self.binding, &[], &mut encodings)
            .unwrap();
        let mut now = World::open(&opening.snapshot);
        let by_id = |list: &mut Vec<pb::Recipient>| {
            list.sort_by(|a, b| a.recipient_id.cmp(&b.recipient_id));
        };
        let mut known = self.world.recipients.clone();
        by_id(&mut known);
        by_id(&mut now.recipients);
        assert_eq!(known, now.recipients);
        assert_eq!(self.world.session, now.session);
        assert_eq!(self.world.transaction, now.transaction);
        assert_eq!(self.world.message, now.message);
    }

    fn mail(&mut self) -> Question {
        let mail = inbound::Mail {
            command: CommandLine::default(),
            message_id: MessageId::new(),
            envelope: testing::envelope("a@x.test"),
            parameters: Vec::new(),
        };
        mail.begin(self.inbound());
        Question::new(mail)
    }

    fn rcpt(&mut self, address: &str) -> (Question, RecipientId) {
        let rcpt = inbound::Rcpt {
            command: CommandLine::default(),
            recipient: Recipient::new(testing::path(address)),
            parameters: Vec::new(),
            recipient_kind: RecipientKind::Hosted,
            duplicate_of: None,
        };
        rcpt.propose(self.inbound());
        let id = rcpt.recipient.id;
        (Question::new(rcpt), id)
    }

    fn accept(&mut self, address: &str) -> RecipientId {
        let (question, id) = self.rcpt(address);
        self.event(&question);
        self.inbound().decide(id, true);
        id
    }

    fn edit(&mut self, edits: &[Edit]) {
        self.context
            .apply(
                "a",
                edits,
                &[],
                &Split::default(),
                None,
                &EditLimits::default(),
            )
            .unwrap();
    }
}

fn property(scope: PropertyScope) -> Edit {
    Edit::SetProperty {
        scope,
        key: "k".to_owned(),
        value: Some(Value::Int(1)),
        lifetime: Lifetime::Kept,
    }
}

#[test]
fn an_event_brings_what_changed_and_nothing_else() {
    let mut side = Side::new(testing::inbound(), one());
    let event = side.event(&Question::new(inbound::Connect));
    // The snapshot has it all.
    assert!(event.session.is_none() && event.transaction.is_none());
    assert!(event.conduct.is_some());
    let mail = side.mail();
    let event = side.event(&mail);
    assert!(event.transaction.is_none(), "not accepted yet");
    side.inbound().begun();
    let (question, id) = side.rcpt("b@y.test");
    let event = side.event(&question);
    assert!(event.transaction.is_some() && event.recipients.is_none());
    side.inbound().decide(id, true);
    let (question, refused) = side.rcpt("c@y.test");
    let event = side.event(&question);
    assert!(event.transaction.is_none() && event.session.is_none());
    assert_eq!(event.recipients.unwrap().changed.len(), 1);
    side.inbound().decide(refused, false);
    side.inbound().greet(Helo {
        verb: Bytes::from_static(b"HELO"),
        name: Bytes::from_static(b"again"),
    });
    let event = side.event(&Question::new(inbound::Data::default()));
    assert!(event.recipients.is_none());
    assert_eq!(event.session.unwrap().helo.unwrap().verb, "HELO");
    side.check();
    side.edit(&[
        property(PropertyScope::Recipient(id)),
        property(PropertyScope::Session),
    ]);
    let event = side.event(&Question::new(inbound::Data::default()));
    assert!(event.session.is_some() && event.transaction.is_none());
    assert_eq!(event.recipients.unwrap().changed[0].properties.len(), 1);
    side.check();
}

#[test]
fn what_is_gone_can_be_said() {
    let mut side = Side::new(testing::inbound(), one());
    let mail = side.mail();
    side.event(&mail);
    side.inbound().begun();
    let (a, b) = (side.accept("a@y.test"), side.accept("b@y.test"));
    side.edit(&[
        property(PropertyScope::Message),
        Edit::RemoveRecipient { id: a },
    ]);
    let event = side.event(&Question::new(inbound::Data::default()));
    let update = event.recipients.unwrap();
    assert_eq!(update.removed_ids, [Bytes::copy_from_slice(a.as_bytes())]);
    side.check();
    // A property that is gone is not in the whole that replaces it.
    let mut gone = property(PropertyScope::Message);
    if let Edit::SetProperty { value, .. } = &mut gone {
        *value = None;
    }
    side.edit(&[gone]);
    side.event(&Question::new(inbound::Data::default()));
    assert!(
        side.world
            .transaction
            .as_ref()
            .unwrap()
            .properties
            .is_empty()
    );
    side.check();
    // The outcome belongs to the transaction; what comes after it says that it ended.
    let id = side.context.message_id().unwrap();
    let outcome = Question::new(inbound::Outcome {
        message_id: id,
        fate: inbound::Fate::Accepted,
        reply: None,
        decided_by: None,
        recipients: Vec::new(),
        size_bytes: 0,
    });
    assert!(!side.event(&outcome).message_ended);
    side.inbound().end_transaction();
    let mail = side.mail();
    assert!(side.event(&mail).message_ended);
    assert_eq!(side.world.recipients, []);
    side.inbound().begun();
    side.accept("c@y.test");
    let event = side.event(&Question::new(inbound::Data::default()));
    assert!(!event.message_ended);
    assert_eq!(
        side.world.transaction.as_ref().unwrap().transaction_number,
        2
    );
    assert!(
        side.world
            .recipients
            .iter()
            .all(|own| own.recipient_id != b.as_bytes()[..])
    );
    side.check();
}

#[test]
fn headers_come_once_until_they_change_or_the_instance_is_new() {
    let mut side = Side::new(testing::inbound(), one());
    let mail = side.mail();
    side.event(&mail);
    side.inbound().begun();
    side.inbound().content(testing::version(true));
    let id = side.context.message_id().unwrap();
    let message = Question::new(inbound::Message::new(id));
    assert!(
        side.event(&Question::new(inbound::Data::default()))
            .headers
            .is_none()
    );
    assert_eq!(side.event(&message).headers.unwrap().fields.len(), 2);
    assert!(side.event(&message).headers.is_none());
    side.edit(&[Edit::RemoveHeader { id: HeaderId(1) }]);
    assert_eq!(side.event(&message).headers.unwrap().fields.len(), 1);
    side.open(&[]);
    assert_eq!(side.event(&message).headers.unwrap().fields.len(), 1);
    // As received means as received.
    let original = bindings(&[("o", &["headers", "original"])]).remove(0);
    let mut other = Side::new(side.context.clone(), original);
    assert_eq!(other.event(&message).headers.unwrap().fields.len(), 2);
}

#[test]
fn a_thousand_recipients_cost_linear_octets() {
    let cost = |count: u32| {
        let mut side = Side::new(testing::inbound(), one());
        let mail = side.mail();
        side.event(&mail);
        side.inbound().begun();
        let mut octets = 0;
        for n in 0..count {
            let (question, id) = side.rcpt(&format!("recipient{n:06}@y.test"));
            let event = side.event(&question);
            octets += event.encoded_len();
            assert!(event.recipients.is_none_or(|own| own.changed.len() == 1));
            side.inbound().decide(id, true);
            side.edit(&[property(PropertyScope::Recipient(id))]);
        }
        side.check_list(count);
        octets
    };
    let (few, many) = (cost(50), cost(500));
    assert!(many < 11 * few, "{few} for 50, {many} for 500");
}

impl Side {
    fn check_list(&mut self, count: u32) {
        self.event(&Question::new(inbound::Data::default()));
        assert_eq!(self.world.recipients.len(), count as usize);
        self.check();
    }
}

#[test]
fn a_new_instance_hears_again_what_was_asked_and_not_what_is_open() {
    let mut side = Side::new(testing::inbound(), one());
    let mail = side.mail();
    side.event(&Question::new(inbound::Connect));
    side.event(&mail);
    side.inbound().begun();
    side.accept("a@y.test");
    let (open, _) = side.rcpt("b@y.test");
    side.event(&open);
    let opening = side.open(&[&open]);
    assert_eq!(opening.reopened_count, 1);
    let kinds: Vec<EventKind> = opening.replayed.iter().map(|own| own.kind).collect();
    assert_eq!(kinds, [EventKind::InboundMail, EventKind::InboundRcpt]);
    for own in &opening.replayed {
        let event = pb::Event::decode(own.whole()).unwrap();
        assert!(event.session.is_none() && event.recipients.is_none() && event.conduct.is_none());
        if let Some(pb::event::Kind::InboundRcpt(own)) = event.kind {
            assert_eq!((own.group_position, own.group_size), (0, 0));
        }
    }
    // It is asked anew, and counts once.
    let event = side.event(&open);
    assert!(event.recipients.is_none(), "the snapshot has them");
    side.check();
    assert_eq!(side.open(&[]).replayed.len(), 3);
    side.inbound().end_transaction();
    assert_eq!(side.open(&[]).replayed.len(), 0);
}

#[test]
fn of_an_earlier_transaction_nothing_is_told_again() {
    let mut side = Side::new(testing::inbound(), one());
    let first = side.mail();
    side.event(&first);
    side.inbound().begun();
    let (rcpt, _) = side.rcpt("b@y.test");
    side.event(&rcpt);
    assert_eq!(side.open(&[]).replayed.len(), 2);
    // Another MAIL, and nobody said that the first transaction is over.
    let second = side.mail();
    side.event(&second);
    let opening = side.open(&[]);
    let kinds: Vec<EventKind> = opening.replayed.iter().map(|own| own.kind).collect();
    assert_eq!(kinds, [EventKind::InboundMail]);
}

#[test]
fn what_waits_comes_in_front_unless_it_does_not_stand_any_more() {
    let mut side = Side::new(testing::inbound(), one());
    let wait = |side: &mut Side, question: &Question| side.picture.wait(question);
    wait(&mut side, &Question::new(inbound::Connect));
    wait(&mut side, &Question::new(inbound::Helo::default()));
    wait(&mut side, &Question::new(inbound::Helo::default()));
    let mail = side.mail();
    wait(&mut side, &mail);
    let again = side.mail();
    wait(&mut side, &again);
    assert!(side.picture.has_waiting());
    let Side {
        picture,
        context,
        binding,
        encodings,
        ..
    } = &mut side;
    let told = picture.waiting(context, binding, encodings).unwrap();
    let kinds: Vec<EventKind> = told.iter().map(|own| own.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::InboundConnect,
            EventKind::InboundHelo,
            EventKind::InboundMail
        ]
    );
    assert!(!picture.has_waiting());
    picture.wait(&again);
    picture.transaction_ended();
    assert!(!picture.has_waiting());
}

#[test]
fn bindings_that_see_the_same_share_one_encoding() {
    let three = bindings(&[("a", ALL), ("b", ALL), ("c", &["recipients"])]);
    let mut side = Side::new(testing::inbound(), Arc::clone(&three[0]));
    let mail = side.mail();
    side.event(&mail);
    side.inbound().begun();
    let (question, id) = side.rcpt("a@y.test");
    let encode = |side: &mut Side, pictures: &mut [Picture; 3]| {
        let mut all = Vec::new();
        for (picture, binding) in pictures.iter_mut().zip(&three) {
            let encodings = &mut side.encodings;
            let place = Place::ALONE;
            let event = picture.event(&question, &side.context, binding, place, encodings);
            all.push(event.unwrap().last);
        }
        [0, 1, 2].map(|n: usize| all[n].as_ptr() as usize)
    };
    let mut pictures = [Picture::new(), Picture::new(), Picture::new()];
    for (picture, binding) in pictures.iter_mut().zip(&three) {
        picture
            .open(&side.context, binding, &[], &mut side.encodings)
            .unwrap();
    }
    let at = encode(&mut side, &mut pictures);
    assert_eq!(at[0], at[1], "the same octets");
    assert_ne!(at[0], at[2]);
    // Once a sink has left a property, each sees its own.
    let limits = EditLimits::default();
    let edits = [property(PropertyScope::Recipient(id))];
    side.context
        .apply("a", &edits, &[], &Split::default(), Some(id), &limits)
        .unwrap();
    let at = encode(&mut side, &mut pictures);
    assert_ne!(at[0], at[1]);
}

#[test]
fn a_second_binding_is_asked_about_the_address_that_the_first_gave() {
    let two = bindings(&[("a", ALL), ("b", ALL)]);
    let mut side = Side::new(testing::inbound(), Arc::clone(&two[0]));
    let mail = side.mail();
    side.event(&mail);
    side.inbound().begun();
    let (question, id) = side.rcpt("a@y.test");
    side.event(&question);
    let rewrite = Edit::RewriteRecipient {
        id,
        address: testing::path("new@y.test"),
    };
    side.context
        .apply(
            "a",
            &[rewrite],
            &[],
            &Split::default(),
            Some(id),
            &EditLimits::default(),
        )
        .unwrap();
    let mut other = Picture::new();
    let Side {
        context, encodings, ..
    } = &mut side;
    other.open(context, &two[1], &[], encodings).unwrap();
    let event = other.event(&question, context, &two[1], Place::ALONE, encodings);
    let event = pb::Event::decode(event.unwrap().whole()).unwrap();
    match event.kind.unwrap() {
        pb::event::Kind::InboundRcpt(own) => {
            let shown = own.recipient.unwrap();
            assert_eq!(
                (&shown.address[..], &shown.given_address[..]),
                (&b"new@y.test"[..], &b"a@y.test"[..])
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_too_large_fails_the_question_and_is_not_taken_for_told() {
    let mut side = Side::new(testing::inbound(), one());
    let mail = side.mail();
    side.event(&mail);
    side.inbound().begun();
    side.accept("a@y.test");
    let large = CommandLine {
        line: vec![b'x'; crate::encode::PART_BYTES + 1].into(),
        ..CommandLine::default()
    };
    let question = Question::new(inbound::Data { command: large });
    let Side {
        picture,
        context,
        binding,
        encodings,
        ..
    } = &mut side;
    let fault = picture
        .event(&question, context, binding, Place::ALONE, encodings)
        .unwrap_err();
    assert_eq!(fault.kind, crate::fault::FaultKind::Size);
    let event = side.event(&Question::new(inbound::Data::default()));
    assert_eq!(event.recipients.unwrap().changed.len(), 1);
    side.check();
}

#[test]
fn transport_shows_the_session_that_brought_the_message() {
    let mut side = Side::new(testing::message(), one());
    let session = side.world.session.as_ref().unwrap();
    assert_eq!(session.client.as_ref().unwrap().address, "192.0.2.7");
    assert_eq!(session.listener, "[::]:25");
    assert_eq!(session.helo.as_ref().unwrap().name, "client.example.test");
    assert_eq!(side.world.recipients.len(), 2);
    let event = side.event(&Question::new(transport::Submit));
    assert!(event.session.is_none() && event.message.is_none());
    assert!(event.headers.is_some());
    side.check();
    // Without `session` no more than which one it was.
    let blind = bindings(&[("b", &["sender"])]).remove(0);
    let blind = Side::new(testing::message(), blind);
    let session = blind.world.session.as_ref().unwrap();
    assert!(session.client.is_none() && session.listener.is_empty());
    assert_eq!(
        (session.server.as_str(), session.session_id.len()),
        ("in", 16)
    );
}

#[test]
fn a_branch_is_another_message_to_whoever_is_asked() {
    let mut side = Side::new(testing::message(), one());
    side.event(&Question::new(transport::Submit));
    let before = side.world.message.as_ref().unwrap().message_id.clone();
    let recipients = &side.context.working().unwrap().draft().recipients;
    let fork = crate::context::ForkEdits {
        recipients: vec![recipients[0].id],
        edits: vec![Edit::RemoveHeader { id: HeaderId(1) }],
        orders: Vec::new(),
    };
    let split = Split {
        forks: vec![fork],
        ..Split::default()
    };
    let made = side
        .context
        .apply("a", &[], &[], &split, None, &EditLimits::default())
        .unwrap();
    side.event(&Question::new(transport::Submit));
    assert_eq!(side.world.recipients.len(), 1);
    side.check();
    side.context.working_mut().unwrap().enter(made.forks[0]);
    let event = side.event(&Question::new(transport::Submit));
    assert!(event.message_ended);
    let message = side.world.message.as_ref().unwrap();
    assert_eq!(message.parent_message_id, before);
    assert_ne!(message.message_id, before);
    assert_eq!(side.world.headers.as_ref().unwrap().fields.len(), 1);
    assert_eq!(side.world.recipients.len(), 1);
    side.check();
}

#[test]
fn each_message_of_an_outgoing_session_brings_its_own_session() {
    let mut outgoing = OutgoingContext::new("in".into(), Remote::default());
    outgoing.take(testing::message());
    let mut side = Side::new(outgoing, one());
    let question = Question::new(crate::outbound::SessionStart {
        command: crate::context::CommandLine::default(),
    });
    side.event(&question);
    let first = side.world.session.clone().unwrap();
    let Context::Outgoing(own) = &mut side.context else {
        panic!("another context");
    };
    own.release();
    own.take(testing::message());
    let event = side.event(&question);
    assert!(event.message_ended && event.session.is_some());
    assert_ne!(
        side.world.session.as_ref().unwrap().session_id,
        first.session_id
    );
    side.check();
}
