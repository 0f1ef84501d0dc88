//! The sink as a mailbox store.

use postern_proto::v1;
use postern_proto::v1::answer::Kind as Answered;
use postern_proto::v1::event::Kind as Happened;

use crate::action::Action;
use crate::event::Known;
use crate::verdict::reply;

/// The ids of the recipients that are asked about, as `id=HEX`.
pub(crate) fn subject(asked: &v1::TransportLocalDelivery) -> Vec<String> {
    let ids = asked.recipient_ids.iter();
    ids.map(|id| {
        let hex: String = id.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("id={hex}")
    })
    .collect()
}

/// What became of the recipients, for actions that say so.
pub(crate) fn answer(action: &Action, event: &v1::Event, known: &Known) -> Option<Answered> {
    let Some(Happened::TransportLocalDelivery(asked)) = &event.kind else {
        return None;
    };
    let (code, text, part) = match action {
        Action::Store(code, text) => (*code, text.as_str(), ""),
        Action::StoreOnly(part) => (250, "kept here", part.as_str()),
        Action::StoreFrom(attempt) if event.attempt >= *attempt => (250, "kept here", ""),
        _ => return None,
    };
    let is_meant = |id: &[u8]| {
        let mut recipients = known.recipients.iter();
        recipients.any(|own| {
            own.recipient_id == id && String::from_utf8_lossy(&own.address).contains(part)
        })
    };
    let ids = asked.recipient_ids.iter().filter(|id| is_meant(id));
    Some(Answered::LocalDelivery(v1::LocalDeliveryAnswer {
        statuses: ids
            .map(|id| v1::LocalDeliveryStatus {
                recipient_id: id.clone(),
                reply: reply(code, "", text).map(Box::new),
            })
            .collect(),
    }))
}
