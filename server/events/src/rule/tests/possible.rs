//! At which events each condition can hold, and how rules are read.

use super::*;

/// The events at which a rule cannot be met.
fn impossible(rule: &str) -> Vec<&'static str> {
    let rule = Rule::parse(rule).unwrap();
    let events = EventKind::ALL.into_iter();
    let events = events.filter(|event| rule.impossible_at(*event).is_some());
    events.map(EventKind::name).collect()
}

/// Nothing of a message or of a command is known at these.
const NEVER: [&str; 9] = [
    "transport.route",
    "transport.resolve",
    "outbound.session_start",
    "outbound.session_end",
    "outbound.tls",
    "delivery.link",
    "service.start",
    "service.stop",
    "service.config",
];

fn never_and(before: &[&'static str]) -> Vec<&'static str> {
    let names = before.iter().chain(&NEVER).copied();
    let mut all: Vec<EventKind> = names.filter_map(|name| name.parse().ok()).collect();
    all.sort_unstable();
    all.into_iter().map(EventKind::name).collect()
}

#[test]
fn each_condition_is_possible_from_its_command_on() {
    let connect = ["inbound.connect"];
    let early = [
        "inbound.connect",
        "inbound.helo",
        "inbound.tls",
        "inbound.auth",
    ];
    let to_mail = [&early[..], &["inbound.mail"]].concat();
    let to_rcpt = [&to_mail[..], &["inbound.rcpt"]].concat();
    let to_headers = [&to_rcpt[..], &["inbound.data", "inbound.headers"]].concat();
    for (rules, before) in [
        (["EHLO", "EHLO=*"], &connect[..]),
        (["MAIL", "MAIL FROM=*"], &early),
        (["RCPT TO", "RCPT TO=*"], &to_mail),
        (["DATA", "data"], &to_rcpt),
        (["EOD", "eod"], &to_headers),
    ] {
        for rule in rules {
            assert_eq!(impossible(rule), never_and(before), "{rule}");
        }
    }
    // Any other verb is only where commands are.
    let possible = [
        "inbound.command",
        "inbound.response",
        "outbound.command",
        "outbound.response",
    ];
    let others = impossible("STARTTLS");
    for event in EventKind::ALL {
        assert_eq!(
            others.contains(&event.name()),
            !possible.contains(&event.name()),
            "{event}"
        );
    }
    // The first that cannot hold is named.
    for (rule, event, command) in [
        ("EHLO=*;MAIL FROM=*", EventKind::InboundHelo, "MAIL FROM"),
        ("RCPT;EOD", EventKind::InboundMail, "RCPT TO"),
        ("EOD", EventKind::InboundMail, "EOD"),
        ("DATA", EventKind::InboundMail, "DATA"),
        ("EHLO", EventKind::InboundConnect, "EHLO"),
        ("noop", EventKind::InboundMail, "NOOP"),
    ] {
        let named = Rule::parse(rule).unwrap().impossible_at(event);
        assert_eq!(named.as_deref(), Some(command), "{rule}");
    }
    assert_eq!(impossible(""), [""; 0]);
}

#[test]
fn a_verb_has_at_most_32_letters_digits_and_hyphens() {
    let longest = "A".repeat(32);
    for good in ["X-FOO", "X2", longest.as_str()] {
        assert_eq!(Rule::parse(good).unwrap().conditions.len(), 1, "{good}");
    }
    for bad in ["X_FOO", "X FOO", "Ä", "X.", &"A".repeat(33)] {
        let error = Rule::parse(bad).unwrap_err();
        assert!(matches!(error.problem, RuleProblem::Keyword(_)), "{error}");
    }
}

#[test]
fn a_rule_knows_what_it_asks_for_and_how_it_was_written() {
    for (rule, sender, recipients) in [
        ("", false, false),
        ("EHLO=*", false, false),
        ("MAIL FROM=*", true, false),
        ("MAIL", false, false),
        ("RCPT TO=*", false, true),
        ("RCPT", false, true),
        ("EOD;DATA", false, false),
        ("EHLO;RCPT;mail from=a", true, true),
    ] {
        let own = Rule::parse(rule).unwrap();
        assert_eq!(
            (own.reads_sender(), own.reads_recipients()),
            (sender, recipients),
            "{rule}"
        );
        assert_eq!((own.text(), own.to_string()), (rule, rule.to_owned()));
        assert_eq!(own.is_empty(), rule.is_empty());
    }
}

#[test]
fn each_keyword_is_its_own_verbs_and_no_other() {
    let verbs = [
        "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "EOD", ".", "NOOP",
    ];
    for (keyword, own) in [
        ("EHLO", &["EHLO", "HELO", "LHLO"][..]),
        ("MAIL", &["MAIL"]),
        ("RCPT", &["RCPT"]),
        ("DATA", &["DATA", "BDAT"]),
        ("EOD", &["EOD", "."]),
        ("NOOP", &["NOOP"]),
    ] {
        for verb in verbs {
            for verb in [verb.to_owned(), verb.to_lowercase()] {
                let facts = Facts {
                    verb: Some(&verb),
                    ..MESSAGE
                };
                let is = own.iter().any(|name| name.eq_ignore_ascii_case(&verb));
                assert_eq!(holds(keyword, &facts), is, "{keyword} at {verb}");
            }
        }
    }
}

#[test]
fn a_keyword_holds_once_its_command_was_given() {
    let nothing = Facts {
        helo: None,
        sender: None,
        recipients: &[],
        verb: None,
        argument: None,
    };
    for (keyword, given) in [
        (
            "EHLO",
            Facts {
                helo: Some(""),
                ..nothing
            },
        ),
        (
            "MAIL",
            Facts {
                sender: Some(""),
                ..nothing
            },
        ),
        (
            "RCPT",
            Facts {
                recipients: &["a@b"],
                ..nothing
            },
        ),
    ] {
        assert!(holds(keyword, &given), "{keyword}");
        assert!(!holds(keyword, &nothing), "{keyword}");
    }
    // Where these can be asked for they have been given.
    assert!(holds("DATA;EOD", &nothing));
    assert!(!holds("NOOP", &nothing));
}

#[test]
fn what_comes_later_does_not_hold_at_a_command() {
    let at = |verb| Facts {
        verb: Some(verb),
        ..MESSAGE
    };
    assert!(holds("EOD;DATA", &at("EOD")));
    assert!(!holds("DATA;EOD", &at("DATA")));
    assert!(!holds("RCPT;DATA", &at("RCPT")));
    assert!(holds("RCPT;MAIL;EHLO", &at("RCPT")));
}

#[test]
fn words_are_whole_and_blanks_between_them_mean_nothing() {
    for good in ["MAIL FROM", "mail   from", " MAIL FROM "] {
        assert!(holds(good, &MESSAGE), "{good}");
    }
    for bad in [
        "MAIL FROMX",
        "MAIL FROM X",
        "RCPT TOO",
        "MAILFROM=a",
        "RCPT TO X=a",
    ] {
        assert!(Rule::parse(bad).is_err() || !holds(bad, &MESSAGE), "{bad}");
    }
    let columns = |rule: &str| Rule::parse(rule).unwrap_err().column;
    assert_eq!(columns("EHLO = a b"), 9);
    assert_eq!(columns("RCPT TO=*a*b@x"), 11);
    assert_eq!(columns("RCPT TO=a@"), 11);
    assert_eq!(columns("RCPT TO=@x"), 9);
    assert_eq!(columns("RCPT TO=a@**x"), 12);
    assert_eq!(columns("EHLO=a@b"), 7);
    assert_eq!(columns(" ; EHLO"), 2);
}

#[test]
fn patterns_that_match_more_than_is_meant_are_remarked() {
    for (rule, count) in [
        ("EHLO=*a.test;MAIL FROM=*@*b.test;RCPT TO=x@*c.test", 3),
        ("EHLO=*.a.test;MAIL FROM=*b;RCPT TO=*@c.test;RCPT", 0),
        ("MAIL FROM=*@*", 0),
    ] {
        assert_eq!(Rule::parse(rule).unwrap().warnings().len(), count, "{rule}");
    }
    let said = Rule::parse("EHLO=*a.test").unwrap().warnings().remove(0);
    assert!(
        said.contains("nota.test") && said.contains("*.a.test"),
        "{said}"
    );
}
