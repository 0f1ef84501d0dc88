//! What each failure policy comes to at each event.

use postern_proto::rules::Effect;

use super::super::policy::decision;
use super::*;

#[test]
fn a_failure_comes_to_what_the_table_says() {
    for event in EventKind::ALL {
        for policy in Policy::ALL {
            let own = decision(event, policy, false, "ID");
            let said = own.as_ref().map(|decision| {
                let code = decision.reply().map(|reply| reply.code().value());
                (decision.name(), code)
            });
            let expected = match (policy, event.rule().effect(policy)) {
                (_, None | Some(Effect::Skipped | Effect::Stands | Effect::LimitImposed)) => None,
                (Policy::Continue, _) => None,
                (_, Some(Effect::Held)) => Some(("hold", None)),
                (_, Some(Effect::Quarantined)) => Some(("quarantine", None)),
                (Policy::Disconnect, Some(Effect::Reply(code))) => Some(("disconnect", Some(code))),
                (Policy::Disconnect, _) => Some(("disconnect", Some(421))),
                (Policy::Reject, Some(Effect::Reply(code))) => Some(("reject", Some(code))),
                (Policy::Reject, _) => Some(("reject", Some(550))),
                (_, Some(Effect::Reply(code))) => Some(("tempfail", Some(code))),
                (_, Some(Effect::Queued | Effect::Bounced | Effect::SessionEnds)) => {
                    Some(("tempfail", Some(451)))
                }
            };
            assert_eq!(said, expected, "{policy:?} at {event}");
        }
    }
}

#[test]
fn what_was_accepted_or_sent_is_not_turned_into_a_refusal() {
    for event in EventKind::ALL {
        let after = event.rule().policies_after_acceptance;
        for policy in Policy::ALL {
            let own = decision(event, policy, true, "ID");
            let refuses = own.as_ref().is_some_and(Decision::is_refusal);
            if after.is_empty() {
                let code = match event.rule().effect(policy) {
                    Some(Effect::Reply(_)) if policy != Policy::Disconnect => None,
                    _ => decision(event, policy, false, "ID"),
                };
                assert_eq!(own, code, "{policy:?} at {event}");
            } else {
                let effect = after.iter().find(|(own, _)| *own == policy);
                let ends = effect.is_some_and(|(_, effect)| *effect == Effect::SessionEnds);
                assert_eq!(
                    refuses,
                    ends && policy != Policy::Continue,
                    "{policy:?} at {event}"
                );
            }
        }
    }
}

#[test]
fn the_client_reads_an_id_and_when_to_come_again() {
    let said = |policy| {
        let own = decision(EventKind::InboundMessage, policy, false, "AB12").unwrap();
        own.reply().unwrap().to_string()
    };
    for (policy, text) in [
        (
            Policy::Tempfail,
            "451 4.7.1 Service unavailable, try again later (AB12)",
        ),
        (
            Policy::Disconnect,
            "421 4.7.1 Service unavailable, try again later (AB12)",
        ),
        (Policy::Reject, "550 5.7.1 Service unavailable (AB12)"),
    ] {
        assert_eq!(said(policy), text);
    }
}
