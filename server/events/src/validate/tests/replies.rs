//! What clients read where a sink leaves words out, and what the operator reads.

use super::*;

fn said(event: EventKind, kind: D) -> String {
    let checked = at(event, decided(kind)).unwrap();
    checked.decision.reply().unwrap().to_string()
}

#[test]
fn a_reply_without_words_gets_those_of_its_code() {
    let reject = |code| {
        let reply = (code != 0).then(|| reply(code, "", &[])).flatten();
        D::Reject(pb::Reject { reply })
    };
    let tempfail = |code| {
        let reply = (code != 0).then(|| reply(code, "", &[])).flatten();
        D::Tempfail(pb::Tempfail { reply })
    };
    let disconnect = |code| {
        let reply = (code != 0).then(|| reply(code, "", &[])).flatten();
        D::Disconnect(pb::Disconnect { reply })
    };
    let respond = |code| {
        let reply = reply(code, "", &[]);
        D::Respond(pb::Respond { reply })
    };
    let connect = EventKind::InboundConnect;
    let command = EventKind::InboundCommand;
    for (event, kind, expected) in [
        (MESSAGE, reject(0), "550 5.7.1 Refused by policy"),
        (MESSAGE, reject(554), "554 5.7.1 Refused by policy"),
        (MESSAGE, tempfail(0), "451 4.7.1 Not now, try again later"),
        (MESSAGE, tempfail(452), "452 4.7.1 Not now, try again later"),
        (MESSAGE, disconnect(0), "421 4.7.0 Closing the connection"),
        (MESSAGE, disconnect(554), "554 5.7.1 Refused by policy"),
        (connect, reject(0), "554 Refused by policy"),
        (connect, tempfail(0), "421 Closing the connection"),
        (connect, disconnect(0), "421 Closing the connection"),
        (command, respond(250), "250 2.0.0 Ok"),
        (command, respond(450), "450 4.7.1 Not now, try again later"),
        (command, respond(550), "550 5.7.1 Refused by policy"),
    ] {
        assert_eq!(said(event, kind), expected, "at {event}");
    }
}

#[test]
fn the_explanation_is_the_verdicts_own_else_the_reason_of_the_decision() {
    let hold = |reason: &str| {
        D::Hold(pb::Hold {
            reason: reason.to_owned(),
            ..pb::Hold::default()
        })
    };
    let quarantine = |reason: &str| {
        D::Quarantine(pb::Quarantine {
            reason: reason.to_owned(),
        })
    };
    for (kind, own, expected) in [
        (hold("odd"), "", "odd"),
        (hold("odd"), "because", "because"),
        (quarantine("odd"), "", "odd"),
        (quarantine("odd"), "because", "because"),
        (quarantine(""), "because", "because"),
        (quarantine(""), "", ""),
    ] {
        let verdict = pb::Verdict {
            explanation: own.to_owned(),
            ..decided(kind)
        };
        assert_eq!(at(MESSAGE, verdict).unwrap().explanation, expected);
    }
}

#[test]
fn each_thing_of_a_later_version_is_refused_by_its_own_name() {
    let case = case(MESSAGE);
    let binding = trusted();
    let asked = Asked {
        question: &case.question,
        context: &case.context,
        binding: &binding,
        version: case.version.as_ref(),
    };
    // In order by all other checks.
    let id = case.context.working().unwrap().draft().recipients[0].id;
    let ids = vec![Bytes::copy_from_slice(id.as_bytes())];
    let some = pb::Verdict {
        recipients: vec![pb::RecipientDecision {
            recipient_ids: ids.clone(),
            decision: decided(D::Reject(pb::Reject { reply: None })).decision,
        }],
        ..proceed()
    };
    let forked = pb::Verdict {
        forks: vec![pb::Fork {
            recipient_ids: ids,
            ..pb::Fork::default()
        }],
        ..proceed()
    };
    for (verdict, name) in [(some, "decisions for some recipients"), (forked, "forks")] {
        assert!(validate_all(verdict.clone(), &asked, &mut NoUploads).is_ok());
        let fault = validate(verdict, &asked, &mut NoUploads).unwrap_err();
        assert!(fault.detail.starts_with(name), "{fault}");
    }
}

#[test]
fn properties_of_a_fork_are_not_of_the_session() {
    let case = case(MESSAGE);
    let id = case.context.working().unwrap().draft().recipients[0].id;
    let with = |scope: pb::PropertyScope| pb::Verdict {
        forks: vec![pb::Fork {
            recipient_ids: vec![Bytes::copy_from_slice(id.as_bytes())],
            properties: vec![pb::PropertyEdit {
                scope: scope.into(),
                key: "k".to_owned(),
                ..pb::PropertyEdit::default()
            }],
            ..pb::Fork::default()
        }],
        ..proceed()
    };
    let passed = check(with(pb::PropertyScope::Message), &case, &trusted()).unwrap();
    assert_eq!(passed.forks[0].edits.len(), 1);
    let fault = check(with(pb::PropertyScope::Session), &case, &trusted()).unwrap_err();
    assert!(fault.detail.contains("properties of a fork"), "{fault}");
}
