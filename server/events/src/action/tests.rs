#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::collections::HashMap;

use pb::change_queued::Change;
use pb::sink_action::Kind;

use super::*;
use crate::plan::{BindingSpec, PlanSpec, ServerSpec, SinkSpec};

/// A plan of one binding that may do this, of these servers of `in` and `out`.
fn plan(may: &[&str], servers: &[&str]) -> Plan {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let spec = PlanSpec {
        servers: vec![ServerSpec::new("in"), ServerSpec::new("out")],
        sinks: vec![SinkSpec {
            name: "sandbox".to_owned(),
            endpoints: vec!["http://127.0.0.1:7001".to_owned()],
            ..SinkSpec::default()
        }],
        bindings: vec![BindingSpec {
            events: Some(words(&["inbound.connect"])),
            may: Some(words(may)),
            servers: words(servers),
            ..BindingSpec::new("b", "sandbox")
        }],
    };
    Plan::build(spec, &HashMap::new()).unwrap()
}

fn checked(plan: &Plan, kind: Kind) -> Result<Deed, Outcome> {
    let action = pb::SinkAction {
        action_id: 1,
        idempotency_key: "k".to_owned(),
        reason: "r".to_owned(),
        kind: Some(kind),
    };
    check(action, &plan.bindings()[0], plan).map(|action| action.deed)
}

fn refused(plan: &Plan, kind: Kind) -> (Status, String) {
    let outcome = checked(plan, kind).unwrap_err();
    (outcome.status, outcome.detail)
}

fn change(change: Change) -> Kind {
    Kind::ChangeQueued(pb::ChangeQueued {
        message_ids: vec![Bytes::from_static(&[1; 16]), Bytes::from_static(&[1; 16])],
        recipient_ids: Vec::new(),
        change: Some(change),
    })
}

fn inject(server: &str, parent: &'static [u8]) -> Kind {
    Kind::Inject(pb::Inject {
        recipients: vec![pb::AddRecipient {
            address: Bytes::from_static(b"n@x.test"),
            ..pb::AddRecipient::default()
        }],
        content: Some(pb::Data {
            kind: Some(pb::data::Kind::Literal(Bytes::from_static(b"A: b\r\n\r\n"))),
        }),
        parent_message_id: Bytes::from_static(parent),
        server: server.to_owned(),
        ..pb::Inject::default()
    })
}

#[test]
fn each_change_needs_its_grants() {
    let hold = || Change::HoldQueued(pb::HoldQueued { at_most: None });
    let recall = || Change::RecallQueued(pb::RecallQueued {});
    let reroute = || Change::RerouteQueued(pb::RerouteQueued::default());
    let release = || Change::ReleaseQueued(pb::ReleaseQueued {});
    for (may, own, missing) in [
        (&[][..], release(), Some("act:queue")),
        (&["act:queue"], release(), None),
        (&["act:queue"], hold(), Some("hold")),
        (&["act:queue", "hold"], hold(), None),
        (&["act:queue"], recall(), Some("discard")),
        (&["act:queue", "discard"], recall(), None),
        (&["act:queue"], reroute(), Some("redirect")),
        (&["act:queue", "redirect"], reroute(), None),
        (&["hold"], hold(), Some("act:queue")),
    ] {
        let made = checked(&plan(may, &[]), change(own));
        match missing {
            None => {
                let Ok(Deed::Change { messages, .. }) = made else {
                    panic!("{may:?}: {made:?}");
                };
                assert_eq!(messages.len(), 1, "each once");
            }
            Some(word) => {
                let outcome = made.unwrap_err();
                assert_eq!(outcome.status, Status::Forbidden, "{may:?}");
                assert!(outcome.detail.ends_with(word), "{}", outcome.detail);
            }
        }
    }
    for (kind, word) in [
        (inject("in", b""), "act:inject"),
        (Kind::SetLink(pb::SetLink::default()), "act:links"),
        (Kind::ResetRoutes(pb::ResetRoutes::default()), "act:routes"),
    ] {
        let (status, detail) = refused(&plan(&["act:queue"], &[]), kind);
        assert_eq!(status, Status::Forbidden);
        assert!(detail.ends_with(word), "{detail}");
    }
}

#[test]
fn a_change_names_messages_or_recipients_of_one() {
    let all = plan(&["act:queue", "hold", "redirect"], &[]);
    let named = |messages: usize, recipients: usize, own: Change| {
        let id = |place: usize| Bytes::from(u128::try_from(place).unwrap().to_be_bytes().to_vec());
        Kind::ChangeQueued(pb::ChangeQueued {
            message_ids: (0..messages).map(id).collect(),
            recipient_ids: (0..recipients).map(id).collect(),
            change: Some(own),
        })
    };
    let expire = || Change::ExpireQueued(pb::ExpireQueued { reply: None });
    for (messages, recipients, said) in [
        (100, 0, ""),
        (1, 1000, ""),
        (101, 0, "101 messages, the limit is 100"),
        (1, 1001, "1001 recipients, the limit is 1000"),
        (0, 0, "no message is named"),
        (2, 1, "of one message only"),
    ] {
        let made = checked(&all, named(messages, recipients, expire()));
        let detail = made.err().map_or(String::new(), |outcome| outcome.detail);
        assert!(
            detail.contains(said) && detail.is_empty() == said.is_empty(),
            "{detail}"
        );
    }
    let retry = Change::RetryQueued(pb::RetryQueued {});
    let (_, detail) = refused(&all, named(1, 1, retry));
    assert!(detail.contains("whole messages"), "{detail}");
    let judge = Change::JudgeQueued(pb::JudgeQueued {});
    let (_, detail) = refused(&all, named(1, 0, judge));
    assert!(detail.contains("not bound to transport.submit"), "{detail}");
    let files = Change::RerouteQueued(pb::RerouteQueued {
        next_hops: vec![pb::NextHop {
            deliver: "maildir:/etc".to_owned(),
            ..pb::NextHop::default()
        }],
    });
    let (_, detail) = refused(&all, named(1, 0, files));
    assert!(detail.contains("does not name a Maildir"), "{detail}");
}

#[test]
fn what_a_notification_says_is_a_refusal_in_one_line() {
    let all = plan(&["act:queue"], &[]);
    let expire = |code: u32, enhanced: &'static str, line: &'static [u8]| {
        change(Change::ExpireQueued(pb::ExpireQueued {
            reply: Some(pb::Reply {
                code,
                enhanced_code: enhanced.into(),
                lines: vec![Bytes::from_static(line)],
                without_enhanced_code: false,
            }),
        }))
    };
    for (code, enhanced, line) in [(550, "", &b"no"[..]), (554, "5.7.1", b"never")] {
        assert!(checked(&all, expire(code, enhanced, line)).is_ok());
    }
    for (code, enhanced, line) in [
        (450, "", &b"no"[..]),
        (250, "", b"yes"),
        (550, "4.0.0", b"no"),
        (550, "", b"no\r\nX: y"),
        (550, "", b"\xff"),
        (70_000, "", b"no"),
    ] {
        let (status, _) = refused(&all, expire(code, enhanced, line));
        assert_eq!(status, Status::Invalid, "{code} {enhanced} {line:?}");
    }
}

#[test]
fn a_message_is_put_in_where_the_binding_serves() {
    let may = &["act:inject"];
    for (servers, server, parent, said) in [
        (&["in"][..], "", &b""[..], Ok("in")),
        (&[], "out", b"", Ok("out")),
        (&[], "", &[7; 16], Ok("")),
        (&[], "", b"", Err(Status::Invalid)),
        (&["in"], "out", b"", Err(Status::NotFound)),
        (&[], "elsewhere", b"", Err(Status::NotFound)),
        (&[], "in", b"short", Err(Status::Invalid)),
    ] {
        let made = checked(&plan(may, servers), inject(server, parent));
        match (made, said) {
            (
                Ok(Deed::Inject {
                    injection,
                    parent: of,
                }),
                Ok(server),
            ) => {
                assert_eq!(injection.server, server);
                assert_eq!(injection.idempotency_key, "k");
                assert_eq!(of.is_some(), !parent.is_empty());
            }
            (Err(outcome), Err(status)) => assert_eq!(outcome.status, status, "{outcome:?}"),
            (made, said) => panic!("{server:?} {said:?}: {made:?}"),
        }
    }
    let own_key = |kind: Kind| match kind {
        Kind::Inject(own) => Kind::Inject(pb::Inject {
            idempotency_key: "x".to_owned(),
            ..own
        }),
        other => other,
    };
    let (_, detail) = refused(&plan(may, &[]), own_key(inject("in", b"")));
    assert!(detail.contains("that of the action"), "{detail}");
}

#[test]
fn a_link_is_halted_for_a_day_at_most() {
    let all = plan(&["act:links"], &[]);
    let set = |state: pb::LinkState, destination: &'static [u8], hours: Option<i64>| {
        Kind::SetLink(pb::SetLink {
            destination: Bytes::from_static(destination),
            routing_class: String::new(),
            state: state.into(),
            at_most: hours.map(|hours| prost_types::Duration {
                seconds: hours * 3600,
                nanos: 0,
            }),
        })
    };
    let halted = |hours| checked(&all, set(pb::LinkState::Halted, b"Far.test", hours));
    let of = |hours: u64| {
        Ok(Deed::SetLink {
            destination: "far.test".to_owned(),
            state: LinkState::Halted(Duration::from_secs(hours * 3600)),
        })
    };
    assert_eq!(halted(None), of(1));
    assert_eq!(halted(Some(24)), of(24));
    assert!(halted(Some(25)).is_err() && halted(Some(-1)).is_err());
    assert!(checked(&all, set(pb::LinkState::Unspecified, b"x", None)).is_err());
    for name in [&b""[..], b"a b", b"a\r\n", b"\xff"] {
        assert!(
            checked(&all, set(pb::LinkState::Normal, name, None)).is_err(),
            "{name:?}"
        );
    }
}

#[test]
fn the_worst_comes_last() {
    let order = [
        Status::Done,
        Status::DoneBefore,
        Status::NotFound,
        Status::TooLate,
        Status::Busy,
        Status::Failed,
        Status::Limited,
        Status::Invalid,
        Status::Forbidden,
    ];
    assert!(order.is_sorted());
    for status in order {
        let result = Outcome::new(status, "d").result(4);
        assert_eq!((result.action_id, result.detail.as_str()), (4, "d"));
        let word = result.status().as_str_name();
        let word = word
            .trim_start_matches("ACTION_STATUS_")
            .to_ascii_lowercase();
        assert_eq!(word, status.name());
    }
}
