#![allow(clippy::unwrap_used)]
mod possible;

use proptest::prelude::*;

use super::*;

struct Facts<'a> {
    helo: Option<&'a str>,
    sender: Option<&'a str>,
    recipients: &'a [&'a str],
    verb: Option<&'a str>,
    argument: Option<&'a str>,
}

impl RuleFacts for Facts<'_> {
    fn helo(&self) -> Option<&str> {
        self.helo
    }

    fn sender(&self) -> Option<&str> {
        self.sender
    }

    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.recipients.iter().any(|address| visit(address))
    }

    fn verb(&self) -> Option<&str> {
        self.verb
    }

    fn argument(&self) -> Option<&str> {
        self.argument
    }
}

const MESSAGE: Facts<'static> = Facts {
    helo: Some("mail.Example.com"),
    sender: Some("User1@Example.com"),
    recipients: &[
        "other@example.net",
        "Person@example.com",
        "somename.x@example.org",
    ],
    verb: None,
    argument: None,
};

fn holds(rule: &str, facts: &Facts<'_>) -> bool {
    Rule::parse(rule).unwrap().holds(facts)
}

#[test]
fn the_documented_rules_match_what_they_say() {
    // Rows G50 to G56 of the reference, with what each must match and must not.
    for rule in [
        "",
        "  ",
        "MAIL FROM=*",
        "RCPT TO=person@example.com",
        "mail from=*@example.com",
        "EHLO=*example.com",
        "rcpt to=somename*;mail from=user1*",
        "rcpt to=*@example.com",
        "Mail  From = *@EXAMPLE.com ; ehlo = MAIL.example.com",
        "rcpt to=*some*",
        "mail from=*1",
        "EHLO;MAIL FROM;RCPT;EOD",
    ] {
        assert!(holds(rule, &MESSAGE), "{rule}");
    }
    for rule in [
        "RCPT TO=person@example.co",
        "mail from=*@mail.example.com",
        "mail from=*@example",
        "EHLO=example.com",
        "ehlo=server.example.com;mail from=*.example.com",
        "rcpt to=somename*;mail from=user2*",
        "rcpt to=*@*.example.com",
        "XFOO",
        "MAIL FROM=user",
    ] {
        assert!(!holds(rule, &MESSAGE), "{rule}");
    }
}

#[test]
fn suffixes_have_no_dot_boundary_and_this_is_said() {
    let facts = Facts {
        helo: Some("notexample.com"),
        ..MESSAGE
    };
    assert!(holds("EHLO=*example.com", &facts));
    assert_eq!(
        Rule::parse("EHLO=*example.com").unwrap().warnings().len(),
        1
    );
    assert_eq!(
        Rule::parse("rcpt to=a@*example.com")
            .unwrap()
            .warnings()
            .len(),
        1
    );
    for quiet in [
        "EHLO=*.example.com",
        "EHLO=example.com",
        "EHLO=*",
        "mail from=*example",
    ] {
        assert!(Rule::parse(quiet).unwrap().warnings().is_empty(), "{quiet}");
    }
}

#[test]
fn the_null_sender_is_a_sender_and_no_sender_is_none() {
    let null = Facts {
        sender: Some(""),
        ..MESSAGE
    };
    let none = Facts {
        sender: None,
        ..MESSAGE
    };
    assert!(holds("MAIL FROM=*", &null));
    assert!(!holds("MAIL FROM=*@example.com", &null));
    assert!(!holds("MAIL FROM=*", &none));
    assert!(!holds("MAIL", &none));
}

#[test]
fn the_domain_is_behind_the_last_at() {
    let quoted = Facts {
        sender: Some("\"a@example.com\"@example.org"),
        ..MESSAGE
    };
    assert!(holds("MAIL FROM=*@example.org", &quoted));
    assert!(!holds("MAIL FROM=*@example.com", &quoted));
}

#[test]
fn keywords_ask_for_the_verb_where_there_is_one() {
    let command = |verb| Facts {
        verb: Some(verb),
        ..MESSAGE
    };
    assert!(holds("xfoo", &command("XFOO")));
    assert!(holds("EHLO", &command("helo")));
    assert!(holds("DATA", &command("BDAT")));
    assert!(holds("EOD", &command("EOD")));
    assert!(!holds("MAIL", &command("RCPT")));
    assert!(holds("RCPT TO;mail from=user1*", &command("rcpt")));
}

#[test]
fn a_rule_selects_the_command() {
    let command = |verb, argument| Facts {
        verb: Some(verb),
        argument,
        ..MESSAGE
    };
    // EHLO itself, before its name was accepted; nothing that comes after it.
    let first = Facts {
        helo: None,
        sender: None,
        recipients: &[],
        ..command("EHLO", Some("mail.example.com"))
    };
    assert!(holds("EHLO=*", &first));
    assert!(holds("EHLO=*.example.com", &first));
    assert!(!holds("EHLO=*.example.org", &first));
    assert!(!holds("EHLO=*", &command("RCPT", Some("a@b"))));
    // The command's own argument counts, not what an earlier one said.
    assert!(holds("MAIL FROM=new@*", &command("MAIL", Some("new@x"))));
    assert!(!holds("MAIL FROM=user1*", &command("MAIL", Some("new@x"))));
    for other in ["RCPT", "RSET", "DATA", "NOOP"] {
        assert!(!holds("MAIL FROM=user1*", &command(other, None)), "{other}");
    }
    // The other conditions hold by what was accepted before.
    let rcpt = command("RCPT", Some("new@example.org"));
    assert!(holds(
        "rcpt to=new*;mail from=user1*;ehlo=*example.com",
        &rcpt
    ));
    assert!(!holds("rcpt to=new*;mail from=user2*", &rcpt));
    assert!(!holds("rcpt to=person*", &rcpt));
    // A reply is selected by its command, with what was accepted.
    assert!(holds("MAIL FROM=user1*", &command("MAIL", None)));
    assert!(holds("DATA;EOD", &command("EOD", None)));
    assert!(!holds("DATA;RCPT", &command("RCPT", None)));
    assert!(holds("", &command("NOOP", None)));
}

#[test]
fn errors_say_what_and_where() {
    type Case = (&'static str, usize, fn(&RuleProblem) -> bool);
    let cases: [Case; 9] = [
        ("MAIL FROM=*;;EHLO=*", 13, |p| {
            matches!(p, RuleProblem::EmptyCondition)
        }),
        ("MAIL FROM=*;", 13, |p| {
            matches!(p, RuleProblem::EmptyCondition)
        }),
        ("MAIL FROM=*; FROM=x", 14, |p| {
            matches!(p, RuleProblem::Command(_))
        }),
        ("EHLO=", 6, |p| matches!(p, RuleProblem::EmptyPattern)),
        ("RCPT TO=a*b", 10, |p| matches!(p, RuleProblem::Star)),
        ("RCPT TO=a@b@c", 12, |p| {
            matches!(p, RuleProblem::Character('@'))
        }),
        ("RCPT TO=a b", 10, |p| {
            matches!(p, RuleProblem::Character(' '))
        }),
        ("EHLO=example*", 13, |p| matches!(p, RuleProblem::Star)),
        ("MAIL TO", 1, |p| matches!(p, RuleProblem::Keyword(_))),
    ];
    for (rule, column, expected) in cases {
        let error = Rule::parse(rule).unwrap_err();
        assert!(
            expected(&error.problem) && error.column == column,
            "{error}"
        );
    }
}

#[test]
fn events_before_the_command_cannot_be_met() {
    let rule = Rule::parse("MAIL FROM=*@example.com").unwrap();
    assert_eq!(
        rule.impossible_at(EventKind::InboundHelo).as_deref(),
        Some("MAIL FROM")
    );
    assert_eq!(rule.impossible_at(EventKind::InboundMail), None);
    assert_eq!(rule.impossible_at(EventKind::TransportSubmit), None);
    let rule = Rule::parse("EOD").unwrap();
    assert!(rule.impossible_at(EventKind::InboundHeaders).is_some());
    assert_eq!(rule.impossible_at(EventKind::InboundMessage), None);
    assert!(
        Rule::parse("XFOO")
            .unwrap()
            .impossible_at(EventKind::InboundMail)
            .is_some()
    );
}

#[test]
fn in_an_outgoing_session_only_commands_and_what_has_a_message_can_be_met() {
    use EventKind as E;
    let parties = Rule::parse("RCPT TO=*@example.com").unwrap();
    for event in [
        E::OutboundMessageStart,
        E::OutboundRecipient,
        E::OutboundBeforeData,
        E::OutboundCommand,
        E::OutboundResponse,
    ] {
        assert_eq!(parties.impossible_at(event), None, "{event}");
    }
    for event in [
        E::OutboundSessionStart,
        E::OutboundTls,
        E::OutboundSessionEnd,
        E::DeliveryLink,
        E::TransportRoute,
    ] {
        assert!(parties.impossible_at(event).is_some(), "{event}");
    }
    let verb = Rule::parse("STARTTLS").unwrap();
    assert_eq!(verb.impossible_at(E::OutboundCommand), None);
    assert!(verb.impossible_at(E::OutboundMessageStart).is_some());
}

/// The grammar's patterns, read the slow way.
fn slow(pattern: &str, value: &str) -> bool {
    let (pattern, value) = (pattern.to_ascii_lowercase(), value.to_ascii_lowercase());
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        _ if pattern == "*" => true,
        (Some(rest), Some(_)) => value.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(rest), None) => value.ends_with(rest),
        (None, Some(rest)) => value.starts_with(rest),
        (None, None) => value == pattern,
    }
}

proptest! {
    #[test]
    fn anything_parses_or_is_refused_within_its_text(text in "\\PC{0,40}") {
        if let Err(error) = Rule::parse(&text) {
            prop_assert!(error.column >= 1 && error.column <= text.len() + 1, "{}", error);
        }
    }

    #[test]
    fn patterns_match_as_the_grammar_reads(
        name in "\\*?[abAB.]{1,4}\\*?",
        domain in proptest::option::of("\\*?[ab.]{0,3}".prop_filter("some", |d| !d.is_empty())),
        local in "[abAB.]{1,5}",
        host in "[abAB.]{1,5}",
    ) {
        let pattern = domain.as_ref().map_or(name.clone(), |domain| format!("{name}@{domain}"));
        let rule = Rule::parse(&format!("RCPT TO={pattern}")).unwrap();
        let address = format!("{local}@{host}");
        let facts = Facts { recipients: &[&address], ..MESSAGE };
        let expected = slow(&name, &local) && domain.is_none_or(|domain| slow(&domain, &host));
        prop_assert_eq!(rule.holds(&facts), expected);
    }

    #[test]
    fn case_means_nothing(local in "[a-z]{1,5}", pattern in "\\*?[a-z]{1,3}\\*?") {
        let lower = Rule::parse(&format!("mail from={pattern}")).unwrap();
        let upper = Rule::parse(&format!("MAIL FROM={}", pattern.to_ascii_uppercase())).unwrap();
        let sender = format!("{local}@x");
        let facts = Facts { sender: Some(&sender), ..MESSAGE };
        prop_assert_eq!(lower.holds(&facts), upper.holds(&facts));
    }
}

#[test]
fn a_greeting_is_there_at_all_events_after_the_connection() {
    use EventKind as E;
    let ehlo = Rule::parse("EHLO=*.test").unwrap();
    assert!(ehlo.impossible_at(E::InboundConnect).is_some());
    for event in [
        E::InboundHelo,
        E::InboundMail,
        E::InboundRcpt,
        E::InboundMessage,
        E::InboundCommand,
        E::InboundResponse,
        E::TransportSubmit,
    ] {
        assert_eq!(ehlo.impossible_at(event), None, "{event}");
    }
}
