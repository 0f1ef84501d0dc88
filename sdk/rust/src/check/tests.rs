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
