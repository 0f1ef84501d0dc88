//! Envelope, recipients, header fields and the message in transport.

use bytes::Bytes;
use postern_message::{
    BodyKind, Draft, Envelope, HeaderField, Message, Notify, Origin, Recipient, RecipientState,
    Return, Version,
};
use postern_proto::v1 as pb;
use postern_smtp::address::{ForwardPath, ReversePath};

use super::{View, id, moment};
use crate::session::RawParameter;

/// Recipients in one frame; longer lists are paged.
const PAGE: usize = 1000;

/// The running transaction: its envelope and these recipients.
pub(crate) fn transaction(
    message_id: &[u8; 16],
    number: u32,
    draft: &Draft,
    parameters: &[RawParameter],
    recipients: Vec<pb::Recipient>,
    view: View<'_>,
) -> pb::Transaction {
    let reads = &view.binding.reads;
    pb::Transaction {
        transaction_id: id(message_id),
        envelope: reads.sender.then(|| envelope(&draft.envelope, parameters)),
        recipients,
        properties: view.properties(&draft.properties),
        transaction_number: number,
    }
}

/// What MAIL said.
pub(super) fn envelope(envelope: &Envelope, parameters: &[RawParameter]) -> pb::Envelope {
    let body = match envelope.body {
        BodyKind::SevenBit => pb::BodyKind::SevenBit,
        BodyKind::EightBitMime => pb::BodyKind::EightBitMime,
        BodyKind::BinaryMime => pb::BodyKind::BinaryMime,
    };
    let return_content = match envelope.ret {
        None => pb::ReturnContent::Unspecified,
        Some(Return::Full) => pb::ReturnContent::Full,
        Some(Return::Headers) => pb::ReturnContent::Headers,
    };
    pb::Envelope {
        reverse_path: match &envelope.sender {
            ReversePath::Null => Bytes::new(),
            ReversePath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
        },
        smtp_utf8: envelope.smtp_utf8,
        body: body.into(),
        declared_size_bytes: envelope.declared_size,
        return_content: return_content.into(),
        envelope_id: envelope
            .envid
            .as_deref()
            .map(from_xtext)
            .unwrap_or_default(),
        parameters: raw_parameters(if parameters.is_empty() {
            &envelope.parameters
        } else {
            parameters
        }),
    }
}

/// One recipient, as this binding may see it.
pub(crate) fn recipient(
    recipient: &Recipient,
    state: pb::RecipientState,
    parameters: &[RawParameter],
    view: View<'_>,
) -> pb::Recipient {
    pb::Recipient {
        recipient_id: id(recipient.id.as_bytes()),
        address: address(&recipient.address),
        state: state.into(),
        original_recipient: recipient
            .orcpt
            .as_deref()
            .map(from_xtext)
            .unwrap_or_default(),
        notify: recipient.notify.map(notify).unwrap_or_default(),
        parameters: raw_parameters(parameters),
        properties: view.properties(&recipient.properties),
        ..pb::Recipient::default()
    }
}

/// An address without angle brackets.
pub(super) fn address(path: &ForwardPath) -> Bytes {
    match path {
        ForwardPath::Postmaster => Bytes::from_static(b"postmaster"),
        ForwardPath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
    }
}

fn notify(notify: Notify) -> Vec<i32> {
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

fn raw_parameters(parameters: &[RawParameter]) -> Vec<pb::Parameter> {
    parameters
        .iter()
        .take(64)
        .map(|(keyword, value)| pb::Parameter {
            keyword: keyword.clone(),
            value: value.clone(),
        })
        .collect()
}

/// xtext decoded (RFC 3461, section 4). What is not well-formed stays as it is.
fn from_xtext(text: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&octet, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
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

/// The header section in this version, as this binding may see it.
pub(crate) fn headers(version: &Version, view: View<'_>) -> pb::Headers {
    let reads = &view.binding.reads.headers;
    pb::Headers {
        fields: version
            .headers()
            .iter()
            .filter(|field| reads.contains(field.name()))
            .map(field)
            .collect(),
        size_bytes: version.header_size(),
        separator_missing: version.header_size() == fields_size(version),
        paged: false,
    }
}

fn fields_size(version: &Version) -> u64 {
    version
        .headers()
        .iter()
        .map(|field| field.raw().len() as u64)
        .sum()
}

fn field(field: &HeaderField) -> pb::HeaderField {
    let raw = field.raw();
    let name = raw.iter().position(|&octet| octet == b':').unwrap_or(0);
    pb::HeaderField {
        header_id: field.id().0,
        name: raw.slice(..name),
        value: field.value(),
    }
}

/// The message in transport, whole. Recipients and header section are put in by the caller.
pub(crate) fn message(message: &Message, draft: &Draft, view: View<'_>) -> pb::Message {
    let origin = match message.origin {
        Origin::Smtp => pb::Origin::Smtp,
        Origin::Lmtp => pb::Origin::Lmtp,
        Origin::Dsn => pb::Origin::Dsn,
    };
    pb::Message {
        message_id: id(message.id.as_bytes()),
        origin: origin.into(),
        received_at: Some(moment(message.received_at)),
        envelope: view
            .binding
            .reads
            .sender
            .then(|| envelope(&draft.envelope, &[])),
        recipients: if view.binding.reads.recipients {
            recipients(&draft.recipients, view)
        } else {
            Vec::new()
        },
        size_bytes: draft.version.as_ref().and_then(Version::size).unwrap_or(0),
        properties: view.properties(&draft.properties),
        session_id: message
            .session_id()
            .map(|session| id(session.as_bytes()))
            .unwrap_or_default(),
        server: message.server.clone(),
        ..pb::Message::default()
    }
}

fn recipients(list: &[Recipient], view: View<'_>) -> Vec<pb::Recipient> {
    list.iter()
        .map(|one| recipient(one, standing(&one.state), &[], view))
        .collect()
}

fn standing(state: &RecipientState) -> pb::RecipientState {
    match state {
        RecipientState::Pending { .. } => pb::RecipientState::Accepted,
        RecipientState::Delivered(_) | RecipientState::Relayed(_) => pb::RecipientState::Delivered,
        RecipientState::Failed(_) | RecipientState::Expired(_) => pb::RecipientState::Failed,
        RecipientState::Discarded(_) => pb::RecipientState::Discarded,
    }
}

/// Cuts a list that is too long for a frame: pages, and what stays in the event or snapshot itself.
pub(crate) fn paged_recipients(event_id: u64, list: &mut Vec<pb::Recipient>) -> Vec<pb::Page> {
    let mut pages = Vec::new();
    while list.len() > PAGE {
        let rest = list.split_off(PAGE);
        let recipients = std::mem::replace(list, rest);
        pages.push(pb::Page {
            event_id,
            recipients,
            headers: Vec::new(),
        });
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded_and_odd_text_stays() {
        assert_eq!(from_xtext(b"rfc822;a+2Bb@x"), "rfc822;a+b@x");
        assert_eq!(from_xtext(b"a+zz+2"), "a+zz+2");
    }

    #[test]
    fn long_lists_are_paged_in_order() {
        let one = |n: u32| pb::Recipient {
            attempt_count: n,
            ..pb::Recipient::default()
        };
        let mut list: Vec<_> = (0..2500).map(one).collect();
        let pages = paged_recipients(7, &mut list);
        let counts: Vec<_> = pages.iter().map(|page| page.recipients.len()).collect();
        assert_eq!((counts, list.len()), (vec![1000, 1000], 500));
        assert_eq!(
            pages
                .first()
                .and_then(|page| page.recipients.first())
                .map(|one| one.attempt_count),
            Some(0)
        );
        assert_eq!(list.first().map(|one| one.attempt_count), Some(2000));
    }
}
