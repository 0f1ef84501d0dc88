#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn request(instance_id: u64, kind: attach_request::Kind) -> v1::AttachRequest {
    v1::AttachRequest {
        instance_id,
        kind: Some(kind),
    }
}

fn open(with_binding: bool) -> attach_request::Kind {
    attach_request::Kind::OpenInstance(Box::new(v1::Open {
        scope: v1::Scope::InboundSession.into(),
        binding_revision: 7,
        binding: with_binding.then(Box::default),
        features: vec!["parts".to_owned()],
        ..Default::default()
    }))
}

fn asked(event_id: u64) -> v1::Event {
    v1::Event {
        event_id,
        deadline: Some(prost_types::Duration {
            seconds: 5,
            nanos: 0,
        }),
        kind: Some(v1::event::Kind::InboundConnect(v1::InboundConnect {})),
        ..Default::default()
    }
}

fn verdict(event_id: u64) -> v1::Verdict {
    v1::Verdict {
        event_id,
        ..Default::default()
    }
}

struct Play {
    link: Link,
    now: Instant,
}

impl Play {
    fn new() -> Self {
        Self {
            link: Link::new(LinkSettings::default()),
            now: Instant::now(),
        }
    }

    fn hand_in(&mut self, instance_id: u64, kind: attach_request::Kind) {
        self.link.handle_frame(self.now, request(instance_id, kind));
    }

    fn event(&mut self, instance_id: u64, event: v1::Event) {
        self.hand_in(instance_id, attach_request::Kind::Event(Box::new(event)));
    }

    fn events(&mut self) -> Vec<LinkEvent> {
        std::iter::from_fn(|| self.link.poll_event()).collect()
    }

    fn sent(&mut self) -> Vec<attach_response::Kind> {
        std::iter::from_fn(|| self.link.poll_transmit())
            .filter_map(|frame| frame.kind)
            .collect()
    }

    #[track_caller]
    fn broke(&mut self, instance_id: u64, told: &str) {
        let fault = self.sent().pop();
        match fault {
            Some(attach_response::Kind::Fault(fault)) => {
                assert_eq!(
                    (fault.event_id, fault.kind()),
                    (0, FaultKind::ProtocolError)
                );
                assert_eq!(fault.detail, told);
            }
            other => panic!("{other:?}"),
        }
        assert!(!self.link.is_open(instance_id, 1));
    }
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_sent() {
    let mut play = Play::new();
    play.hand_in(1, open(true));
    play.event(1, asked(1));
    play.event(1, asked(2));
    let cancel = v1::Cancel {
        event_id: 1,
        reason: v1::CancelReason::Deadline.into(),
    };
    play.hand_in(1, attach_request::Kind::Cancel(cancel));
    assert!(!play.link.verdict(play.now, 1, verdict(1)), "cancelled");
    assert!(play.link.verdict(play.now, 1, verdict(2)));
    assert!(!play.link.verdict(play.now, 1, verdict(2)), "a second one");
    assert!(!play.link.verdict(play.now, 1, verdict(3)), "never asked");
    assert_eq!(play.sent().len(), 1);
    let told = play.events();
    assert_eq!(told.len(), 4);
    assert!(matches!(told[3], LinkEvent::Cancelled { event_id: 1, .. }));
}

#[test]
fn parts_of_an_event_and_of_a_snapshot_are_merged() {
    let recipient = |id: &'static str| v1::Recipient {
        recipient_id: Bytes::from_static(id.as_bytes()),
        ..Default::default()
    };
    let mut play = Play::new();
    play.hand_in(1, open(true));
    let part = v1::Snapshot {
        recipients: vec![recipient("a"), recipient("b")],
        ..Default::default()
    };
    play.hand_in(1, attach_request::Kind::SnapshotPart(Box::new(part)));
    let part = |ids: &[&'static str]| v1::Event {
        event_id: 1,
        recipients: Some(v1::RecipientsUpdate {
            changed: ids.iter().map(|id| recipient(id)).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    play.hand_in(1, attach_request::Kind::EventPart(Box::new(part(&["c"]))));
    play.hand_in(1, attach_request::Kind::EventPart(Box::new(part(&["d"]))));
    let mut last = asked(1);
    last.recipients = Some(v1::RecipientsUpdate {
        removed_ids: vec![Bytes::from_static(b"a")],
        changed: vec![recipient("e")],
        ..Default::default()
    });
    play.event(1, last);
    match play.events().pop() {
        Some(LinkEvent::Event {
            picture,
            awaited: true,
            ..
        }) => {
            let ids: Vec<_> = picture
                .recipients()
                .iter()
                .map(|r| r.recipient_id.clone())
                .collect();
            assert_eq!(ids, ["b", "c", "d", "e"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_gateway_breaks_ends_that_instance_alone() {
    let mut play = Play::new();
    play.hand_in(1, open(false));
    play.broke(1, "the first Open of a binding must bring it");
    play.event(1, asked(1));
    assert!(
        play.sent().is_empty(),
        "its frames are ignored until it is closed"
    );

    play.hand_in(2, open(true));
    play.event(2, asked(5));
    play.event(2, asked(5));
    play.broke(2, "event ids that do not increase");

    play.hand_in(3, open(false));
    play.event(3, asked(1));
    let content = |offset, octets: &'static [u8]| {
        attach_request::Kind::Content(v1::Content {
            event_id: 1,
            offset,
            octets: Bytes::from_static(octets),
            ..Default::default()
        })
    };
    play.hand_in(3, content(0, b"one"));
    play.hand_in(3, content(4, b"two"));
    play.broke(3, "content with a gap");

    play.hand_in(4, open(false));
    play.hand_in(4, attach_request::Kind::EventPart(Box::new(asked(1))));
    play.hand_in(4, attach_request::Kind::Cancel(v1::Cancel::default()));
    play.broke(4, "a frame between the parts of an event");

    play.hand_in(5, open(false));
    play.event(5, asked(1));
    assert!(play.link.verdict(play.now, 5, verdict(1)), "others go on");
}

#[test]
fn content_beyond_the_credit_is_a_breach_and_credit_makes_room() {
    let mut play = Play::new();
    play.link = Link::new(LinkSettings {
        initial_credit: 4,
        ..LinkSettings::default()
    });
    play.hand_in(1, open(true));
    play.event(1, asked(1));
    let push = |offset, length| {
        attach_request::Kind::Content(v1::Content {
            event_id: 1,
            offset,
            octets: Bytes::from(vec![b'x'; length]),
            ..Default::default()
        })
    };
    play.hand_in(1, push(0, 4));
    play.link.want_content(
        1,
        v1::WantContent {
            event_id: 1,
            credit_bytes: 2,
        },
    );
    play.hand_in(1, push(4, 2));
    assert_eq!(play.events().len(), 4);
    play.hand_in(1, push(6, 1));
    assert!(matches!(
        play.events().pop(),
        Some(LinkEvent::Broken {
            detail: "content beyond the credit",
            ..
        })
    ));
}

#[test]
fn a_stream_that_is_left_ends_a_while_after_its_last_instance() {
    let mut play = Play::new();
    play.hand_in(1, open(true));
    play.link.go_away(
        play.now,
        Some(Duration::from_secs(9)),
        "the sink shuts down",
    );
    play.link.go_away(play.now, None, "again");
    assert!(
        matches!(&play.sent()[..], [attach_response::Kind::GoAway(away)] if away.drain.unwrap().seconds == 9)
    );
    assert_eq!(play.link.poll_timeout(), None);
    play.hand_in(1, attach_request::Kind::CloseInstance(v1::Close::default()));
    let due = play.link.poll_timeout().unwrap();
    assert_eq!(due, play.now + Duration::from_secs(1));
    // An instance that was on its way.
    play.hand_in(2, open(false));
    assert_eq!(play.link.poll_timeout(), None);
    play.hand_in(2, attach_request::Kind::CloseInstance(v1::Close::default()));
    play.now = play.link.poll_timeout().unwrap();
    play.link.handle_timeout(play.now);
    play.events();
    assert!(play.link.is_finished());
}

#[test]
fn heartbeats_go_back_as_they_came() {
    let mut play = Play::new();
    let heartbeat = v1::Heartbeat { sequence: 9 };
    play.hand_in(0, attach_request::Kind::Heartbeat(heartbeat));
    assert_eq!(play.sent(), [attach_response::Kind::Heartbeat(heartbeat)]);
}

proptest! {
    /// Whatever a gateway sends, the link neither panics nor answers an event twice.
    #[test]
    fn frames_in_any_order_are_survived(steps in prop::collection::vec((1..4_u64, 1..5_u64, 0..9_u8), 0..60)) {
        let mut play = Play::new();
        let mut answered = std::collections::HashSet::new();
        for (instance_id, event_id, step) in steps {
            match step {
                0 => play.hand_in(instance_id, open(event_id == 1)),
                1 => play.event(instance_id, asked(event_id)),
                2 => play.hand_in(instance_id, attach_request::Kind::EventPart(Box::new(asked(event_id)))),
                3 => play.hand_in(instance_id, attach_request::Kind::Cancel(v1::Cancel { event_id, reason: 1 })),
                4 => play.hand_in(instance_id, attach_request::Kind::CloseInstance(v1::Close::default())),
                5 => play.hand_in(instance_id, attach_request::Kind::SnapshotPart(Box::default())),
                6 => play.hand_in(instance_id, attach_request::Kind::Content(v1::Content { event_id, ..Default::default() })),
                7 => {
                    if play.link.verdict(play.now, instance_id, verdict(event_id)) {
                        // The numbers of instances are used again here, which a gateway does not do.
                        answered.insert((instance_id, event_id, play.link.instance_count()));
                    }
                }
                _ => play.link.go_away(play.now, None, "x"),
            }
            play.events();
            for frame in play.sent() {
                if let attach_response::Kind::Verdict(verdict) = frame {
                    prop_assert!(!play.link.is_open(instance_id, verdict.event_id));
                }
            }
        }
        play.link.handle_end();
        play.events();
        prop_assert!(play.link.is_finished());
    }
}
