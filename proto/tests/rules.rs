//! The tables as Rust.

#![allow(clippy::unwrap_used)]

use postern_proto::rules::{
    self, AnswerKind, DecisionKind, EditKind, Effect, Group, Policy, event, event_named,
    is_grant_word, is_read_word,
};
use postern_proto::v1::{self, EventKind, FinishScope, Scope};

#[test]
fn rows_are_found_by_number_and_by_name() {
    for rule in rules::EVENTS {
        assert_eq!(event(rule.kind).unwrap().name, rule.name);
        assert_eq!(event_named(rule.name).unwrap().kind, rule.kind);
    }
    assert!(event(EventKind::Unspecified).is_none());
    assert!(event_named("inbound.nothing").is_none());
}

#[test]
fn kinds_are_those_of_their_rows() {
    for kind in DecisionKind::ALL {
        assert_eq!(kind.rule().kind, kind);
        assert_eq!(DecisionKind::named(kind.name()), Some(kind));
    }
    for kind in EditKind::ALL {
        assert_eq!(kind.rule().kind, kind);
    }
    for kind in AnswerKind::ALL {
        assert_eq!(kind.rule().kind, kind);
    }
    for kind in rules::ActionKind::ALL {
        assert_eq!(kind.rule().kind, kind);
    }
}

#[test]
fn kinds_are_told_from_the_wire() {
    let reject = v1::decision::Kind::Reject(v1::Reject::default());
    assert_eq!(DecisionKind::from(&reject), DecisionKind::Reject);
    let connect = v1::event::Kind::InboundConnect(v1::InboundConnect {});
    assert_eq!(rules::event_kind(&connect), EventKind::InboundConnect);
}

#[test]
fn the_row_of_rcpt_says_what_rules_json_says() {
    let rcpt = event_named("inbound.rcpt").unwrap();
    assert_eq!(rcpt.arm(), 106);
    assert_eq!(rcpt.group, Some(Group::Command));
    assert!(rcpt.published());
    assert!(rcpt.allows(DecisionKind::Discard));
    assert!(!rcpt.allows(DecisionKind::Respond));
    assert_eq!(rcpt.finish, [FinishScope::Event, FinishScope::Message]);
    assert!(rcpt.edits_asked_recipient_only);
    assert_eq!(rcpt.answers[0].kind, AnswerKind::Rcpt);
    assert_eq!(rcpt.effect(Policy::Tempfail), Some(Effect::Reply(451)));
    assert_eq!(rcpt.effect(Policy::Hold), None);
    let connect = event_named("inbound.connect").unwrap();
    assert_eq!(connect.effect(Policy::Reject), Some(Effect::Reply(554)));
    assert_eq!(connect.policies_at_rcpt, Some(EventKind::InboundRcpt));
    let size = event_named("transport.max_size").unwrap();
    assert_eq!(size.group_in(Scope::InboundSession), Some(Group::Command));
    assert_eq!(size.group_in(Scope::Transport), Some(Group::Transport));
    assert_eq!(Group::Outgoing.default_timeout_seconds(), 10);
}

#[test]
fn what_spares_needs_a_grant() {
    for rule in rules::DECISIONS {
        assert_eq!(rule.spares, rule.grant.is_some(), "{}", rule.name);
    }
}

#[test]
fn words_of_reads_and_grants_are_known_with_their_names() {
    for word in [
        "headers",
        "headers:Subject",
        "headers:X-*",
        "properties:scores",
        "digest",
    ] {
        assert!(is_read_word(word), "{word}");
    }
    for word in [
        "header",
        "headers:",
        "headers:*",
        "headers:A:B",
        "properties:",
        "act:look",
        "",
    ] {
        assert!(!is_read_word(word), "{word}");
    }
    for word in ["headers:X-*", "act:queue", "finish"] {
        assert!(is_grant_word(word), "{word}");
    }
    for word in ["act:all", "reject", "headers:X Y", "finish:event"] {
        assert!(!is_grant_word(word), "{word}");
    }
}

#[test]
fn the_enum_of_all_bodies_is_small() {
    // Frames pass through queues: what is larger is boxed, by the generator.
    assert!(std::mem::size_of::<v1::event::Kind>() <= 160);
}

#[test]
fn every_event_is_given_with_what_it_is() {
    let mut given = Vec::new();
    macro_rules! note {
        ($(#[doc = $about:literal] $kind:ident = $number:literal;)+) => {
            $(given.push(($about, EventKind::$kind, $number));)+
        };
    }
    postern_proto::for_each_event!(note);
    assert_eq!(given.len(), rules::EVENTS.len());
    for ((about, kind, number), rule) in given.into_iter().zip(rules::EVENTS) {
        assert_eq!((kind, number), (rule.kind, rule.kind as i32));
        assert!(about.starts_with(&format!("`{}`: ", rule.name)), "{about}");
    }
}

#[test]
fn grants_of_later_versions_are_grants() {
    for word in rules::LATER_GRANTS {
        assert!(rules::GRANTS.contains(word), "{word}");
    }
}
