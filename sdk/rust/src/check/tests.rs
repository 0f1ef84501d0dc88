use super::*;
use crate::Verdict;

fn checked(verdict: &Verdict, event: v1::EventKind, grants: &[&str]) -> Result<(), String> {
    let grants = Grants::of(grants);
    let question = Question {
        event,
        body: None,
        grants: &grants,
        limits: &v1::Limits::default(),
        picture: &Picture::default(),
        content_bytes: None,
    };
    super::verdict(verdict.as_proto(), &question).map_err(|refusal| refusal.to_string())
}

/// Every decision at every event: it passes exactly where the table has it and the grant is there.
#[test]
fn decisions_pass_where_the_table_has_them() {
    let decisions = [
        Verdict::proceed(),
        Verdict::reject("no"),
        Verdict::tempfail("later"),
        Verdict::finish(),
        Verdict::discard(),
        Verdict::quarantine("odd"),
        Verdict::hold("later"),
        Verdict::postpone(Duration::from_secs(60)),
        Verdict::disconnect("bye"),
    ];
    for rule in rules::EVENTS {
        for verdict in &decisions {
            let Some(kind) = verdict.decision() else {
                continue;
            };
            let decided = DecisionKind::from(kind);
            let grant = decided.rule().grant;
            let granted: Vec<&str> = grant.into_iter().collect();
            let passes = checked(verdict, rule.kind, &granted).is_ok();
            let expected =
                rule.allows(decided) && !(rule.answer_required && decided == DecisionKind::Proceed);
            assert_eq!(passes, expected, "{} at {}", decided.name(), rule.name);
            if grant.is_some() {
                assert!(
                    checked(verdict, rule.kind, &[]).is_err(),
                    "{} without a grant",
                    decided.name()
                );
            }
        }
    }
}

/// Every edit of a header field, by every kind of grant.
#[test]
fn header_grants_are_names_prefixes_and_all() {
    let edit = Verdict::proceed().set_header("X-Spam-Score", "5");
    let at = v1::EventKind::InboundMessage;
    for (grants, passes) in [
        (&["headers"][..], true),
        (&["headers:x-spam-score"], true),
        (&["headers:X-Spam*"], true),
        (&["headers:X-Spam"], false),
        (&["body"], false),
        (&[], false),
    ] {
        assert_eq!(checked(&edit, at, grants).is_ok(), passes, "{grants:?}");
    }
}

#[test]
fn raw_values_keep_the_rules_of_folding() {
    let at = v1::EventKind::InboundMessage;
    let set = |value: &'static [u8]| {
        let value = crate::HeaderValue::raw(value);
        checked(
            &Verdict::proceed().set_header("X-A", value),
            at,
            &["headers"],
        )
    };
    assert_eq!(set(b" one\r\n two"), Ok(()));
    assert_eq!(set(b" \xff octets pass"), Ok(()));
    assert!(set(b" one\r\ntwo").is_err());
    assert!(set(b" one\r\n \r\n two").is_err());
    assert!(set(b" one\n two").is_err());
    assert!(set(b" nul\0").is_err());
}

/// What a sink says to clients beyond yes and no, each with exactly the words that it needs.
#[test]
fn answers_to_clients_need_their_words_and_no_others() {
    use v1::EventKind as E;
    let success = v1::AuthSuccess {
        identity: "anna".into(),
        may_relay: true,
        tenant: "acme".to_owned(),
        ..Default::default()
    };
    let success = v1::auth_answer::Kind::Success(success);
    let success = v1::answer::Kind::Auth(v1::AuthAnswer {
        kind: Some(success),
    });
    for (verdict, event, needed) in [
        (
            Verdict::proceed().admit_hosted(),
            E::InboundRcpt,
            &["admit"][..],
        ),
        (
            Verdict::proceed().admit_relayed(),
            E::InboundRcpt,
            &["admit", "relay"],
        ),
        (
            Verdict::proceed().of_tenant("acme"),
            E::InboundRcpt,
            &["tenant"],
        ),
        (
            Verdict::proceed().of_tenant("acme").admit_hosted(),
            E::InboundRcpt,
            &["admit", "tenant"],
        ),
        (
            Verdict::ask_line("Go on", 0),
            E::InboundCommand,
            &["respond"],
        ),
        (
            Verdict::ask_octets(None, 5),
            E::InboundCommand,
            &["respond"],
        ),
        (
            Verdict::proceed().offer_mechanisms(&["XTOKEN"]),
            E::InboundHelo,
            &["authenticated"],
        ),
        (
            Verdict::challenge("who?"),
            E::InboundAuth,
            &["authenticated"],
        ),
        (
            Verdict::authenticated("anna"),
            E::InboundAuth,
            &["authenticated"],
        ),
        (
            Verdict::proceed().answer(success),
            E::InboundAuth,
            &["authenticated", "relay", "tenant"],
        ),
        (
            Verdict::proceed()
                .remove_keywords(&["SIZE"])
                .append_lines(&["X"]),
            E::InboundResponse,
            &["ehlo"],
        ),
    ] {
        assert_eq!(checked(&verdict, event, needed), Ok(()), "{verdict:?}");
        for missing in needed {
            let fewer: Vec<&str> = needed
                .iter()
                .copied()
                .filter(|own| own != missing)
                .collect();
            assert!(
                checked(&verdict, event, &fewer).is_err(),
                "{verdict:?} without {missing}"
            );
        }
    }
    let early = Verdict::ask_line(crate::Reply::new(250, "", "Done"), 0);
    assert!(
        checked(&early, E::InboundCommand, &["respond"]).is_err(),
        "it is not done"
    );
    // Lines behind another reply than that to EHLO need none.
    let lines = Verdict::proceed()
        .replace_reply("Hello")
        .append_lines(&["there"]);
    assert_eq!(checked(&lines, E::InboundResponse, &[]), Ok(()));
}
