//! Actions as verdicts of the wire.

use postern_proto::v1;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::edit::Kind as Edited;
use postern_proto::v1::event::Kind as Happened;

use crate::action::Action;
use crate::event::Known;
use crate::{routers, stores};

/// The verdict on `event`, for actions that have one.
pub(crate) fn verdict(action: &Action, event: &v1::Event, known: &Known) -> v1::Verdict {
    let mut verdict = v1::Verdict {
        event_id: event.event_id,
        decision: Some(v1::Decision {
            kind: Some(decision(action, event)),
        }),
        edits: edits(action, event, known)
            .into_iter()
            .map(|kind| v1::Edit { kind: Some(kind) })
            .collect(),
        ..Default::default()
    };
    let property = match action {
        Action::Property(key, value) => Some((v1::PropertyScope::Message, key, value)),
        Action::SessionProperty(key, value) => Some((v1::PropertyScope::Session, key, value)),
        _ => None,
    };
    if let Some((scope, key, value)) = property {
        verdict.properties.push(v1::PropertyEdit {
            scope: scope.into(),
            key: key.clone(),
            value: Some(v1::Value {
                kind: Some(v1::value::Kind::Text(value.clone())),
            }),
            ..Default::default()
        });
    }
    if let Action::Admit(kind) = action {
        let answer = v1::RcptAnswer {
            recipient_kind: (*kind).into(),
            ..Default::default()
        };
        verdict.answer = Some(Box::new(v1::Answer {
            kind: Some(v1::answer::Kind::Rcpt(answer)),
        }));
    }
    match action {
        Action::Around(around) => verdict.answer = Some(Box::new(around.answer())),
        Action::Taken(taken) => verdict.answer = Some(Box::new(taken.answer())),
        _ => {}
    }
    if let Some(kind) = expanded(action, event) {
        let asked = match &event.kind {
            Some(Happened::TransportCategorize(own)) => own.recipient_ids.first().cloned(),
            Some(Happened::TransportExpand(own)) => Some(own.recipient_id.clone()),
            _ => None,
        };
        let answer = v1::ExpansionAnswer {
            expansions: vec![v1::Expansion {
                recipient_id: asked.unwrap_or_default(),
                kind: Some(kind),
            }],
        };
        verdict.answer = Some(Box::new(v1::Answer {
            kind: Some(v1::answer::Kind::Expansion(answer)),
        }));
    }
    if let Action::Reply(code, text) = action {
        let answer = v1::ResponseAnswer {
            reply: reply(*code, "", text),
            ..Default::default()
        };
        verdict.answer = Some(Box::new(v1::Answer {
            kind: Some(v1::answer::Kind::Response(answer)),
        }));
    }
    let answer = routers::answer(action, event);
    if let Some(kind) = answer.or_else(|| stores::answer(action, event, known)) {
        verdict.answer = Some(Box::new(v1::Answer { kind: Some(kind) }));
    }
    verdict
}

/// What a recipient stands for.
fn expanded(action: &Action, event: &v1::Event) -> Option<v1::expansion::Kind> {
    let members = |all: &[String]| all.iter().map(|one| added(one)).collect();
    Some(match action {
        Action::Members(all, owner) => v1::expansion::Kind::Members(v1::Members {
            recipients: members(all),
            reverse_path: owner.clone().map(Into::into),
            ..Default::default()
        }),
        Action::Pages(all) => {
            let page = match &event.kind {
                Some(Happened::TransportExpand(own)) => String::from_utf8_lossy(&own.page_token),
                _ => return None,
            };
            let page: usize = page.parse().unwrap_or(0);
            let next = page + 1;
            v1::expansion::Kind::Members(v1::Members {
                recipients: members(all.get(page..next).unwrap_or_default()),
                next_page_token: match next < all.len() {
                    true => next.to_string().into(),
                    false => Default::default(),
                },
                ..Default::default()
            })
        }
        Action::Final(address) => v1::expansion::Kind::FinalAddress(v1::FinalAddress {
            address: address.clone().into(),
            ..Default::default()
        }),
        Action::Unknown => v1::expansion::Kind::Unknown(v1::NoSuchRecipient {
            reply: reply(550, "5.1.1", "the sink knows nobody of that name"),
        }),
        _ => return None,
    })
}

pub(crate) fn reply(code: u32, enhanced: &'static str, text: &str) -> Option<v1::Reply> {
    Some(v1::Reply {
        code,
        enhanced_code: enhanced.into(),
        lines: vec![text.to_owned().into()],
        without_enhanced_code: false,
    })
}

fn decision(action: &Action, event: &v1::Event) -> Decided {
    match action {
        Action::Reject => Decided::Reject(v1::Reject {
            reply: reply(550, "5.7.1", "the sink objects"),
        }),
        Action::TempfailBefore(attempt) if event.attempt >= *attempt => {
            Decided::Proceed(v1::Proceed {})
        }
        Action::StoreFrom(attempt) if event.attempt >= *attempt => Decided::Proceed(v1::Proceed {}),
        Action::Tempfail | Action::TempfailBefore(_) | Action::StoreFrom(_) => {
            Decided::Tempfail(v1::Tempfail {
                reply: reply(451, "4.7.1", "the sink is not sure"),
            })
        }
        Action::Contradiction => Decided::Reject(v1::Reject {
            reply: reply(250, "2.0.0", "yes and no"),
        }),
        Action::Injection => Decided::Reject(v1::Reject {
            reply: reply(550, "5.7.1", "no\r\n250 2.0.0 yes"),
        }),
        Action::Discard => Decided::Discard(v1::Discard {}),
        Action::Quarantine => Decided::Quarantine(v1::Quarantine {
            reason: "odd".to_owned(),
        }),
        Action::Hold => Decided::Hold(v1::Hold {
            reason: "later".to_owned(),
            at_most: None,
        }),
        Action::Postpone(seconds) => Decided::Postpone(v1::Postpone {
            wait: Some(prost_types::Duration {
                seconds: i64::from(*seconds),
                nanos: 0,
            }),
        }),
        Action::Disconnect => Decided::Disconnect(v1::Disconnect {
            reply: reply(421, "4.7.0", "the sink hangs up"),
        }),
        Action::Finish => Decided::Finish(v1::Finish {
            scope: v1::FinishScope::Event.into(),
        }),
        Action::FinishMessage => Decided::Finish(v1::Finish {
            scope: v1::FinishScope::Message.into(),
        }),
        Action::Respond(code, text) => Decided::Respond(v1::Respond {
            reply: reply(*code, "", text),
        }),
        _ => Decided::Proceed(v1::Proceed {}),
    }
}

fn edits(action: &Action, event: &v1::Event, known: &Known) -> Vec<Edited> {
    let recipients = || recipients(event, known);
    match action {
        Action::AddHeader(name) => vec![Edited::InsertHeader(v1::InsertHeader {
            place: Some(v1::HeaderPlace {
                kind: Some(v1::header_place::Kind::First(v1::FirstPlace {})),
            }),
            name: name.clone().into(),
            value: "seen".into(),
        })],
        Action::Splice(text) => vec![Edited::SpliceBody(v1::SpliceBody {
            offset: 0,
            remove_bytes: 0,
            insert: Some(v1::Data {
                kind: Some(v1::data::Kind::Literal(format!("{text}\r\n").into())),
            }),
        })],
        Action::SetSender(address) => vec![Edited::SetSender(v1::SetSender {
            reverse_path: address.clone().into(),
        })],
        Action::AddRecipient(address) => vec![Edited::AddRecipient(Box::new(added(address)))],
        Action::RemoveRecipient(part) => recipients()
            .into_iter()
            .filter(|r| String::from_utf8_lossy(&r.address).contains(part))
            .map(|r| {
                Edited::RemoveRecipient(v1::RemoveRecipient {
                    recipient_id: r.recipient_id,
                })
            })
            .collect(),
        Action::RewriteRecipient(address) => recipients()
            .into_iter()
            .take(1)
            .map(|r| {
                Edited::RewriteRecipient(v1::RewriteRecipient {
                    recipient_id: r.recipient_id,
                    address: address.clone().into(),
                })
            })
            .collect(),
        Action::ReplaceRecipients(address) => vec![
            Edited::RetainRecipients(v1::RetainRecipients::default()),
            Edited::AddRecipient(Box::new(added(address))),
        ],
        Action::SetHeader(name, value) => vec![Edited::SetHeader(v1::SetHeader {
            name: name.clone().into(),
            value: value.clone().into(),
            ..Default::default()
        })],
        Action::RemoveHeaders(name) => vec![Edited::RemoveHeaders(v1::RemoveHeaders {
            name: name.clone().into(),
        })],
        _ => Vec::new(),
    }
}

fn added(address: &str) -> v1::AddRecipient {
    v1::AddRecipient {
        address: address.to_owned().into(),
        ..Default::default()
    }
}

/// The one asked about, else all that are known.
fn recipients(event: &v1::Event, known: &Known) -> Vec<v1::Recipient> {
    match &event.kind {
        Some(Happened::InboundRcpt(rcpt)) => rcpt.recipient.iter().cloned().collect(),
        _ => known.recipients.clone(),
    }
}
