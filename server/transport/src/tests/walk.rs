//! The walk through the stages before the delivery.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_events::answer::AnyAnswer;
use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_events::transport::{Expanded, Expansion, ExpansionAnswer, Members};
use postern_message::{Message, NewRecipient, Recipient, RecipientState};
use postern_proto::v1::AskReason;
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;
use postern_spool::{Point, Stage, Store as _};

use super::judged::{proceeds, ruled};
use super::stage::{Play, Script};
use crate::Change;
use crate::slots::MEMORY;
use postern_delivery::testing::peer::Peer;

const ALL: [EventKind; 5] = [
    EventKind::TransportSubmit,
    EventKind::TransportPreCategorize,
    EventKind::TransportCategorize,
    EventKind::TransportExpand,
    EventKind::TransportPostCategorize,
];

fn path(address: &str) -> ForwardPath {
    ForwardPath::parse(format!("<{address}>").as_bytes(), false).unwrap()
}

fn refusal(code: u16) -> Reply {
    Reply::parse(code, None, "the sink says no").unwrap()
}

/// The events that were asked about, in their order, with their attempts.
fn asked(play: &Play) -> Vec<(EventKind, u32)> {
    let asked = play.judge.asked.lock();
    asked.iter().map(|one| (one.event, one.attempt)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_asked_about_at_each_stage_in_its_order() {
    let peer = Peer::with(&[]);
    let play = Play::new(&peer, Script::new(proceeds).at(&ALL));
    play.accept(&["a@example.test", "b@example.test"]).await;
    play.until_empty().await;
    let [submit, pre, categorize, expand, post] = ALL;
    let events = [submit, pre, categorize, expand, expand, post];
    assert_eq!(asked(&play), events.map(|event| (event, 0)));
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stages_that_concern_nobody_cost_no_commit() {
    let mut commits = Vec::new();
    for script in [
        Script::default(),
        Script::new(proceeds).at(&[]),
        Script::new(proceeds).at(&ALL),
    ] {
        let peer = Peer::with(&[]);
        let play = Play::new(&peer, script);
        play.accept(&["a@example.test"]).await;
        play.until_empty().await;
        commits.push(play.store.commits.load(Ordering::Relaxed));
    }
    // Accepted, and done: those that nobody objects to are found out again after a crash.
    assert_eq!(commits, [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_kept_before_the_next_stage_is_asked() {
    let peer = Peer::with(&[]);
    let script = Script::new(|message, asked| match asked.event {
        EventKind::TransportPreCategorize => {
            let mut ruling = proceeds(message, asked);
            ruling.draft.recipients[0].address = path("other@example.org");
            ruling
        }
        EventKind::TransportPostCategorize if asked.attempt == 0 => {
            ruled(message, asked, Decision::Tempfail(refusal(451)), "checker")
        }
        _ => proceeds(message, asked),
    });
    let play = Play::new(&peer, script.at(&ALL));
    let message = play.accept(&["a@example.test"]).await;
    play.until("it waits", |counts| counts.categorize == 1)
        .await;
    let stored = play.store.load(message.id).await.unwrap().unwrap();
    let at = Stage::At {
        point: Point::PostCategorize,
        from_binding: None,
        attempts: 0,
        waits_for: None,
    };
    assert_eq!(stored.stage, at);
    assert_eq!(
        stored.message.recipients[0].address,
        path("other@example.org")
    );
    play.until_empty().await;
    let [submit, pre, categorize, expand, post] = ALL;
    let events = [
        (submit, 0),
        (pre, 0),
        (categorize, 0),
        (expand, 0),
        (post, 0),
        (post, 1),
    ];
    assert_eq!(asked(&play), events);
    let reasons = play.judge.asked.lock().last().unwrap().reason;
    assert_eq!(reasons, AskReason::Retry);
    assert_eq!(peer.taken()[0].recipients, ["other@example.org"]);
}

/// A sink for which `list` stands for these, by this owner.
fn lists(members: &'static [&'static str], owner: Option<&'static str>) -> Script {
    let script = Script::new(move |message, asked| {
        let mut ruling = proceeds(message, asked);
        let list = message
            .recipients
            .iter()
            .find(|one| one.address == path("list@example.test") && !one.state.is_done());
        if let (EventKind::TransportCategorize, Some(list)) = (asked.event, list) {
            let members = Members {
                recipients: members
                    .iter()
                    .map(|one| NewRecipient::new(path(one)))
                    .collect(),
                sender: owner.map(|owner| ReversePath::parse(owner.as_bytes(), false).unwrap()),
                ..Members::default()
            };
            ruling.ruling.answer = Some(AnyAnswer::new(ExpansionAnswer {
                expansions: vec![Expansion {
                    recipient: Some(list.id),
                    expanded: Expanded::Members(members),
                }],
            }));
        }
        ruling
    });
    script.at(&[EventKind::TransportCategorize])
}

#[tokio::test(start_paused = true)]
async fn a_list_and_its_members_are_recorded_together() {
    let peer = Peer::with(&[]);
    peer.says("RCPT", &["451 4.3.0 later"; 2]);
    let play = Play::new(&peer, lists(&["b@example.test", "c@example.test"], None));
    let message = play.accept(&["list@example.test"]).await;
    play.until("it waits", |counts| counts.deliver == 1).await;
    let stored = play.store.load(message.id).await.unwrap().unwrap();
    let recipients = &stored.message.recipients;
    assert!(matches!(recipients[0].state, RecipientState::Expanded(_)));
    let members: Vec<_> = recipients
        .iter()
        .skip(1)
        .map(|one| (one.address.clone(), one.parent))
        .collect();
    let parent = Some(message.recipients[0].id);
    assert_eq!(
        members,
        [
            (path("b@example.test"), parent),
            (path("c@example.test"), parent)
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_list_with_an_owner_goes_out_as_a_message_of_its_own() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        lists(&["b@example.test"], Some("<owner@example.org>")),
    );
    play.accept(&["list@example.test", "a@example.test"]).await;
    play.until_empty().await;
    let mut taken: Vec<_> = peer
        .taken()
        .iter()
        .map(|one| (one.sender.clone(), one.recipients.clone()))
        .collect();
    taken.sort();
    let one = |sender: &str, recipient: &str| (sender.to_owned(), vec![recipient.to_owned()]);
    assert_eq!(
        taken,
        [
            one("from@sender.test", "a@example.test"),
            one("owner@example.org", "b@example.test")
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_release_holds_until_all_recipients_are_resolved() {
    let peer = Peer::with(&[]);
    // One binding quarantines unless the message was released without it. Another one fails, then wants to be asked later.
    let times = AtomicUsize::new(0);
    let script = Script::new(move |message, asked| {
        if !asked.passed.iter().any(|one| one == "keeper") {
            return ruled(message, asked, Decision::Quarantine, "keeper");
        }
        let decision = match times.fetch_add(1, Ordering::Relaxed) {
            0 => Decision::Tempfail(refusal(451)),
            1 => Decision::Postpone(Duration::from_secs(60)),
            _ => Decision::Proceed,
        };
        ruled(message, asked, decision, "looker")
    });
    let play = Play::new(&peer, script.at(&[EventKind::TransportExpand]));
    let message = play.accept(&["a@example.test"]).await;
    play.until("it is kept", |counts| counts.quarantined == 1)
        .await;
    let operator = play.handle.operator(Change::Release, "uid 7", "a test");
    operator.act(&[message.id]).await;
    play.until_empty().await;
    assert_eq!(peer.taken().len(), 1);
    assert_eq!(asked(&play).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_delivery_goes_back_there_once_it_was_asked_about_again() {
    let peer = Peer::with(&[]);
    let script = Script::new(|message, asked| {
        let mut ruling = proceeds(message, asked);
        // It is held first, and gains a recipient then.
        if asked.from.as_deref() == Some("") {
            return ruled(message, asked, Decision::Hold { at_most: None }, "checker");
        }
        if asked.event == EventKind::TransportSubmit {
            let new = path("b@example.test");
            ruling.draft.recipients.push(Recipient::new(new));
        }
        ruling
    });
    let play = Play::new(&peer, script.at(&ALL));
    let stage = Stage::At {
        point: Point::Submit,
        from_binding: Some(String::new()),
        attempts: 0,
        waits_for: None,
    };
    let again = |message: &mut Message| {
        message.walked = true;
        message.recipients[0].resolved = true;
    };
    play.accept_at(stage, &["a@example.test"], again).await;
    play.until_empty().await;
    let events: Vec<_> = asked(&play).into_iter().map(|(event, _)| event).collect();
    let [submit, _, _, expand, _] = ALL;
    // The new recipient alone is looked up.
    assert_eq!(events, [submit, submit, expand]);
    assert_eq!(peer.taken()[0].recipients.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_list_for_whose_members_there_is_no_room_is_given_up_in_the_end() {
    let peer = Peer::with(&[]);
    let script = Script::new(|message, asked| {
        let mut ruling = proceeds(message, asked);
        // The report is no list.
        if message.envelope.sender == ReversePath::Null {
            return ruling;
        }
        let members = Members {
            recipients: (0..7000)
                .map(|n| NewRecipient::new(path(&format!("u{n}@example.test"))))
                .collect(),
            ..Members::default()
        };
        ruling.ruling.answer = Some(AnyAnswer::new(ExpansionAnswer {
            expansions: vec![Expansion {
                recipient: Some(message.recipients[0].id),
                expanded: Expanded::Members(members),
            }],
        }));
        ruling
    });
    let play = Play::new(&peer, script.at(&[EventKind::TransportExpand]));
    // Another message has most of the memory.
    let week = Duration::from_secs(7 * 86_400);
    let large = play
        .accept_due(week, Stage::Deliver, &["a@example.test"], |_| {})
        .await;
    let claimed = play.store.take(large.id).await.unwrap().unwrap();
    let slots = &play.handle.core.slots;
    let _held = slots.take_for_operator(claimed.lease, MEMORY / 8 * 5);
    play.accept(&["list@example.test"]).await;
    play.until("it is given up", |counts| {
        counts.categorize == 0 && counts.submit == 0 && counts.deliver == 1
    })
    .await;
    // By the schedule: 300 seconds, then each 900, for 7200.
    let times = play.judge.asked.lock().len();
    assert!((3..12).contains(&times), "{times}");
}
