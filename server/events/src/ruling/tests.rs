#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use bytes::Bytes;
use postern_message::{HeaderId, Lifetime, PropertyScope, Value};
use postern_proto::rules::DecisionKind;

use super::*;
use crate::fault::FaultKind;
use crate::inbound::RcptAnswer;
use crate::transport::SizeAnswer;

const SECOND: Duration = Duration::from_secs(1);

fn reply(code: u16) -> Reply {
    Reply::parse(code, None, "text").unwrap()
}

/// One of each.
fn decisions() -> [Decision; 10] {
    [
        Decision::Proceed,
        Decision::Finish(FinishScope::Event),
        Decision::Respond(Some(reply(250))),
        Decision::Reject(reply(550)),
        Decision::Tempfail(reply(451)),
        Decision::Discard,
        Decision::Quarantine,
        Decision::Hold { at_most: None },
        Decision::Postpone(SECOND),
        Decision::Disconnect(reply(421)),
    ]
}

#[test]
fn each_decision_is_what_the_table_of_decisions_says() {
    //   name           ends   refusal puts off reply
    for (decision, (name, ends, refuses, puts_off, code)) in decisions().into_iter().zip([
        ("proceed", false, false, false, None),
        ("finish", true, false, false, None),
        ("respond", true, false, false, Some(250)),
        ("reject", true, true, false, Some(550)),
        ("tempfail", true, true, false, Some(451)),
        ("discard", true, false, false, None),
        ("quarantine", true, false, false, None),
        ("hold", true, false, true, None),
        ("postpone", true, false, true, None),
        ("disconnect", true, true, false, Some(421)),
    ]) {
        assert_eq!(decision.name(), name);
        assert_eq!(decision.ends_chain(), ends, "{name}");
        assert_eq!(decision.is_refusal(), refuses, "{name}");
        assert_eq!(decision.puts_off(), puts_off, "{name}");
        let goes_on_here = puts_off || ["quarantine", "reject"].contains(&name);
        assert_eq!(decision.goes_on_here(), goes_on_here, "{name}");
        let said = decision.reply().map(|reply| reply.code().value());
        assert_eq!(said, code, "{name}");
        let kind = DecisionKind::named(name).unwrap();
        // What the client reads is of the classes that the protocol has for it.
        let class = code.map(|code| u8::try_from(code / 100).unwrap());
        let classes = kind.rule().reply_classes;
        assert_eq!(class.is_some(), !classes.is_empty(), "{name}");
        assert!(class.is_none_or(|class| classes.contains(&class)), "{name}");
    }
    assert_eq!(decisions().len(), DecisionKind::ALL.len());
    assert_eq!(Decision::Respond(None).reply(), None);
}

fn splice() -> Edit {
    Edit::SpliceBody {
        offset: 0,
        remove: 1,
        insert: Bytes::new(),
    }
}

fn field() -> Edit {
    Edit::RemoveHeader { id: HeaderId(1) }
}

fn property() -> Edit {
    Edit::SetProperty {
        scope: PropertyScope::Message,
        key: "k".to_owned(),
        value: Some(Value::Int(1)),
        lifetime: Lifetime::Kept,
    }
}

fn fork(edits: Vec<Edit>) -> ForkEdits {
    ForkEdits {
        recipients: vec![RecipientId::new()],
        edits,
        orders: Vec::new(),
    }
}

#[test]
fn the_body_is_edited_by_the_verdict_or_by_a_fork() {
    let body = Edit::ReplaceBody { body: Bytes::new() };
    for (edits, forks, edits_body) in [
        (vec![], vec![], false),
        (vec![field(), property()], vec![fork(vec![field()])], false),
        (vec![field(), splice()], vec![], true),
        (vec![body.clone()], vec![], true),
        (vec![], vec![fork(vec![]), fork(vec![field(), body])], true),
    ] {
        let verdict = Verdict {
            edits,
            forks,
            ..Verdict::of(Decision::Proceed)
        };
        assert_eq!(verdict.edits_body(), edits_body, "{verdict:?}");
    }
}

#[test]
fn decisions_for_some_and_forks_split_the_message() {
    let whole = Verdict::of(Decision::Proceed);
    assert!(!whole.splits());
    assert_eq!(whole.split(), Split::default());
    let ids = vec![RecipientId::new()];
    let forked = Verdict {
        forks: vec![fork(vec![field()])],
        ..whole.clone()
    };
    assert!(forked.splits());
    assert_eq!(forked.split().forks, forked.forks);
    for decision in decisions() {
        let goes_on = decision == Decision::Proceed;
        let apart = Verdict {
            recipients: vec![(ids.clone(), decision)],
            ..whole.clone()
        };
        assert!(apart.splits());
        let group = Apart {
            recipients: ids.clone(),
            goes_on,
        };
        assert_eq!(apart.split().decided, [group], "{apart:?}");
    }
}

#[test]
fn of_a_refusal_only_properties_take_effect_unless_somebody_goes_on() {
    for decision in decisions() {
        let verdict = Verdict {
            edits: vec![field(), property(), splice()],
            orders: vec![Order::Relay(true)],
            delay: SECOND,
            reason_code: "why".to_owned(),
            ..Verdict::of(decision)
        };
        let effective = verdict.effective();
        if verdict.decision.is_refusal() {
            let left = Verdict {
                edits: vec![property()],
                orders: Vec::new(),
                ..verdict.clone()
            };
            assert_eq!(*effective, left);
        } else {
            assert_eq!(*effective, verdict);
        }
        for (recipients, forks) in [
            (vec![(vec![RecipientId::new()], Decision::Proceed)], vec![]),
            (vec![], vec![fork(vec![])]),
        ] {
            let split = Verdict {
                recipients,
                forks,
                ..verdict.clone()
            };
            assert_eq!(*split.effective(), split);
        }
    }
}

fn branch(number: u32, decision: Decision) -> Branch {
    Branch {
        number,
        message_id: MessageId::new(),
        recipients: vec![RecipientId::new()],
        decision,
        by: None,
        made_by: None,
        reason_code: String::new(),
        draft: Draft::empty(),
        orders: Orders::default(),
    }
}

#[test]
fn all_are_refused_where_the_rest_and_every_branch_are() {
    let ruling = |rest: Decision, branches: &[Decision]| Ruling::<AnyAnswer> {
        decision: rest,
        branches: (1..)
            .zip(branches)
            .map(|(number, decision)| branch(number, decision.clone()))
            .collect(),
        ..Ruling::proceed(EventKind::InboundMessage)
    };
    let refused = || Decision::Reject(reply(550));
    assert!(ruling(refused(), &[]).refuses_all());
    assert!(ruling(refused(), &[refused(), Decision::Tempfail(reply(451))]).refuses_all());
    assert!(!ruling(refused(), &[refused(), Decision::Discard]).refuses_all());
    assert!(!ruling(refused(), &[Decision::Proceed, refused()]).refuses_all());
    assert!(!ruling(Decision::Proceed, &[refused()]).refuses_all());
    assert!(!ruling(Decision::Proceed, &[]).refuses_all());
}

fn failure(member: usize) -> Failure {
    Failure {
        member,
        binding: "b".into(),
        fault: Fault::new(FaultKind::Timeout, "slow"),
        policy: Policy::Continue,
    }
}

fn by(member: usize) -> Option<By> {
    Some(By {
        member,
        binding: "b".into(),
        cause: Cause::Verdict,
    })
}

#[test]
fn the_later_chain_decides_and_what_both_left_counts() {
    let first = Ruling {
        by: by(1),
        delay: 3 * SECOND,
        reason_code: "first".to_owned(),
        failures: vec![failure(0)],
        branches: vec![
            branch(1, Decision::Discard),
            branch(2, Decision::Quarantine),
            branch(4, Decision::Discard),
        ],
        ..Ruling::<AnyAnswer>::proceed(EventKind::InboundHeaders)
    };
    let later = Ruling {
        decision: Decision::Reject(reply(550)),
        by: by(2),
        delay: 2 * SECOND,
        reason_code: "later".to_owned(),
        failures: vec![failure(5)],
        // It went on with the second branch, and made a third.
        branches: vec![branch(3, Decision::Proceed), branch(2, Decision::Discard)],
        ..Ruling::proceed(EventKind::InboundMessage)
    };
    let both = first.clone().then(later.clone());
    assert_eq!(both.event, EventKind::InboundMessage);
    assert_eq!(
        (&both.decision, &both.by, &both.reason_code),
        (&later.decision, &later.by, &later.reason_code)
    );
    assert_eq!(both.delay, 3 * SECOND);
    assert_eq!(both.failures, [failure(0), failure(5)]);
    let [own, _, last] = &first.branches[..] else {
        panic!("three branches");
    };
    let [third, second] = &later.branches[..] else {
        panic!("two branches");
    };
    let expected = [own, second, third, last].map(Clone::clone);
    assert_eq!(both.branches, expected);
    // The longer delay counts, whichever chain asked for it.
    assert_eq!(later.then(first).delay, 3 * SECOND);
}

#[test]
fn a_ruling_has_the_answer_of_its_event_alone() {
    let answer = RcptAnswer {
        tenant: "acme".to_owned(),
        ..RcptAnswer::default()
    };
    let ruling = Ruling {
        decision: Decision::Finish(FinishScope::Message),
        by: by(1),
        answer: Some(AnyAnswer::new(answer.clone())),
        answered_by: Some("first".into()),
        branches: vec![branch(1, Decision::Discard)],
        standing: Some(Standing {
            event: EventKind::InboundHelo,
            decision: Decision::Reject(reply(550)),
            by: by(0).unwrap(),
            reason_code: "helo".to_owned(),
        }),
        delay: SECOND,
        reason_code: "code".to_owned(),
        failures: vec![failure(0)],
        ..Ruling::<AnyAnswer>::proceed(EventKind::InboundRcpt)
    };
    let typed = ruling.clone().typed::<RcptAnswer>();
    assert_eq!(typed.answer, Some(answer));
    let again = Ruling {
        answer: ruling.answer.clone(),
        event: typed.event,
        decision: typed.decision,
        by: typed.by,
        answered_by: typed.answered_by,
        branches: typed.branches,
        standing: typed.standing,
        delay: typed.delay,
        reason_code: typed.reason_code,
        failures: typed.failures,
    };
    assert_eq!(again, ruling);
    assert_eq!(ruling.typed::<SizeAnswer>().answer, None);
    let nothing = Ruling::<AnyAnswer>::proceed(EventKind::InboundRcpt);
    assert_eq!(nothing.decision, Decision::Proceed);
    assert!(nothing.by.is_none() && nothing.answer.is_none() && nothing.standing.is_none());
}
