//! What a next hop is told of a message before its content.

use bytes::Bytes;
use postern_delivery::Fitted;
use postern_message::{Message, Notify, Return};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::client::{self, Ret, Transaction};

/// The transaction for some recipients of a message, whose content goes as it was fitted.
pub(crate) fn transaction(message: &Message, recipients: &[usize], fitted: &Fitted) -> Transaction {
    let envelope = &message.envelope;
    let chosen = recipients
        .iter()
        .filter_map(|&index| message.recipients.get(index));
    let recipients: Vec<_> = chosen
        .map(|recipient| client::Recipient {
            address: match &recipient.address {
                ForwardPath::Postmaster => Bytes::from_static(b"Postmaster"),
                ForwardPath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
            },
            notify: recipient.notify.map(notify),
            original: recipient.orcpt.clone(),
        })
        .collect();
    Transaction {
        sender: match &envelope.sender {
            ReversePath::Null => Bytes::new(),
            ReversePath::Mailbox(mailbox) => Bytes::copy_from_slice(mailbox.raw()),
        },
        smtp_utf8: needs_utf8(message, &recipients),
        recipients,
        size: fitted.size,
        body: fitted.body,
        ret: envelope.ret.map(|ret| match ret {
            Return::Full => Ret::Full,
            Return::Headers => Ret::Headers,
        }),
        envelope_id: envelope.envid.clone(),
        priority: envelope.priority,
    }
}

/// Whether this copy of the message is internationalized. A client that says SMTPUTF8 with everything it sends must not make
/// plain mail undeliverable to hosts that have not got it.
fn needs_utf8(message: &Message, recipients: &[client::Recipient]) -> bool {
    let address =
        !message.envelope.sender.is_ascii() || recipients.iter().any(|r| !r.address.is_ascii());
    address
        || (message.envelope.smtp_utf8
            && message
                .version
                .headers()
                .iter()
                .any(|field| !field.raw().is_ascii()))
}

fn notify(notify: Notify) -> Bytes {
    let words = [
        (notify.success, "SUCCESS"),
        (notify.failure, "FAILURE"),
        (notify.delay, "DELAY"),
    ];
    let chosen: Vec<_> = words
        .iter()
        .filter(|(wanted, _)| *wanted)
        .map(|(_, word)| *word)
        .collect();
    match chosen.is_empty() {
        true => Bytes::from_static(b"NEVER"),
        false => chosen.join(",").into(),
    }
}
