#![allow(clippy::unwrap_used)]
use std::time::Duration;

use postern_events::fault::{Fault, FaultKind, Policy};
use postern_events::ruling::By;

use super::*;
use EventKind::{
    InboundHeaders, InboundMessage, TransportExpand, TransportPostCategorize, TransportSubmit,
};

const HOUR: Duration = Duration::from_secs(3600);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn reply(code: u16) -> Reply {
    Reply::parse(code, None, "words").unwrap()
}

fn ruling(event: EventKind, decision: Decision, binding: &str) -> Ruling {
    Ruling {
        decision,
        by: Some(By {
            member: 0,
            binding: binding.into(),
            cause: Cause::Verdict,
        }),
        reason_code: "spam".to_owned(),
        ..Ruling::proceed(event)
    }
}

fn failed(ruling: Ruling) -> Ruling {
    let mut failed = ruling;
    let fault = Fault::new(FaultKind::Unreachable, "gone");
    failed.by.as_mut().unwrap().cause = Cause::Failure(Policy::Tempfail, fault);
    failed
}

fn held(event: EventKind, since: SystemTime) -> Position<'static> {
    Position::Held {
        event,
        binding: "holder",
        since,
        attempts: 2,
    }
}

const ARRIVING: Position<'static> = Position::Arriving;

fn queued() -> Position<'static> {
    queued_at(Point::Submit)
}

fn queued_at(point: Point) -> Position<'static> {
    Position::Queued {
        point,
        received_at: now(),
        attempts: 3,
    }
}

fn comes_to(ruling: &Ruling, position: &Position<'_>) -> Disposition {
    // Without jitter a wait is nine tenths of what is configured.
    let schedule = Schedule::new(vec![HOUR, 2 * HOUR, 4 * HOUR], 48 * HOUR);
    disposition(
        ruling,
        position,
        &schedule,
        HeldRefusal::Quarantine,
        0,
        now(),
    )
}

fn stage_held(
    event: EventKind,
    binding: &str,
    since: SystemTime,
    attempts: u32,
    waits: bool,
) -> Stage {
    Stage::Held {
        event: event.name().to_owned(),
        binding: binding.to_owned(),
        since,
        attempts,
        waits_for: waits.then(|| binding.to_owned()),
    }
}

#[test]
fn what_nobody_objects_to_goes_on_to_the_next_stage() {
    for (event, position, stage) in [
        (InboundMessage, ARRIVING, Stage::submit()),
        (InboundHeaders, held(InboundHeaders, now()), Stage::submit()),
        (
            TransportSubmit,
            held(TransportSubmit, now()),
            Stage::at(Point::PreCategorize),
        ),
        (TransportSubmit, queued(), Stage::at(Point::PreCategorize)),
        (
            TransportExpand,
            held(TransportExpand, now()),
            Stage::at(Point::PostCategorize),
        ),
        (
            TransportPostCategorize,
            queued_at(Point::PostCategorize),
            Stage::Deliver,
        ),
    ] {
        let goes = comes_to(&Ruling::proceed(event), &position);
        assert_eq!(goes, Disposition::Goes(stage), "{position:?}");
    }
}

#[test]
fn a_refusal_is_told_to_who_can_still_hear_it() {
    let rejects = |binding| ruling(TransportSubmit, Decision::Reject(reply(550)), binding);
    for position in [ARRIVING, queued()] {
        let refused = comes_to(&rejects("a"), &position);
        assert_eq!(refused, Disposition::Refused(reply(550)), "{position:?}");
    }
    // It was held because of the binding that refuses now: its sender was told that it is accepted.
    let quarantined = comes_to(&rejects("holder"), &held(TransportSubmit, now()));
    assert!(matches!(quarantined, Disposition::Quarantined { by, .. } if by == "holder"));
    let other = comes_to(&rejects("other"), &held(TransportSubmit, now()));
    assert_eq!(other, Disposition::Refused(reply(550)));
    let inbound = ruling(InboundMessage, Decision::Reject(reply(550)), "other");
    let position = held(InboundMessage, now());
    assert!(matches!(
        comes_to(&inbound, &position),
        Disposition::Quarantined { .. }
    ));
    let schedule = Schedule::new(vec![HOUR], 48 * HOUR);
    let dropped = disposition(
        &inbound,
        &position,
        &schedule,
        HeldRefusal::Discard,
        0,
        now(),
    );
    assert_eq!(dropped, Disposition::Discarded);
}

#[test]
fn a_refusal_for_now_waits_where_the_message_is() {
    for decision in [
        Decision::Tempfail(reply(451)),
        Decision::Disconnect(reply(421)),
    ] {
        let ruling = ruling(TransportSubmit, decision.clone(), "a");
        let reply = decision.reply().cloned();
        for position in [ARRIVING, queued()] {
            let deferred = Disposition::Deferred {
                reply: reply.clone(),
            };
            assert_eq!(comes_to(&ruling, &position), deferred);
        }
        let since = now() - HOUR;
        let kept = comes_to(&ruling, &held(TransportSubmit, since));
        let stage = stage_held(TransportSubmit, "holder", since, 2, false);
        let due = now() + (4 * HOUR).mul_f64(0.9);
        assert_eq!(kept, Disposition::Kept { stage, due });
    }
    let closing = ruling(InboundMessage, Decision::Disconnect(reply(554)), "a");
    assert_eq!(
        comes_to(&closing, &ARRIVING),
        Disposition::Refused(reply(554))
    );
}

#[test]
fn what_is_held_is_asked_again_from_the_binding_that_held_it() {
    let holds = |at_most| ruling(TransportSubmit, Decision::Hold { at_most }, "a");
    for position in [ARRIVING, queued()] {
        let kept = comes_to(&holds(None), &position);
        let stage = stage_held(TransportSubmit, "a", now(), 0, false);
        let due = now() + HOUR.mul_f64(0.9);
        assert_eq!(
            kept,
            Disposition::Kept {
                stage: stage.clone(),
                due
            }
        );
        let named = comes_to(&holds(Some(HOUR / 2)), &position);
        assert_eq!(
            named,
            Disposition::Kept {
                stage,
                due: now() + HOUR / 2
            }
        );
    }
    let waits = comes_to(&failed(holds(None)), &ARRIVING);
    let expected = stage_held(TransportSubmit, "a", now(), 0, true);
    assert!(matches!(waits, Disposition::Kept { stage, .. } if stage == expected));
    let since = now() - HOUR;
    let again = comes_to(&holds(None), &held(TransportSubmit, since));
    let expected = stage_held(TransportSubmit, "a", since, 2, false);
    assert!(matches!(again, Disposition::Kept { stage, .. } if stage == expected));
}

#[test]
fn what_was_held_too_long_is_kept_for_a_person() {
    let since = now() - 48 * HOUR;
    for decision in [
        Decision::Hold { at_most: None },
        Decision::Postpone(HOUR),
        Decision::Tempfail(reply(451)),
    ] {
        let over = comes_to(
            &ruling(TransportSubmit, decision, "a"),
            &held(TransportSubmit, since),
        );
        let why = "held too long: no answer to transport.submit in 3 attempts";
        assert!(
            matches!(&over, Disposition::Quarantined { why: own, .. } if own == why),
            "{over:?}"
        );
    }
}

#[test]
fn what_is_postponed_goes_on_from_its_binding_at_the_time_that_it_named() {
    let ruling = ruling(TransportSubmit, Decision::Postpone(HOUR), "a");
    let due = now() + HOUR;
    let stage = Stage::At {
        point: Point::Submit,
        from_binding: Some("a".to_owned()),
        attempts: 3,
        waits_for: None,
    };
    assert_eq!(
        comes_to(&ruling, &queued()),
        Disposition::Kept { stage, due }
    );
    let stage = stage_held(TransportSubmit, "a", now(), 0, false);
    assert_eq!(
        comes_to(&ruling, &ARRIVING),
        Disposition::Kept { stage, due }
    );
    let late = Position::Queued {
        point: Point::Submit,
        received_at: now() - 48 * HOUR,
        attempts: 3,
    };
    assert_eq!(
        comes_to(&ruling, &late),
        Disposition::Deferred { reply: None }
    );
}

#[test]
fn who_looks_after_what_is_kept_reads_why() {
    let quarantines = || ruling(InboundMessage, Decision::Quarantine, "a");
    let why = |ruling: &Ruling| match comes_to(ruling, &ARRIVING) {
        Disposition::Quarantined { by, why, .. } => {
            assert_eq!(by, "a");
            why
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(why(&quarantines()), "spam");
    let silent = Ruling {
        reason_code: String::new(),
        ..quarantines()
    };
    assert_eq!(why(&silent), "inbound.message");
    assert!(why(&failed(quarantines())).contains("gone"));
    let dropped = ruling(InboundMessage, Decision::Discard, "a");
    assert_eq!(comes_to(&dropped, &ARRIVING), Disposition::Discarded);
}
