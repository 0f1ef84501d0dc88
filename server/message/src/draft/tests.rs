#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use postern_smtp::address::ReversePath;

use super::*;
use crate::{EditError, RecipientState, Status};

fn path(address: &str) -> ForwardPath {
    ForwardPath::parse(format!("<{address}>").as_bytes(), true).unwrap()
}

fn draft(addresses: &[&str]) -> Draft {
    let sender = ReversePath::parse(b"<a@example.test>", false).unwrap();
    Draft {
        envelope: Envelope::new(sender),
        recipients: addresses.iter().map(|a| Recipient::new(path(a))).collect(),
        properties: Properties::new(),
        session_properties: Properties::new(),
        version: None,
    }
}

fn add(address: &str) -> NewRecipient {
    NewRecipient {
        address: path(address),
        orcpt: Some(Bytes::from_static(b"rfc822;x")),
        notify: None,
    }
}

fn apply(draft: &Draft, edits: &[Edit]) -> Result<Draft, EditError> {
    draft.apply("sink", edits, &EditLimits::default())
}

fn addresses(draft: &Draft) -> Vec<String> {
    let recipients = draft.recipients.iter();
    recipients.map(|r| r.address.to_string()).collect()
}

#[test]
fn recipients_are_added_removed_and_rewritten() {
    let before = draft(&["a@x.test", "b@x.test", "c@x.test"]);
    let [a, b, c] = [0, 1, 2].map(|n: usize| before.recipients[n].id);
    let after = apply(
        &before,
        &[
            Edit::AddRecipient(add("d@x.test")),
            Edit::RemoveRecipient { id: a },
            Edit::RewriteRecipient {
                id: b,
                address: path("B@y.test"),
            },
            Edit::AddRecipient(add("\"c\"@X.test")),
        ],
    )
    .unwrap();
    assert_eq!(
        addresses(&after),
        ["<B@y.test>", "<c@x.test>", "<d@x.test>"]
    );
    assert_eq!(after.recipients[0].id, b);
    assert_eq!(after.recipients[1].id, c);
    assert_eq!(after.recipients[2].orcpt.as_deref(), Some(&b"rfc822;x"[..]));
}

#[test]
fn the_list_is_replaced_but_who_is_done_stays() {
    let mut before = draft(&["a@x.test", "b@x.test"]);
    before.recipients[0].state = RecipientState::Relayed(Status {
        at: std::time::SystemTime::UNIX_EPOCH,
        code: None,
        enhanced: None,
        text: String::new(),
        remote: None,
    });
    let list = Edit::ReplaceRecipients {
        recipients: vec![add("n@x.test"), add("n@x.test")],
    };
    let after = apply(&before, std::slice::from_ref(&list)).unwrap();
    assert_eq!(addresses(&after), ["<a@x.test>", "<n@x.test>"]);
    let done = before.recipients[0].id;
    assert_eq!(
        apply(&before, &[Edit::RemoveRecipient { id: done }]),
        Err(EditError::RecipientDone { id: done })
    );
    for edits in [
        vec![list.clone(), list.clone()],
        vec![list.clone(), Edit::AddRecipient(add("z@x.test"))],
        vec![Edit::AddRecipient(add("z@x.test")), list.clone()],
    ] {
        assert_eq!(apply(&before, &edits), Err(EditError::ListTwice));
    }
}

#[test]
fn one_bad_edit_refuses_all() {
    let before = draft(&["a@x.test"]);
    let id = before.recipients[0].id;
    let stranger = RecipientId::new();
    let good = Edit::SetProperty {
        scope: PropertyScope::Message,
        key: "k".to_owned(),
        value: Some(Value::Int(1)),
    };
    let sender = Edit::SetSender {
        sender: ReversePath::Null,
    };
    let cases = [
        (
            Edit::RemoveRecipient { id: stranger },
            EditError::UnknownRecipient { id: stranger },
        ),
        (
            Edit::SetProperty {
                scope: PropertyScope::Recipient(stranger),
                key: "k".to_owned(),
                value: None,
            },
            EditError::UnknownRecipient { id: stranger },
        ),
        (
            Edit::ReplaceBody { body: Bytes::new() },
            EditError::NoContent,
        ),
        (Edit::AddRecipient(add("é@x.test")), EditError::NotAscii),
        (
            Edit::RewriteRecipient {
                id,
                address: path("é@x.test"),
            },
            EditError::NotAscii,
        ),
        (
            Edit::SetSender {
                sender: ReversePath::parse("<é@x.test>".as_bytes(), true).unwrap(),
            },
            EditError::NotAscii,
        ),
    ];
    for (bad, error) in cases {
        assert_eq!(apply(&before, &[good.clone(), bad]), Err(error));
    }
    let twice = [sender.clone(), sender.clone()];
    assert_eq!(apply(&before, &twice), Err(EditError::SenderTwice));
    let twice = [
        Edit::RemoveRecipient { id },
        Edit::RewriteRecipient {
            id,
            address: path("b@x.test"),
        },
    ];
    assert_eq!(
        apply(&before, &twice),
        Err(EditError::RecipientTwice { id })
    );
    let after = apply(&before, &[good, sender]).unwrap();
    assert_eq!(after.envelope.sender, ReversePath::Null);
    assert_eq!(after.properties.value("sink", "k"), Some(&Value::Int(1)));
    assert_eq!(before.properties.len(), 0);
}

#[test]
fn recipients_have_a_limit() {
    let before = draft(&["a@x.test", "b@x.test"]);
    let limits = EditLimits {
        recipients: 2,
        ..EditLimits::default()
    };
    let more = [Edit::AddRecipient(add("c@x.test"))];
    assert!(matches!(
        before.apply("sink", &more, &limits),
        Err(EditError::OverLimit {
            what: "recipients",
            value: 3,
            limit: 2
        })
    ));
}

#[test]
fn as_many_edits_as_there_may_be_find_their_recipients() {
    let addresses: Vec<_> = (0..10_000).map(|n| format!("r{n}@x.test")).collect();
    let draft = draft(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let rewrites = draft.recipients.iter().rev().take(5000);
    let marks = draft.recipients.iter().rev().skip(5000);
    let edits: Vec<_> = rewrites
        .map(|found| Edit::RemoveRecipient { id: found.id })
        .chain(marks.map(|found| Edit::SetProperty {
            scope: PropertyScope::Recipient(found.id),
            key: "k".to_owned(),
            value: Some(Value::Bool(true)),
        }))
        .collect();
    let next = apply(&draft, &edits).unwrap();
    assert_eq!(next.recipients.len(), 5000);
    assert!(next.recipients.iter().all(|r| r.properties.len() == 1));
}
