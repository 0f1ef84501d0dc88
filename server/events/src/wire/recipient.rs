//! Recipients.

use bytes::Bytes;
use postern_message::{Notify, Recipient, RecipientState, Status};
use postern_proto::v1 as pb;
use postern_smtp::address::ForwardPath;

use super::session::parameters;
use super::{View, id};
use crate::context::{Piece, RawParameter};

/// One recipient, whole, as this binding may see it. `raw` are all parameters of its RCPT where they are known.
pub(crate) fn recipient(
    recipient: &Recipient,
    state: pb::RecipientState,
    raw: &[RawParameter],
    piece: Option<&Piece>,
    view: &View<'_>,
) -> pb::Recipient {
    let least = pb::Recipient {
        recipient_id: id(recipient.id.as_bytes()),
        state: state.into(),
        properties: view.properties(&recipient.properties),
        ..pb::Recipient::default()
    };
    if !view.reads.recipients {
        return least;
    }
    let (attempts, last) = match &recipient.state {
        RecipientState::Pending { attempts, last, .. } => (*attempts, last.as_ref()),
        RecipientState::Delivered(status)
        | RecipientState::Relayed(status)
        | RecipientState::Failed(status)
        | RecipientState::Expired(status)
        | RecipientState::Discarded(status)
        | RecipientState::Expanded(status) => (0, Some(status)),
    };
    let hop = piece.and_then(|piece| piece.orders.handling.hops(recipient.id).first());
    pb::Recipient {
        address: address(&recipient.address),
        given_address: recipient.given.as_ref().map(address).unwrap_or_default(),
        original_recipient: recipient
            .orcpt
            .as_deref()
            .map(from_xtext)
            .unwrap_or_default(),
        notify: recipient.notify.map(notifications).unwrap_or_default(),
        parameters: if raw.is_empty() {
            parameters(&known_parameters(recipient))
        } else {
            parameters(raw)
        },
        last_reply: last.and_then(status_reply),
        attempt_count: attempts,
        parent_recipient_id: recipient
            .parent
            .map(|parent| id(parent.as_bytes()))
            .unwrap_or_default(),
        failure_origin: match &recipient.state {
            RecipientState::Expired(_) => pb::FailureOrigin::Expiry,
            RecipientState::Failed(status) if status.remote.is_some() => pb::FailureOrigin::Remote,
            _ => pb::FailureOrigin::Unspecified,
        }
        .into(),
        tenant: recipient.tenant.clone(),
        deliver: hop.map(|hop| hop.deliver.clone()).unwrap_or_default(),
        ..least
    }
}

/// The parameters that are kept with a recipient, as its RCPT would say them.
fn known_parameters(recipient: &Recipient) -> Vec<RawParameter> {
    let mut all = Vec::new();
    if let Some(notify) = recipient.notify {
        let words: &[&str] = if notify == Notify::NEVER {
            &["NEVER"]
        } else {
            &[]
        };
        let mut words = words.to_vec();
        for (wanted, word) in [
            (notify.success, "SUCCESS"),
            (notify.failure, "FAILURE"),
            (notify.delay, "DELAY"),
        ] {
            if wanted {
                words.push(word);
            }
        }
        let value = Bytes::from(words.join(","));
        all.push((Bytes::from_static(b"NOTIFY"), Some(value)));
    }
    if let Some(orcpt) = &recipient.orcpt {
        all.push((Bytes::from_static(b"ORCPT"), Some(orcpt.clone())));
    }
    all.extend(recipient.parameters.iter().cloned());
    all
}

/// Where a recipient in transport stands.
pub(crate) const fn standing(state: &RecipientState) -> pb::RecipientState {
    match state {
        RecipientState::Pending { .. } => pb::RecipientState::Accepted,
        RecipientState::Delivered(_) | RecipientState::Relayed(_) => pb::RecipientState::Delivered,
        RecipientState::Failed(_) | RecipientState::Expired(_) => pb::RecipientState::Failed,
        RecipientState::Discarded(_) => pb::RecipientState::Discarded,
        RecipientState::Expanded(_) => pb::RecipientState::Expanded,
    }
}

fn status_reply(status: &Status) -> Option<pb::Reply> {
    Some(pb::Reply {
        code: u32::from(status.code?),
        enhanced_code: status
            .enhanced
            .map(|(class, subject, detail)| format!("{class}.{subject}.{detail}").into())
            .unwrap_or_default(),
        lines: status
            .text
            .lines()
            .map(|line| Bytes::copy_from_slice(line.as_bytes()))
            .collect(),
        without_enhanced_code: false,
    })
}

/// An address without angle brackets.
pub(crate) fn address(path: &ForwardPath) -> Bytes {
    match path {
        ForwardPath::Postmaster => Bytes::from_static(b"postmaster"),
        ForwardPath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
    }
}

/// An address without angle brackets, as text.
pub(crate) fn path(path: &ForwardPath) -> &str {
    match path {
        ForwardPath::Postmaster => "postmaster",
        ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
    }
}

/// When the sender wants a notification.
fn notifications(notify: Notify) -> Vec<i32> {
    if notify == Notify::NEVER {
        return vec![pb::Notify::Never.into()];
    }
    let of = |wanted: bool, kind: pb::Notify| wanted.then(|| kind.into());
    [
        of(notify.success, pb::Notify::Success),
        of(notify.failure, pb::Notify::Failure),
        of(notify.delay, pb::Notify::Delay),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// xtext decoded (RFC 3461, section 4). What is not well-formed stays as it is.
pub(crate) fn from_xtext(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, tail)) = rest.split_first() {
        // A sign, which numbers may have, is no digit.
        let hex = tail
            .get(..2)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .and_then(|pair| std::str::from_utf8(pair).ok());
        match hex.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(decoded) if octet == b'+' => {
                out.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(octet);
                rest = tail;
            }
        }
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests;
