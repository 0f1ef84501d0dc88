//! What a sink does of its own accord: within its grants and its reach, once for each key, on record.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use postern_e2e::admin::{id, list, wait_listed, well};
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::raw_sink::{Manners, RawSink, description};
use postern_proto::v1;
use postern_proto::v1::ActionStatus as Status;
use postern_proto::v1::attach_request::Kind as FromGateway;
use postern_proto::v1::attach_response::Kind as FromSink;
use postern_proto::v1::change_queued::Change;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::event::Kind as Happened;
use postern_proto::v1::sink_action::Kind as Action;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: a@example.test\r\nSubject: x\r\n\r\nbody\r\n";
const ALL: &str = "\"act:queue\", \"act:inject\", \"act:links\", \"act:look\", \"hold\", \"discard\", \"redirect\", \"quarantine\"";

/// A gateway whose sink does what the test tells it, when a client says NOOP.
struct Rig {
    gateway: Gateway,
    sink: RawSink,
    orders: Orders,
    client: Client,
    next: u64,
}

#[derive(Clone, Default)]
struct Orders {
    actions: Arc<Mutex<VecDeque<v1::SinkAction>>>,
    /// What is said at `transport.submit`, in turn; then no objection.
    verdicts: Arc<Mutex<VecDeque<Decided>>>,
}

fn start(orders: &Orders) -> RawSink {
    let own = orders.clone();
    let manners = Manners {
        description: Some(v1::DescribeResponse {
            features: vec!["actions".to_owned()],
            ..description(16)
        }),
        ..Manners::default()
    };
    RawSink::with(manners, move |wire, asked| {
        let Some(event) = asked.question() else {
            return Ok(());
        };
        match &event.kind {
            Some(Happened::InboundCommand(_)) => {
                let actions: Vec<_> = own.actions.lock().unwrap().drain(..).collect();
                for action in actions {
                    wire.say(asked, FromSink::Action(Box::new(action)))?;
                }
                wire.decide(asked, Decided::Proceed(v1::Proceed {}))
            }
            Some(Happened::TransportSubmit(_)) => {
                let next = own.verdicts.lock().unwrap().pop_front();
                wire.decide(asked, next.unwrap_or(Decided::Proceed(v1::Proceed {})))
            }
            _ => wire.decide(asked, Decided::Proceed(v1::Proceed {})),
        }
    })
}

impl Rig {
    fn new(to: &str, may: &str) -> Self {
        let orders = Orders::default();
        let sink = start(&orders);
        let gateway = Setup::default()
            .domain("example.test", to)
            .with("[queue]\nretry = [\"1h\"]")
            .with(&sink.table("s"))
            .with(&format!(
                "[[binding]]\nname = \"b\"\nsink = \"s\"\nmay = [{may}]\n\
                 events = [\"inbound.command\"]\nwhen = 'command.verb == \"NOOP\"'"
            ))
            .with(&format!(
                "[[binding]]\nname = \"q\"\nsink = \"s\"\nmay = [{may}]\nevents = [\"transport.submit\"]"
            ))
            .start();
        let client = Client::ready(gateway.smtp());
        Self {
            gateway,
            sink,
            orders,
            client,
            next: 1,
        }
    }

    /// Has the sink act, and returns all results of it.
    fn act(&mut self, key: &str, kind: Option<Action>) -> Vec<v1::ActionResult> {
        let action_id = self.next;
        self.next += 1;
        self.orders
            .actions
            .lock()
            .unwrap()
            .push_back(v1::SinkAction {
                action_id,
                idempotency_key: key.to_owned(),
                reason: "because".to_owned(),
                kind,
            });
        self.client.expect("NOOP", 250);
        self.sink.wait(LIMIT, |frames| {
            let own = frames.iter().filter_map(|frame| match &frame.kind {
                Some(FromGateway::ActionResult(result)) if result.action_id == action_id => {
                    Some(v1::ActionResult::clone(result))
                }
                _ => None,
            });
            let own: Vec<_> = own.collect();
            own.last()
                .is_some_and(|last| !last.more_follows)
                .then_some(own)
        })
    }

    fn one(&mut self, key: &str, kind: Action) -> v1::ActionResult {
        let mut results = self.act(key, Some(kind));
        assert_eq!(results.len(), 1, "{results:?}");
        results.remove(0)
    }

    fn change(&mut self, key: &str, ids: &[&str], change: Change) -> v1::ActionResult {
        let message_ids = ids.iter().map(|id| octets(id)).collect();
        self.one(
            key,
            Action::ChangeQueued(v1::ChangeQueued {
                message_ids,
                recipient_ids: Vec::new(),
                change: Some(change),
            }),
        )
    }

    fn send(&self, recipients: &[&str]) {
        let mut client = Client::ready(self.gateway.smtp());
        let reply = client.deliver("a@example.test", recipients, CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }

    /// Sends a message that waits after its first attempt; its id.
    fn queued(&self) -> String {
        let before = list(&self.gateway, &["--attempts", "1"]).len();
        self.send(&["b@example.test"]);
        let listed = wait_listed(&self.gateway, &["--attempts", "1"], before + 1);
        id(&listed[before]).to_owned()
    }

    fn shown(&self, id: &str) -> serde_json::Value {
        well(&self.gateway, &["queue", "show", "--json", id]).json()
    }
}

fn octets(id: &str) -> prost::bytes::Bytes {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let octet = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    (0..16).map(octet).collect::<Vec<u8>>().into()
}

fn status(result: &v1::ActionResult) -> Status {
    result.status()
}

fn hold() -> Change {
    Change::HoldQueued(v1::HoldQueued { at_most: None })
}

fn release() -> Change {
    Change::ReleaseQueued(v1::ReleaseQueued {})
}

fn inject(recipient: &str) -> v1::Inject {
    v1::Inject {
        reverse_path: "sink@example.test".into(),
        recipients: vec![v1::AddRecipient {
            address: recipient.to_owned().into(),
            ..Default::default()
        }],
        content: Some(v1::Data {
            kind: Some(v1::data::Kind::Literal(
                "Subject: put in\r\n\r\nx\r\n".into(),
            )),
        }),
        ..Default::default()
    }
}

#[test]
fn a_sink_holds_its_message_and_releases_it_minutes_later() {
    let next_hop = NextHop::start();
    let mut rig = Rig::new(&format!("smtp://{}", next_hop.address()), ALL);
    let held = Decided::Hold(v1::Hold::default());
    rig.orders.verdicts.lock().unwrap().push_back(held);
    rig.send(&["b@example.test"]);
    let message = id(&wait_listed(&rig.gateway, &["--state", "held"], 1)[0]).to_owned();
    // Everything restarts meanwhile.
    rig.gateway.kill();
    rig.gateway.start();
    rig.client = Client::ready(rig.gateway.smtp());
    let result = rig.change("sandbox-1", &[&message], release());
    assert_eq!(status(&result), Status::Done, "{result:?}");
    assert_eq!(result.message_ids, [octets(&message)]);
    next_hop.wait_for(1, LIMIT);
    wait_listed(&rig.gateway, &[], 0);
    // Sent again, also to the next process, it is not done again.
    rig.gateway.kill();
    rig.gateway.start();
    rig.client = Client::ready(rig.gateway.smtp());
    let again = rig.change("sandbox-1", &[&message], release());
    assert_eq!(status(&again), Status::DoneBefore, "{again:?}");
    assert_eq!(again.message_ids, result.message_ids);
    rig.gateway
        .wait_for_log("message released by a sink", LIMIT);
    let counted = rig.gateway.metric(
        "postern_sink_actions_total{binding=\"b\",sink=\"s\",deed=\"release\",status=\"done_before\"}",
    );
    assert_eq!(counted, 1);
}

#[test]
fn queued_messages_are_held_recalled_expired_and_sent_another_way() {
    let away = free_address();
    let mut rig = Rig::new(&format!("smtp://{away}"), ALL);
    let [held, recalled, rerouted] = [rig.queued(), rig.queued(), rig.queued()];
    let result = rig.change("1", &[&held], hold());
    assert_eq!(status(&result), Status::Done, "{result:?}");
    let shown = rig.shown(&held);
    assert_eq!(shown["kept_by"]["operator"], "sink s, binding b", "{shown}");
    assert_eq!(shown["kept_by"]["reason"], "because", "{shown}");
    // What is on hold is not held once more, and the key is free.
    let again = rig.change("2", &[&held], hold());
    assert_eq!(status(&again), Status::Invalid, "{again:?}");
    let released = rig.change("2", &[&held], release());
    assert_eq!(status(&released), Status::Done, "{released:?}");
    let result = rig.change("3", &[&recalled], Change::RecallQueued(v1::RecallQueued {}));
    assert_eq!(status(&result), Status::Done, "{result:?}");
    wait_listed(&rig.gateway, &[], 2);
    let gone = rig.change("4", &[&recalled], release());
    assert_eq!(status(&gone), Status::NotFound, "{gone:?}");
    let other = NextHop::start();
    let hop = v1::NextHop {
        deliver: format!("smtp://{}", other.address()),
        ..Default::default()
    };
    let reroute = Change::RerouteQueued(v1::RerouteQueued {
        next_hops: vec![hop],
    });
    let result = rig.change("5", &[&rerouted], reroute);
    assert_eq!(status(&result), Status::Done, "{result:?}");
    other.wait_for(1, LIMIT);
    // Several at once: what was done before is not done again.
    let last = rig.queued();
    let both = [held.as_str(), &last];
    let expire = || {
        Change::ExpireQueued(v1::ExpireQueued {
            reply: Some(v1::Reply {
                code: 550,
                lines: vec!["too old".into()],
                ..Default::default()
            }),
        })
    };
    let result = rig.change("6", &both, expire());
    assert_eq!(status(&result), Status::Done, "{result:?}");
    assert_eq!(result.message_ids.len(), 2);
    // Both senders are told, by the way that is closed.
    let reports = wait_listed(&rig.gateway, &["--sender", "<>"], 2);
    assert_eq!(reports.len(), 2);
    let again = rig.change("6", &both, expire());
    assert_eq!(status(&again), Status::DoneBefore, "{again:?}");
    let counted = rig.gateway.log();
    assert_eq!(counted.matches("message given up by a sink").count(), 2);
}

#[test]
fn a_sink_puts_a_message_in_and_looks_at_it() {
    let next_hop = NextHop::start();
    let mut rig = Rig::new(&format!("smtp://{}", next_hop.address()), ALL);
    let first = rig.one("k", Action::Inject(inject("b@example.test")));
    assert_eq!(status(&first), Status::Done, "{first:?}");
    let again = rig.one("k", Action::Inject(inject("c@example.test")));
    assert_eq!(status(&again), Status::DoneBefore, "{again:?}");
    assert_eq!(again.message_ids, first.message_ids);
    next_hop.wait_for(1, LIMIT);
    wait_listed(&rig.gateway, &[], 0);
    assert_eq!(next_hop.count(), 1);
    // One that stays, looked at.
    let mut kept = inject("b@example.test");
    kept.server = "nowhere".to_owned();
    let wrong = rig.one("l", Action::Inject(kept));
    assert_eq!(status(&wrong), Status::NotFound, "{wrong:?}");
    next_hop.behave(postern_e2e::next_hop::Manners {
        sender: "451 4.3.0 later",
        ..Default::default()
    });
    let stays = rig.one("m", Action::Inject(inject("b@example.test")));
    let message_id = stays.message_ids[0].clone();
    let look = |what| Action::LookUp(v1::LookUp { what: Some(what) });
    let found = rig.one("", look(v1::look_up::What::MessageId(message_id.clone())));
    assert_eq!(status(&found), Status::Done, "{found:?}");
    let Some(v1::action_result::Found::Snapshot(snapshot)) = found.found else {
        panic!("{found:?}");
    };
    let message = snapshot.message.unwrap();
    assert_eq!(message.message_id, message_id);
    assert_eq!(
        (message.injected_by.as_str(), message.injection_depth),
        ("s", 1)
    );
    assert_eq!(snapshot.recipients.len(), 1);
    let bindings = rig.act(
        "",
        Some(look(v1::look_up::What::Bindings(v1::LookUpBindings {}))),
    );
    assert_eq!(bindings.len(), 2, "{bindings:?}");
    let nobody = look(v1::look_up::What::MessageId(vec![7; 16].into()));
    assert_eq!(status(&rig.one("", nobody)), Status::NotFound);
    wait_listed(&rig.gateway, &["--attempts", "1"], 1);
    let name = format!("smtp://{}", next_hop.address());
    let link = look(v1::look_up::What::Destination(name.into()));
    let Some(v1::action_result::Found::Link(link)) = rig.one("", link).found else {
        panic!("no link");
    };
    assert_eq!(link.queued_count, 1);
}

#[test]
fn a_link_is_halted_and_opened() {
    let next_hop = NextHop::start();
    let mut rig = Rig::new(&format!("smtp://{}", next_hop.address()), ALL);
    let set = |state: v1::LinkState| {
        Action::SetLink(v1::SetLink {
            destination: "example.test".into(),
            state: state.into(),
            ..Default::default()
        })
    };
    let halted = rig.one("1", set(v1::LinkState::Halted));
    assert_eq!(status(&halted), Status::Done, "{halted:?}");
    let message = rig.queued();
    let shown = rig.shown(&message);
    let reply = shown["to"][0]["reply"].as_str().unwrap();
    assert!(reply.contains("halted the way"), "{shown}");
    assert_eq!(next_hop.connections(), 0);
    let opened = rig.one("2", set(v1::LinkState::Normal));
    assert_eq!(status(&opened), Status::Done, "{opened:?}");
    let retry = Change::RetryQueued(v1::RetryQueued {});
    assert_eq!(status(&rig.change("3", &[&message], retry)), Status::Done);
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn what_a_sink_may_not_do_is_answered_and_not_done() {
    let away = free_address();
    let mut rig = Rig::new(&format!("smtp://{away}"), "");
    let message = rig.queued();
    let forbidden = [
        Action::ChangeQueued(v1::ChangeQueued {
            message_ids: vec![octets(&message)],
            recipient_ids: Vec::new(),
            change: Some(release()),
        }),
        Action::Inject(inject("b@example.test")),
        Action::ResetRoutes(v1::ResetRoutes::default()),
        Action::SetLink(v1::SetLink::default()),
        Action::LookUp(v1::LookUp {
            what: Some(v1::look_up::What::MessageId(octets(&message))),
        }),
    ];
    for (key, action) in forbidden.into_iter().enumerate() {
        let result = rig.one(&format!("f{key}"), action);
        assert_eq!(status(&result), Status::Forbidden, "{result:?}");
        assert!(result.detail.contains("does not grant act:"), "{result:?}");
    }
    // Half a grant: the queue, but none of what needs more.
    drop(rig);
    let mut rig = Rig::new(&format!("smtp://{away}"), "\"act:queue\"");
    let message = rig.queued();
    for (key, change) in [
        hold(),
        Change::RecallQueued(v1::RecallQueued {}),
        Change::RerouteQueued(v1::RerouteQueued::default()),
    ]
    .into_iter()
    .enumerate()
    {
        let result = rig.change(&format!("h{key}"), &[&message], change);
        assert_eq!(status(&result), Status::Forbidden, "{result:?}");
    }
    let invalid: [(&str, Option<Action>); 4] = [
        ("no known kind", None),
        (
            "no message is named",
            Some(Action::ChangeQueued(v1::ChangeQueued {
                change: Some(release()),
                ..Default::default()
            })),
        ),
        (
            "has not 16 octets",
            Some(Action::ChangeQueued(v1::ChangeQueued {
                message_ids: vec!["x".into()],
                change: Some(release()),
                ..Default::default()
            })),
        ),
        (
            "nothing to look up",
            Some(Action::LookUp(v1::LookUp { what: None })),
        ),
    ];
    for (key, (words, action)) in invalid.into_iter().enumerate() {
        let result = rig.act(&format!("i{key}"), action).remove(0);
        assert_eq!(status(&result), Status::Invalid, "{result:?}");
        assert!(result.detail.contains(words), "{result:?}");
    }
    let without_key = rig.change("", &[&message], release());
    assert_eq!(status(&without_key), Status::Invalid, "{without_key:?}");
    // All of it on one stream, which goes on, and the message is where it was.
    assert_eq!(list(&rig.gateway, &[]).len(), 1);
}

#[test]
fn a_flood_of_actions_is_bounded_and_the_stream_goes_on() {
    let away = free_address();
    let mut rig = Rig::new(&format!("smtp://{away}"), ALL);
    let look = || v1::LookUp {
        what: Some(v1::look_up::What::MessageId(vec![7; 16].into())),
    };
    {
        let mut actions = rig.orders.actions.lock().unwrap();
        actions.extend((1..=2000).map(|action_id| v1::SinkAction {
            action_id: 10_000 + action_id,
            kind: Some(Action::LookUp(look())),
            ..Default::default()
        }));
    }
    rig.client.expect("NOOP", 250);
    let answers = rig.sink.wait(LIMIT, |frames| {
        let own = frames.iter().filter_map(|frame| match &frame.kind {
            Some(FromGateway::ActionResult(result)) => Some(result.status()),
            _ => None,
        });
        let own: Vec<Status> = own.collect();
        (own.len() == 2000).then_some(own)
    });
    let of = |wanted: Status| answers.iter().filter(|own| **own == wanted).count();
    assert!(of(Status::Limited) > 1300, "{}", of(Status::Limited));
    assert_eq!(of(Status::Limited) + of(Status::NotFound), 2000);
    rig.client.expect("NOOP", 250);
}
