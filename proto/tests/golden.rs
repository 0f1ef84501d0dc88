//! Encoded messages of each release, kept as files: what was written once must be read for ever.
//!
//! A file is never changed. After an addition to the protocol a new one is written with
//! `POSTERN_WRITE_GOLDEN=1 cargo test -p postern-proto`, which makes only those that are missing.

#![allow(clippy::unwrap_used)]

use std::{env, fmt::Debug, fs, path::PathBuf};

use bytes::Bytes;
use postern_proto::v1::{self, attach_request, attach_response};
use prost::Message;

fn golden<M: Message + Default + PartialEq + Debug>(name: &str, expected: &M) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if env::var_os("POSTERN_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::write(&path, expected.encode_to_vec()).unwrap();
    }
    let stored = fs::read(&path).unwrap();
    assert_eq!(
        &M::decode(stored.as_slice()).unwrap(),
        expected,
        "{name} is read otherwise than it was meant"
    );
    assert_eq!(
        expected.encode_to_vec(),
        stored,
        "{name} would be written otherwise"
    );
}

fn id(last: u8) -> Bytes {
    let mut octets = [
        0x01, 0x9a, 0x8f, 0x10, 0x20, 0x30, 0x70, 0x40, 0x80, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0,
    ];
    octets[15] = last;
    Bytes::copy_from_slice(&octets)
}

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

fn request(instance_id: u64, kind: attach_request::Kind) -> v1::AttachRequest {
    v1::AttachRequest {
        instance_id,
        kind: Some(kind),
    }
}

#[test]
fn an_instance_is_opened() {
    let open = v1::Open {
        protocol_version: 1,
        scope: v1::Scope::InboundSession.into(),
        binding_revision: 3,
        binding: Some(Box::new(v1::Binding {
            name: "stamp".into(),
            sink: "stamp".into(),
            events: vec![
                v1::EventInterest {
                    event: v1::EventKind::InboundMail.into(),
                    ask: v1::AskMode::AtRcpt.into(),
                    ..Default::default()
                },
                v1::EventInterest {
                    event: v1::EventKind::InboundMessage.into(),
                    body: Some(v1::BodyDepth {
                        kind: Some(v1::body_depth::Kind::Prefix(v1::BodyPrefix {
                            size_bytes: 65536,
                        })),
                    }),
                    ..Default::default()
                },
            ],
            rule: "MAIL FROM=*@example.test".into(),
            condition: "message.size < 1024".into(),
            priority: 16000,
            mode: v1::BindingMode::Enforce.into(),
            reads: vec!["headers:Subject".into()],
            grants: vec!["headers:X-*".into()],
            properties_json: Bytes::from_static(br#"{"prefix":"X-Postern"}"#),
            on_failure: vec![v1::FailureRule {
                events: "message".into(),
                fault: "timeout".into(),
                policy: "hold".into(),
            }],
            sample: 0.5,
            ..Default::default()
        })),
        limits: Some(Box::new(v1::Limits {
            frame_bytes: 1 << 20,
            verdict_bytes: 16 << 20,
            message_bytes: 25 << 20,
            chunk_bytes: 1 << 18,
            ..Default::default()
        })),
        snapshot: Some(Box::new(v1::Snapshot {
            session: Some(v1::Session {
                session_id: id(1),
                server: "inbound".into(),
                client: Some(v1::Client {
                    address: "192.0.2.1".into(),
                    port: 40000,
                    ..Default::default()
                }),
                may_relay: true,
                ..Default::default()
            }),
            recipients: vec![v1::Recipient {
                recipient_id: id(4),
                address: Bytes::from_static(b"a@example.test"),
                state: v1::RecipientState::Accepted.into(),
                ..Default::default()
            }],
            ..Default::default()
        })),
        features: vec!["parts".into(), "settled".into()],
        gateway_id: id(5),
        spool_id: id(6),
        trace_parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
        ..Default::default()
    };
    golden(
        "1-open.binpb",
        &request(7, attach_request::Kind::OpenInstance(Box::new(open))),
    );
}

#[test]
fn a_recipient_is_asked_about() {
    let rcpt = v1::InboundRcpt {
        command: Some(v1::Command {
            verb: Bytes::from_static(b"RCPT"),
            line: Bytes::from_static(b"RCPT TO:<b\xc3\xa9@example.test> NOTIFY=NEVER"),
            pipelined: true,
        }),
        recipient: Some(v1::Recipient {
            recipient_id: id(2),
            address: Bytes::from_static(b"b\xc3\xa9@example.test"),
            state: v1::RecipientState::Pending.into(),
            notify: vec![v1::Notify::Never.into()],
            ..Default::default()
        }),
        recipient_kind: v1::RecipientKind::Hosted.into(),
        group_position: 1,
        group_size: 2,
        ..Default::default()
    };
    let event = v1::Event {
        event_id: 4,
        deadline: seconds(5),
        ask_reason: v1::AskReason::Happened.into(),
        message_ended: true,
        transaction: Some(Box::new(v1::Transaction {
            transaction_id: id(7),
            ..Default::default()
        })),
        recipients: Some(v1::RecipientsUpdate {
            replaces_all: true,
            ..Default::default()
        }),
        attributes: vec![v1::NamedValue {
            name: "country".into(),
            value: Some(v1::Value {
                kind: Some(v1::value::Kind::Text("NL".into())),
            }),
        }],
        conduct: Some(v1::Conduct {
            command_count: 3,
            talked_early: true,
            ..Default::default()
        }),
        kind: Some(v1::event::Kind::InboundRcpt(Box::new(rcpt))),
        ..Default::default()
    };
    golden(
        "1-event-rcpt.binpb",
        &request(7, attach_request::Kind::Event(Box::new(event))),
    );
}

#[test]
fn content_ends() {
    let content = v1::Content {
        event_id: 5,
        offset: 9,
        octets: Bytes::from_static(b"not text: \xff\0\r\n"),
        ended: Some(Box::new(v1::ContentEnd {
            state: v1::ContentState::Complete.into(),
            body_size_bytes: 23,
            size_bytes: 100,
            sha256: Bytes::from_static(&[0xab; 32]),
            body_sha256: Bytes::from_static(&[0xcd; 32]),
        })),
        read_id: 0,
    };
    golden(
        "1-content-end.binpb",
        &request(7, attach_request::Kind::Content(content)),
    );
}

#[test]
fn a_verdict_edits_and_forks() {
    let header = v1::InsertHeader {
        place: Some(v1::HeaderPlace {
            kind: Some(v1::header_place::Kind::First(v1::FirstPlace {})),
        }),
        name: Bytes::from_static(b"X-Checked"),
        value: Bytes::from_static(b"yes"),
    };
    let splice = v1::SpliceBody {
        offset: 10,
        remove_bytes: 2,
        insert: Some(v1::Data {
            kind: Some(v1::data::Kind::Literal(Bytes::from_static(b"footer\r\n"))),
        }),
    };
    let verdict = v1::Verdict {
        event_id: 5,
        decision: Some(v1::Decision {
            kind: Some(v1::decision::Kind::Proceed(v1::Proceed {})),
        }),
        edits: vec![
            v1::Edit {
                kind: Some(v1::edit::Kind::InsertHeader(header)),
            },
            v1::Edit {
                kind: Some(v1::edit::Kind::SpliceBody(splice)),
            },
        ],
        properties: vec![v1::PropertyEdit {
            scope: v1::PropertyScope::Message.into(),
            key: "score".into(),
            value: Some(v1::Value {
                kind: Some(v1::value::Kind::Integer(-7)),
            }),
            ..Default::default()
        }],
        reason_code: "clean".into(),
        delay: seconds(1),
        recipients: vec![v1::RecipientDecision {
            recipient_ids: vec![id(2)],
            decision: Some(v1::Decision {
                kind: Some(v1::decision::Kind::Reject(v1::Reject {
                    reply: Some(v1::Reply {
                        code: 550,
                        enhanced_code: Bytes::from_static(b"5.7.1"),
                        lines: vec![Bytes::from_static(b"Not for you")],
                        without_enhanced_code: true,
                    }),
                })),
            }),
        }],
        forks: vec![v1::Fork {
            recipient_ids: vec![id(3)],
            edits: vec![v1::Edit {
                kind: Some(v1::edit::Kind::RemoveHeader(v1::RemoveHeader {
                    header_id: 12,
                })),
            }],
            properties: Vec::new(),
        }],
        ..Default::default()
    };
    let response = v1::AttachResponse {
        instance_id: 7,
        kind: Some(attach_response::Kind::Verdict(Box::new(verdict))),
    };
    golden("1-verdict.binpb", &response);
}

#[test]
fn a_sink_describes_itself() {
    let description = v1::DescribeResponse {
        name: "stamp".into(),
        version: "0.1.0".into(),
        summary: "Adds trace headers.".into(),
        protocol_version: 1,
        events: vec![v1::EventInterest {
            event: v1::EventKind::InboundMessage.into(),
            body: Some(v1::BodyDepth {
                kind: Some(v1::body_depth::Kind::Full(v1::FullBody {})),
            }),
            ask: v1::AskMode::AtOnce.into(),
        }],
        features: vec!["parts".into()],
        grants: vec!["headers:X-*".into()],
        properties_schema: Bytes::from_static(b"{}"),
        instances_per_stream: 1000,
        ..Default::default()
    };
    golden("1-describe.binpb", &description);
}

#[test]
fn a_message_is_told_of() {
    let result = v1::DeliveryResult {
        summary: Some(v1::MessageSummary {
            message_id: id(8),
            server: "inbound".into(),
            origin: v1::Origin::Smtp.into(),
            recipient_count: 1,
            ..Default::default()
        }),
        recipients: vec![v1::RecipientResult {
            recipient_id: id(2),
            status: v1::DeliveryStatus::Failed.into(),
            failure_origin: v1::FailureOrigin::Remote.into(),
            attempt_count: 3,
            ..Default::default()
        }],
        ..Default::default()
    };
    let event = v1::Event {
        event_id: 1,
        kind: Some(v1::event::Kind::DeliveryResult(Box::new(result))),
        ..Default::default()
    };
    golden(
        "1-event-result.binpb",
        &request(9, attach_request::Kind::Event(Box::new(event))),
    );
}

#[test]
fn an_action_is_asked_for() {
    let action = v1::SinkAction {
        action_id: 1,
        idempotency_key: "release-1".into(),
        reason: "detonated without harm".into(),
        kind: Some(v1::sink_action::Kind::ChangeQueued(v1::ChangeQueued {
            message_ids: vec![id(8)],
            change: Some(v1::change_queued::Change::ReleaseQueued(
                v1::ReleaseQueued {},
            )),
            ..Default::default()
        })),
    };
    let response = v1::AttachResponse {
        instance_id: 9,
        kind: Some(attach_response::Kind::Action(Box::new(action))),
    };
    golden("1-action.binpb", &response);
}

#[test]
fn an_unknown_decision_is_no_decision() {
    // Field 99 of Decision, a message: what a newer sink might send.
    let unknown: &[u8] = &[0x9a, 0x06, 0x00];
    assert_eq!(
        v1::Decision::decode(unknown).unwrap(),
        v1::Decision { kind: None }
    );
}

#[test]
fn the_descriptors_name_the_service() {
    let set = prost_types::FileDescriptorSet::decode(postern_proto::FILE_DESCRIPTOR_SET).unwrap();
    let services: Vec<_> = set.file.iter().flat_map(|file| &file.service).collect();
    assert_eq!(services.len(), 1);
    assert_eq!(services[0].name(), "EventSink");
    assert_eq!(services[0].method.len(), 2);
}
