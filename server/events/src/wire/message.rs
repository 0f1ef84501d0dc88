//! Envelope, transaction, header fields and the message in transport.

use bytes::Bytes;
use postern_message::{BodyKind, Envelope, HeaderField, Origin, Return, Version};
use postern_proto::v1 as pb;
use postern_smtp::address::ReversePath;

use super::recipient::from_xtext;
use super::session::parameters;
use super::{View, id, moment};
use crate::context::{MessageContext, RawParameter, TransactionContext, tenant_of};

/// The running transaction, without its recipients.
pub(crate) fn transaction(running: &TransactionContext, view: &View<'_>) -> pb::Transaction {
    let draft = running.working().draft();
    pb::Transaction {
        transaction_id: id(running.id().as_bytes()),
        envelope: view
            .reads
            .sender
            .then(|| envelope(&draft.envelope, running.parameters())),
        properties: view.properties(&draft.properties),
        transaction_number: running.number(),
        skipped_bindings: running.working().skipped.clone(),
    }
}

/// What MAIL said, with the edits since. `raw` are all its parameters where they are known.
pub(crate) fn envelope(envelope: &Envelope, raw: &[RawParameter]) -> pb::Envelope {
    let body = match envelope.body {
        BodyKind::SevenBit => pb::BodyKind::SevenBit,
        BodyKind::EightBitMime => pb::BodyKind::EightBitMime,
        BodyKind::BinaryMime => pb::BodyKind::BinaryMime,
    };
    pb::Envelope {
        reverse_path: reverse_path(&envelope.sender),
        smtp_utf8: envelope.smtp_utf8,
        body: body.into(),
        declared_size_bytes: envelope.declared_size,
        return_content: return_content(envelope.ret).into(),
        envelope_id: envelope
            .envid
            .as_deref()
            .map(from_xtext)
            .unwrap_or_default(),
        parameters: if raw.is_empty() {
            parameters(&known_parameters(envelope))
        } else {
            parameters(raw)
        },
        given_reverse_path: envelope
            .given
            .as_ref()
            .map(reverse_path)
            .unwrap_or_default(),
        priority: i32::from(envelope.priority),
    }
}

/// What RET asked for.
pub(crate) const fn return_content(ret: Option<Return>) -> pb::ReturnContent {
    match ret {
        None => pb::ReturnContent::Unspecified,
        Some(Return::Full) => pb::ReturnContent::Full,
        Some(Return::Headers) => pb::ReturnContent::Headers,
    }
}

/// A sender without angle brackets; empty for the null sender.
pub(crate) fn reverse_path(path: &ReversePath) -> Bytes {
    match path {
        ReversePath::Null => Bytes::new(),
        ReversePath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
    }
}

/// The parameters that are kept with an envelope, as MAIL would say them.
fn known_parameters(envelope: &Envelope) -> Vec<RawParameter> {
    let mut all = Vec::new();
    let mut add = |keyword: &'static str, value: Option<Bytes>| {
        all.push((Bytes::from_static(keyword.as_bytes()), value));
    };
    if let Some(size) = envelope.declared_size {
        add("SIZE", Some(size.to_string().into()));
    }
    match envelope.body {
        BodyKind::SevenBit => {}
        BodyKind::EightBitMime => add("BODY", Some(Bytes::from_static(b"8BITMIME"))),
        BodyKind::BinaryMime => add("BODY", Some(Bytes::from_static(b"BINARYMIME"))),
    }
    match envelope.ret {
        None => {}
        Some(Return::Full) => add("RET", Some(Bytes::from_static(b"FULL"))),
        Some(Return::Headers) => add("RET", Some(Bytes::from_static(b"HDRS"))),
    }
    if let Some(envid) = &envelope.envid {
        add("ENVID", Some(envid.clone()));
    }
    if envelope.smtp_utf8 {
        add("SMTPUTF8", None);
    }
    all.extend(envelope.parameters.iter().cloned());
    all
}

/// The header section in this version, as the binding may see it.
pub(crate) fn headers(version: &Version, view: &View<'_>) -> pb::Headers {
    let reads = &view.reads.headers;
    let size = version.header_size();
    let fields: u64 = version
        .headers()
        .iter()
        .map(|field| field.raw().len() as u64)
        .sum();
    pb::Headers {
        fields: version
            .headers()
            .iter()
            .filter(|field| reads.contains(field.name()))
            .map(field)
            .collect(),
        size_bytes: size,
        separator_missing: size == fields,
    }
}

/// One header field.
pub(crate) fn field(field: &HeaderField) -> pb::HeaderField {
    let raw = field.raw();
    let name = raw.iter().position(|&octet| octet == b':').unwrap_or(0);
    pb::HeaderField {
        header_id: field.id().0,
        name: raw.slice(..name),
        value: field.value(),
    }
}

/// The message in transport, without recipients and header fields. `shown` is the version that the binding sees.
pub(crate) fn message(
    context: &MessageContext,
    shown: Option<&Version>,
    view: &View<'_>,
) -> pb::Message {
    let message = context.message();
    let piece = context.working().piece();
    let origin = match message.origin {
        Origin::Smtp => pb::Origin::Smtp,
        Origin::Lmtp => pb::Origin::Lmtp,
        Origin::Dsn => pb::Origin::Dsn,
        Origin::Sink => pb::Origin::Sink,
    };
    let after =
        |span: Option<std::time::Duration>| span.map(|span| moment(message.received_at + span));
    // That of another version is not known.
    let is_received = shown.is_some_and(|version| !version.is_edited());
    let digest = context
        .working()
        .digest()
        .filter(|_| view.reads.digest && is_received);
    let digest = digest.map(|digest| Bytes::copy_from_slice(&digest));
    let injected = message.injected.as_ref();
    let parent = (piece.id != message.id).then_some(message.id);
    let parent = parent.or_else(|| injected.and_then(|own| own.parent));
    let parent = parent.map(|parent| id(parent.as_bytes()));
    pb::Message {
        message_id: id(piece.id.as_bytes()),
        envelope: view
            .reads
            .sender
            .then(|| envelope(&piece.draft.envelope, &[])),
        origin: origin.into(),
        received_at: Some(moment(message.received_at)),
        server: message.server.clone(),
        size_bytes: shown.and_then(Version::size).unwrap_or(0),
        content_sha256: digest.unwrap_or_default(),
        properties: view.properties(&piece.draft.properties),
        parent_message_id: parent.unwrap_or_default(),
        session_id: message
            .session
            .map(|session| id(session.as_bytes()))
            .unwrap_or_default(),
        expires_at: after(piece.orders.handling.lifetime),
        warns_at: after(piece.orders.handling.warn_after),
        routing_class: piece
            .orders
            .handling
            .routing_class
            .clone()
            .unwrap_or_default(),
        tenant: tenant_of(context.session(), &piece.draft.recipients).to_owned(),
        skipped_bindings: context.working().skipped.clone(),
        revision: u32::from(shown.is_some_and(Version::is_edited)) + 1,
        injected_by: injected.map(|own| own.sink.clone()).unwrap_or_default(),
        injection_depth: injected.map_or(0, |own| u32::from(own.depth)),
    }
}

#[cfg(test)]
mod tests;
