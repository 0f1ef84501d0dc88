//! Who waits for whom: each edit and each answer, against each thing that can be read.

use postern_proto::rules::{AnswerKind, EditKind};

use super::*;
use crate::grant::{Grants, Reads};

const READS: [&str; 6] = [
    "session",
    "headers",
    "body",
    "sender",
    "recipients",
    "properties",
];

/// Two bindings of two sinks, at events and with grants of any version.
struct Pair(Vec<Arc<Binding>>);

impl Pair {
    fn new() -> Self {
        let own = |name| {
            let plan = build(vec![binding(name, &[])]).unwrap();
            Arc::clone(&plan.bindings()[0])
        };
        Self(vec![own("former"), own("later")])
    }

    /// Whether a binding that reads this waits for one before it that may do that, each at its event.
    fn waits_at(
        &mut self,
        (former, may): (EventKind, &[&str]),
        (later, reads): (EventKind, &[&str]),
    ) -> bool {
        let depth = match (reads.contains(&"body"), reads.contains(&"headers")) {
            (true, _) => BodyDepth::Full,
            (false, true) => BodyDepth::Headers,
            (false, false) => BodyDepth::None,
        };
        let own = Arc::get_mut(&mut self.0[0]).unwrap();
        own.grants = Grants::parse_all(may).unwrap();
        own.events[0].event = former;
        let own = Arc::get_mut(&mut self.0[1]).unwrap();
        own.reads = Reads::parse(reads).unwrap();
        own.events[0].event = later;
        own.events[0].depth = depth;
        let [one, two] = [0, 1].map(|place: usize| vec![Arc::clone(&self.0[place])]);
        let stage = Stage::joined(&[(former, one), (later, two)], later, None, false);
        stage.members[1].after == Some(0)
    }

    fn waits(&mut self, event: EventKind, may: &[&str], reads: &[&str]) -> bool {
        self.waits_at((event, may), (event, reads))
    }
}

/// What can be read that an edit changes.
fn changed_by(edit: EditKind) -> &'static [&'static str] {
    match edit {
        EditKind::InsertHeader
        | EditKind::SetHeader
        | EditKind::ReplaceHeader
        | EditKind::RemoveHeader
        | EditKind::RemoveHeaders => &["headers"],
        EditKind::SpliceBody | EditKind::ReplaceBody => &["body"],
        EditKind::SetSender | EditKind::SetPriority => &["sender"],
        EditKind::AddRecipient
        | EditKind::RemoveRecipient
        | EditKind::RewriteRecipient
        | EditKind::RetainRecipients
        | EditKind::Redirect => &["recipients"],
        EditKind::SetParameter => &["sender", "recipients"],
        EditKind::SetRelay | EditKind::SetAuthenticated => &["session"],
        EditKind::Inject | EditKind::SetExpiry | EditKind::SetRoutingClass => &[],
    }
}

#[test]
fn whoever_reads_what_an_edit_changes_waits_for_those_who_may_make_it() {
    let mut pair = Pair::new();
    for event in EventKind::ALL {
        let rule = event.rule();
        for edit in EditKind::ALL {
            let word = edit.rule().grant;
            // What is answered by the same word is another matter.
            if rule
                .answers
                .iter()
                .any(|own| own.kind.rule().grant == Some(word))
            {
                continue;
            }
            let grant = if word == "headers:NAME" {
                "headers:X-A"
            } else {
                word
            };
            let same = rule.edits.iter().filter(|own| own.rule().grant == word);
            let changed: Vec<&str> = same.flat_map(|own| changed_by(*own)).copied().collect();
            for read in READS {
                let answers = pair.waits(event, &[], &[read]);
                let expected = changed.contains(&read) || read == "properties" || answers;
                let waits = pair.waits(event, &[grant], &[read]);
                assert_eq!(waits, expected, "{grant} before {read} at {event}");
            }
        }
    }
}

#[test]
fn without_the_word_for_it_nobody_is_waited_for() {
    let mut pair = Pair::new();
    let unused = [
        "finish",
        "discard",
        "quarantine",
        "hold",
        "inject",
        "expiry",
    ];
    for event in [EventKind::InboundMessage, EventKind::TransportSubmit] {
        for read in &READS[..5] {
            assert!(!pair.waits(event, &[], &[read]), "{read} at {event}");
            assert!(!pair.waits(event, &unused, &[read]), "{read} at {event}");
        }
    }
}

/// The word that an answer needs; some need none.
fn granted(kind: AnswerKind) -> Vec<&'static str> {
    kind.rule().grant.into_iter().collect()
}

#[test]
fn whoever_answers_is_waited_for_by_those_who_see_what_was_answered() {
    let mut pair = Pair::new();
    for event in EventKind::ALL {
        for answer in event.rule().answers {
            let may = granted(answer.kind);
            let mut of = |may: &[&str], reads: &[&str]| pair.waits(event, may, reads);
            match (answer.kind, answer.arm) {
                // Seen on the recipient, by those who read recipients.
                (AnswerKind::Rcpt, _) => {
                    assert!(of(&["admit"], &["recipients"]));
                    assert!(of(&["tenant"], &["recipients"]));
                    assert!(!of(&["admit", "tenant"], &["sender"]));
                    assert!(!of(&["relay", "redirect"], &["recipients"]));
                }
                // Mechanisms add up, and a dialogue ends the chain.
                (AnswerKind::Auth, Some("mechanisms")) | (AnswerKind::Dialogue, _) => {
                    assert!(!of(&may, &[]), "{event}");
                }
                // Whoever answers nothing else does not keep the next from being asked.
                (kind, _) => {
                    assert!(of(&may, &[]), "{} at {event}", kind.name());
                    if !may.is_empty() {
                        assert!(!of(&[], &[]), "{} at {event}", kind.name());
                    }
                }
            }
        }
    }
}

#[test]
fn an_answer_to_another_event_is_not_seen() {
    use EventKind::{InboundRcpt, InboundResponse};
    let mut pair = Pair::new();
    // Anybody may change the text of a reply.
    assert!(pair.waits(InboundResponse, &[], &[]));
    assert!(!pair.waits_at((InboundResponse, &[]), (InboundRcpt, &[])));
    let reads = &["recipients"][..];
    assert!(pair.waits(InboundRcpt, &["admit"], reads));
    assert!(!pair.waits_at((InboundRcpt, &["admit"]), (InboundResponse, reads)));
}

#[test]
fn what_waited_stands_in_front_and_speaks_later() {
    let at = |event: &str, name: &str, ask| BindingSpec {
        events: words(&[event]),
        ask: vec![(None, ask)],
        ..binding(name, &[])
    };
    let spec = vec![
        at("inbound.helo", "former", Ask::AtRcpt),
        at("inbound.rcpt", "later", Ask::AtOnce),
    ];
    let plan = build(spec).unwrap();
    let waiting = plan.at_rcpt("in", EventKind::InboundHelo).to_vec();
    let own = plan.stage("in", EventKind::InboundRcpt).unwrap();
    let waiting = [(EventKind::InboundHelo, waiting)];
    let stage = Stage::joined(&waiting, EventKind::InboundRcpt, Some(own), true);
    let places: Vec<_> = stage
        .members
        .iter()
        .map(|own| (own.event, own.about, own.speaks_later))
        .collect();
    assert_eq!(
        places,
        [
            (EventKind::InboundHelo, 0, true),
            (EventKind::InboundRcpt, 1, false)
        ]
    );
    assert_eq!(stage.event, EventKind::InboundRcpt);
}

#[test]
fn a_binding_does_not_wait_for_itself_and_a_careful_one_for_all() {
    let both = |side_effects| BindingSpec {
        events: words(&["inbound.connect", "inbound.rcpt"]),
        ask: vec![(Some("inbound.connect".to_owned()), Ask::AtRcpt)],
        side_effects,
        ..binding("own", &[])
    };
    for (side_effects, after) in [(None, None), (Some(false), None), (Some(true), Some(0))] {
        let plan = build(vec![both(side_effects)]).unwrap();
        let waiting = plan.at_rcpt("in", EventKind::InboundConnect).to_vec();
        let own = plan.stage("in", EventKind::InboundRcpt).map(|own| &**own);
        let event = EventKind::InboundRcpt;
        let stage = Stage::joined(&[(EventKind::InboundConnect, waiting)], event, own, false);
        assert_eq!(stage.members[0].after, None);
        assert_eq!(stage.members[1].after, after, "{side_effects:?}");
    }
    // The first has nobody before it.
    let careful = BindingSpec {
        side_effects: Some(true),
        ..binding("first", &[])
    };
    let plan = build(vec![careful.clone()]).unwrap();
    assert_eq!(after(&plan), [None]);
    let plan = build(vec![binding("other", &[]), binding("third", &[]), careful]).unwrap();
    assert_eq!(after(&plan), [None, None, Some(1)]);
}

#[test]
fn what_a_binding_edits_itself_it_has_to_see() {
    let editor = |may: &[&str]| binding("former", may);
    for (word, waits) in [
        ("body", true),
        ("sender", true),
        ("recipients", true),
        ("headers:X-A", false),
    ] {
        let plan = build(vec![editor(&[word]), binding("later", &[word])]).unwrap();
        assert_eq!(after(&plan), [None, waits.then_some(0)], "{word}");
    }
    let plan = build(vec![editor(&["sender"]), binding("later", &["parameters"])]).unwrap();
    assert_eq!(
        after(&plan),
        [None, Some(0)],
        "parameters are of the sender"
    );
    let plan = build(vec![editor(&["recipients"]), binding("later", &["finish"])]).unwrap();
    assert_eq!(after(&plan), [None, None]);
}

#[test]
fn the_last_who_is_waited_for_counts() {
    let reads = |name: &str, reads: &[&str]| BindingSpec {
        reads: words(reads),
        ..binding(name, &[])
    };
    let plan = build(vec![
        binding("a", &["sender"]),
        binding("b", &["headers:X-A"]),
        binding("c", &["recipients"]),
        reads("d", &["sender", "headers:X-A"]),
        reads("e", &["properties:b"]),
        reads("f", &["session"]),
    ])
    .unwrap();
    assert_eq!(after(&plan), [None, None, None, Some(1), Some(1), None]);
}
