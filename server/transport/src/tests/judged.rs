//! The submit stage and messages that were held.

use std::sync::Arc;

use postern_dispatch::exchange::MessageRuling;
use postern_events::event::EventKind;
use postern_events::order::Orders;
use postern_events::ruling::{By, Cause, Decision, Ruling};
use postern_message::{Draft, Message};
use postern_proto::v1::AskReason;
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;
use postern_spool::Stage;

use super::stage::{Asked, Play, Script};
use postern_delivery::testing::peer::Peer;

pub(super) fn ruled(
    message: &Message,
    asked: &Asked,
    decision: Decision,
    binding: &str,
) -> MessageRuling {
    let by = By {
        member: 0,
        binding: Arc::from(binding),
        cause: Cause::Verdict,
    };
    let ruling = Ruling {
        decision,
        by: Some(by),
        ..Ruling::proceed(asked.event)
    };
    MessageRuling {
        ruling,
        draft: Draft::of(message),
        orders: Orders::default(),
        skipped: Vec::new(),
        passed: Vec::new(),
    }
}

pub(super) fn proceeds(message: &Message, asked: &Asked) -> MessageRuling {
    ruled(message, asked, Decision::Proceed, "any")
}

fn reply(code: u16) -> Reply {
    Reply::parse(code, None, "the sink says no").unwrap()
}

pub(super) fn held(event: EventKind) -> impl Fn() -> Stage {
    move || Stage::Held {
        event: event.name().to_owned(),
        binding: "checker".to_owned(),
        since: std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_790_000_000),
        attempts: 0,
        waits_for: Some("checker".to_owned()),
    }
}

#[tokio::test(start_paused = true)]
async fn edits_are_delivered() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| {
            let mut ruling = proceeds(message, asked);
            ruling.draft.recipients[0].address =
                ForwardPath::parse(b"<other@example.org>", false).unwrap();
            ruling
        }),
    );
    play.accept(&["a@example.test"]).await;
    play.until_empty().await;
    assert_eq!(peer.taken()[0].recipients, ["other@example.org"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_put_off_is_asked_about_again_with_its_attempt() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| match asked.attempt {
            0 | 1 => ruled(message, asked, Decision::Tempfail(reply(451)), "checker"),
            _ => proceeds(message, asked),
        }),
    );
    play.accept(&["a@example.test"]).await;
    let took = play.until_empty().await;
    assert!((1080..1330).contains(&took.as_secs()), "{took:?}");
    let attempts: Vec<_> = play
        .judge
        .asked
        .lock()
        .iter()
        .map(|asked| asked.attempt)
        .collect();
    assert_eq!(attempts, [0, 1, 2]);
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_comes_back_as_a_report_and_a_discarded_one_not() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| {
            if message.envelope.sender.mailbox().is_none() {
                return proceeds(message, asked);
            }
            let local = message.recipients[0]
                .address
                .mailbox()
                .unwrap()
                .local_part()
                .to_owned();
            let decision = if local == "gone" {
                Decision::Discard
            } else {
                Decision::Reject(reply(550))
            };
            ruled(message, asked, decision, "checker")
        }),
    );
    play.accept(&["gone@example.test"]).await;
    play.until_empty().await;
    assert!(peer.taken().is_empty());
    play.accept(&["a@example.test"]).await;
    play.until_empty().await;
    let taken = peer.taken();
    assert_eq!((taken.len(), taken[0].sender.as_str()), (1, ""));
    assert_eq!(taken[0].recipients, ["from@sender.test"]);
    let text = String::from_utf8(taken[0].content.clone()).unwrap();
    assert!(
        text.contains("Action: failed") && text.contains("the sink says no"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_message_stays() {
    let play = Play::new(
        &Peer::with(&[]),
        Script::new(|message, asked| ruled(message, asked, Decision::Quarantine, "checker")),
    );
    let message = play.accept(&["a@example.test"]).await;
    play.until("the quarantine", |counts| counts.quarantined == 1)
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(86_400)).await;
    let stored = postern_spool::Store::load(play.store.as_ref(), message.id)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(stored.stage, Stage::Quarantined { by, .. } if by == "checker"));
    assert_eq!(play.judge.asked.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_message_is_asked_about_again_from_its_binding_on_until_the_sink_is_back() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| match asked.attempt {
            0..=2 => ruled(message, asked, Decision::Hold { at_most: None }, "checker"),
            _ => proceeds(message, asked),
        }),
    );
    play.accept(&["a@example.test"]).await;
    play.until_empty().await;
    let asked = play.judge.asked.lock();
    let from: Vec<_> = asked.iter().map(|asked| asked.from.as_deref()).collect();
    assert_eq!(
        from,
        [None, Some("checker"), Some("checker"), Some("checker")]
    );
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_held_on_its_way_in_is_submitted_after_it_passed() {
    let peer = Peer::with(&[]);
    let play = Play::new(
        &peer,
        Script::new(|message, asked| match asked.event {
            EventKind::InboundMessage => proceeds(message, asked),
            _ => ruled(message, asked, Decision::Proceed, "other"),
        }),
    );
    play.accept_at(
        held(EventKind::InboundMessage)(),
        &["a@example.test"],
        |_| {},
    )
    .await;
    play.until_empty().await;
    let events: Vec<_> = play
        .judge
        .asked
        .lock()
        .iter()
        .map(|asked| asked.event)
        .collect();
    assert_eq!(
        events,
        [EventKind::InboundMessage, EventKind::TransportSubmit]
    );
    assert_eq!(peer.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_held_message_follows_the_bindings_setting() {
    for (binding, quarantined) in [("checker", 1), ("dropper", 0)] {
        let play = Play::new(
            &Peer::with(&[]),
            Script::new(move |message, asked| {
                ruled(message, asked, Decision::Reject(reply(550)), binding)
            }),
        );
        play.accept_at(
            held(EventKind::InboundMessage)(),
            &["a@example.test"],
            |_| {},
        )
        .await;
        play.until("its end", |counts| {
            counts.held == 0 && counts.quarantined == quarantined
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_held_too_long_is_kept_for_a_person() {
    let play = Play::new(
        &Peer::with(&[]),
        Script::new(|message, asked| {
            ruled(message, asked, Decision::Hold { at_most: None }, "checker")
        }),
    );
    play.accept(&["a@example.test"]).await;
    let took = play
        .until("the quarantine", |counts| counts.quarantined == 1)
        .await;
    assert!((7200..7300).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_question_says_why_it_is_asked_and_who_had_a_say_before() {
    let wait = std::time::Duration::from_secs(60);
    let cases = [
        (
            Decision::Hold {
                at_most: Some(wait),
            },
            AskReason::Released,
        ),
        (Decision::Postpone(wait), AskReason::Postponed),
        (Decision::Tempfail(reply(451)), AskReason::Retry),
    ];
    for (decision, reason) in cases {
        let puts_off = decision.puts_off();
        let play = Play::new(
            &Peer::with(&[]),
            Script::new(move |message, asked| {
                if asked.reason != AskReason::Happened {
                    return proceeds(message, asked);
                }
                let mut ruling = ruled(message, asked, decision.clone(), "checker");
                if decision.puts_off() {
                    ruling.passed = vec!["first".to_owned()];
                }
                ruling
            }),
        );
        play.accept(&["a@example.test"]).await;
        let took = play.until_empty().await;
        let asked = play.judge.asked.lock();
        let said: Vec<_> = asked
            .iter()
            .map(|asked| (asked.reason, asked.from.as_deref(), asked.passed.len()))
            .collect();
        let from = puts_off.then_some("checker");
        assert_eq!(
            said,
            [
                (AskReason::Happened, None, 0),
                (reason, from, usize::from(puts_off))
            ]
        );
        assert!(!puts_off || (60..63).contains(&took.as_secs()), "{took:?}");
    }
}
