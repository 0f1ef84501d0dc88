#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use postern_smtp::address::ReversePath;

use postern_smtp::address::ForwardPath;

use super::*;
use crate::{Duplicates, EditError, NewRecipient, RecipientId, RecipientState, Status};

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
        orcpt: Some(Bytes::from_static(b"rfc822;x")),
        ..NewRecipient::new(path(address))
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
    let list = [
        Edit::RetainRecipients { ids: Vec::new() },
        Edit::AddRecipient(add("n@x.test")),
        Edit::AddRecipient(add("n@x.test")),
    ];
    let after = apply(&before, &list).unwrap();
    assert_eq!(addresses(&after), ["<a@x.test>", "<n@x.test>"]);
    let done = before.recipients[0].id;
    assert_eq!(
        apply(&before, &[Edit::RemoveRecipient { id: done }]),
        Err(EditError::RecipientDone { id: done })
    );
}

#[test]
fn who_is_retained_stays_as_it_is_and_one_must_be_left() {
    let mut before = draft(&["a@x.test", "b@x.test", "c@x.test"]);
    let [a, b, c] = [0, 1, 2].map(|n: usize| before.recipients[n].id);
    before.recipients[1].notify = Some(crate::Notify::NEVER);
    let retain = |ids: &[RecipientId]| Edit::RetainRecipients { ids: ids.to_vec() };
    let after = apply(&before, &[retain(&[b])]).unwrap();
    assert_eq!(after.recipients, [before.recipients[1].clone()]);
    // Two lists add up to what is in both.
    let after = apply(&before, &[retain(&[a, b]), retain(&[b])]).unwrap();
    assert_eq!(addresses(&after), ["<b@x.test>"]);
    assert_eq!(apply(&before, &[retain(&[])]), Err(EditError::NoRecipients));
    let all = [a, b, c].map(|id| Edit::RemoveRecipient { id });
    assert_eq!(apply(&before, &all), Err(EditError::NoRecipients));
    let id = RecipientId::new();
    assert_eq!(
        apply(&before, &[retain(&[id])]),
        Err(EditError::UnknownRecipient { id })
    );
}

#[test]
fn what_was_given_is_kept_by_every_edit() {
    let before = draft(&["a@x.test"]);
    let id = before.recipients[0].id;
    let rewrite = |to| Edit::RewriteRecipient {
        id,
        address: path(to),
    };
    let sender = |to: &[u8]| Edit::SetSender {
        sender: ReversePath::parse(to, false).unwrap(),
    };
    let once = apply(&before, &[rewrite("b@x.test"), sender(b"<s@x.test>")]).unwrap();
    let twice = apply(&once, &[rewrite("c@x.test"), sender(b"<>")]).unwrap();
    assert_eq!(addresses(&twice), ["<c@x.test>"]);
    assert_eq!(twice.recipients[0].given_address(), &path("a@x.test"));
    let given = twice.envelope.given.unwrap();
    assert_eq!(given.to_string(), "<a@example.test>");
}

#[test]
fn duplicates_are_skipped_replaced_or_refused() {
    let mut before = draft(&["a@x.test", "b@x.test"]);
    before.recipients[1].notify = Some(crate::Notify::NEVER);
    before.recipients[1].tenant = "t".to_owned();
    let [a, b] = [0, 1].map(|n: usize| before.recipients[n].id);
    let edit = |duplicates| {
        [Edit::AddRecipient(NewRecipient {
            duplicates,
            ..add("a@X.test")
        })]
    };
    assert_eq!(apply(&before, &edit(Duplicates::Skip)).unwrap(), before);
    let replaced = apply(&before, &edit(Duplicates::Replace)).unwrap();
    assert_eq!(replaced.recipients[0].id, a);
    assert!(replaced.recipients[0].orcpt.is_some());
    assert!(matches!(
        apply(&before, &edit(Duplicates::Refuse)),
        Err(EditError::Duplicate { .. })
    ));
    let copy = Edit::AddRecipient(NewRecipient {
        copy_from: Some(b),
        parent: Some(b),
        ..NewRecipient::new(path("n@x.test"))
    });
    let copied = apply(&before, &[copy]).unwrap();
    let new = copied.recipients.last().unwrap();
    assert_eq!(
        (new.notify, new.parent),
        (Some(crate::Notify::NEVER), Some(b))
    );
    assert_eq!(new.tenant, "t");
}

/// Notifications name the address that the sender used, and are sent as the sender asked, whatever a recipient was replaced by.
#[test]
fn who_comes_in_place_of_another_keeps_what_its_sender_asked_for() {
    let mut before = draft(&["a@x.test", "b@x.test"]);
    before.recipients[0].notify = Some(crate::Notify::NEVER);
    before.recipients[0].orcpt = Some(Bytes::from_static(b"rfc822;first@x.test"));
    let (a, given) = (before.recipients[0].id, path("a@x.test"));
    let add = |parent, copy_from| {
        Edit::AddRecipient(NewRecipient {
            parent,
            copy_from,
            ..NewRecipient::new(path("n@inside.test"))
        })
    };
    let replace = [
        vec![Edit::RemoveRecipient { id: a }],
        vec![Edit::RetainRecipients { ids: Vec::new() }],
        vec![],
    ];
    for gone in replace {
        let said = [
            add(Some(a), None),
            add(None, Some(a)),
            add(Some(a), Some(a)),
        ];
        // Who is said to come from nobody stands for who was removed.
        let unsaid = (!gone.is_empty()).then(|| add(None, None));
        for added in said.into_iter().chain(unsaid) {
            let edits: Vec<_> = gone.iter().cloned().chain([added]).collect();
            let after = apply(&before, &edits).unwrap();
            let new = after.recipients.last().unwrap();
            assert_eq!(new.notify, Some(crate::Notify::NEVER), "{edits:?}");
            assert_eq!(new.orcpt, before.recipients[0].orcpt, "{edits:?}");
            assert_eq!(new.given_address(), &given, "{edits:?}");
            // And what comes of that one in turn.
            let again = Edit::RewriteRecipient {
                id: new.id,
                address: path("o@inside.test"),
            };
            let after = apply(&after, &[again]).unwrap();
            assert_eq!(after.recipients.last().unwrap().given_address(), &given);
        }
    }
}

#[test]
fn parameters_are_set_where_they_belong() {
    let before = draft(&["a@x.test"]);
    let id = before.recipients[0].id;
    let set = |of, parameter| Edit::SetParameter { of, parameter };
    let other = |value| ParameterEdit::Other {
        keyword: Bytes::from_static(b"X-A"),
        value,
    };
    let value = Some(Bytes::from_static(b"1"));
    let edits = [
        set(None, ParameterEdit::Envid(value.clone())),
        set(None, other(Some(value.clone()))),
        set(Some(id), ParameterEdit::Notify(Some(crate::Notify::NEVER))),
        set(Some(id), other(Some(None))),
    ];
    let after = apply(&before, &edits).unwrap();
    assert_eq!(after.envelope.envid, value);
    assert_eq!(after.envelope.parameters.len(), 1);
    assert_eq!(after.recipients[0].parameters.len(), 1);
    let gone = apply(
        &after,
        &[set(Some(id), other(None)), set(None, other(None))],
    )
    .unwrap();
    assert!(gone.recipients[0].parameters.is_empty());
    assert!(gone.envelope.parameters.is_empty());
    for wrong in [
        set(None, ParameterEdit::Notify(None)),
        set(Some(id), ParameterEdit::Ret(None)),
    ] {
        assert_eq!(apply(&before, &[wrong]), Err(EditError::Parameter));
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
        lifetime: Lifetime::Kept,
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
                lifetime: Lifetime::Kept,
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
            lifetime: Lifetime::Kept,
        }))
        .collect();
    let next = apply(&draft, &edits).unwrap();
    assert_eq!(next.recipients.len(), 5000);
    assert!(next.recipients.iter().all(|r| r.properties.len() == 1));
}
