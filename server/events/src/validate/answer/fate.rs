//! Answers about what became of recipients, and how it is reported.

use std::collections::HashSet;

use postern_message::RecipientId;
use postern_proto::v1 as pb;

use super::MAX_ITEMS;
use crate::answer::{DsnAction, DsnAnswer, DsnRuling, LocalDeliveryAnswer};
use crate::fault::Fault;
use crate::validate::address::{forward_path, reverse_path};
use crate::validate::edit::Checker;
use crate::validate::{group, limit, lines, reply};

/// Octets of a text in a notification.
const MAX_TEXT: usize = 64 << 10;

pub(super) fn local_delivery(
    own: pb::LocalDeliveryAnswer,
    checker: &Checker<'_, '_>,
) -> Result<LocalDeliveryAnswer, Fault> {
    limit("statuses", own.statuses.len(), MAX_ITEMS)?;
    let mut seen: HashSet<RecipientId> = HashSet::new();
    let statuses = own.statuses.into_iter().map(|status| {
        let ids = [status.recipient_id];
        let id = group(&ids, checker.asked, &mut seen)?;
        let reply = status
            .reply
            .ok_or_else(|| Fault::protocol("a status needs a reply"))?;
        let reply = reply::of_class(*reply, &[2, 4, 5], "a delivery", checker.asked)?;
        let id = id.first().copied();
        let id = id.ok_or_else(|| Fault::protocol("a status needs a recipient"))?;
        Ok::<_, Fault>((id, reply))
    });
    Ok(LocalDeliveryAnswer {
        statuses: statuses.collect::<Result<_, _>>()?,
    })
}

pub(super) fn dsn(own: pb::DsnAnswer, checker: &mut Checker<'_, '_>) -> Result<DsnAnswer, Fault> {
    for text in [&own.text_before, &own.text_after] {
        limit("octets of a text", text.len(), MAX_TEXT)?;
        if text.contains('\0') {
            return Err(Fault::protocol("a text of a notification has NUL"));
        }
    }
    let is_tag = own.language.len() <= 35
        && own
            .language
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_tag {
        return Err(Fault::protocol("the language is no tag (RFC 5646)"));
    }
    let is_name = |octets: &[u8]| octets.len() <= 255 && octets.iter().all(u8::is_ascii_graphic);
    if !is_name(&own.reporting_mta) {
        return Err(Fault::protocol("the reporting MTA is no name"));
    }
    limit("copies", own.copy_to.len(), 100)?;
    limit("header fields", own.headers.len(), 100)?;
    limit("rulings", own.rulings.len(), MAX_ITEMS)?;
    let utf8 = checker.asked.utf8();
    let return_content = match pb::ReturnContent::try_from(own.return_content) {
        Ok(pb::ReturnContent::Unspecified) => None,
        Ok(pb::ReturnContent::Full) => Some(Some(postern_message::Return::Full)),
        Ok(pb::ReturnContent::Headers) => Some(Some(postern_message::Return::Headers)),
        Ok(pb::ReturnContent::Nothing) => Some(None),
        Err(_) => return Err(Fault::protocol("what is to be returned is unknown")),
    };
    let mut rulings = Vec::with_capacity(own.rulings.len());
    for ruling in own.rulings {
        rulings.push(dsn_ruling(ruling, checker)?);
    }
    let mut headers = Vec::with_capacity(own.headers.len());
    for field in own.headers {
        headers.push(checker.header(&field.name, &field.value)?);
    }
    let copies = own.copy_to.iter().map(|path| forward_path(path, utf8));
    let notify = own.notify_address.as_ref();
    let notify = notify.map(|path| reverse_path(path, utf8));
    let content = match own.content {
        None => None,
        Some(data) => {
            let content = checker.data(data, "a notification")?;
            lines::check(&content, "a notification")?;
            Some(content)
        }
    };
    Ok(DsnAnswer {
        rulings,
        copy_to: copies.collect::<Result<_, _>>()?,
        notify_address: notify.transpose()?,
        text_before: own.text_before,
        text_after: own.text_after,
        language: own.language,
        return_content,
        headers,
        reporting_mta: own.reporting_mta,
        quarantine_instead: own.quarantine_instead,
        content,
    })
}

fn dsn_ruling(own: pb::DsnRuling, checker: &Checker<'_, '_>) -> Result<DsnRuling, Fault> {
    let mut seen = HashSet::new();
    let action = match pb::DsnAction::try_from(own.action) {
        Ok(pb::DsnAction::Unspecified) => None,
        Ok(pb::DsnAction::Failed) => Some(DsnAction::Failed),
        Ok(pb::DsnAction::Delayed) => Some(DsnAction::Delayed),
        Ok(pb::DsnAction::Delivered) => Some(DsnAction::Delivered),
        Ok(pb::DsnAction::Relayed) => Some(DsnAction::Relayed),
        Ok(pb::DsnAction::Expanded) => Some(DsnAction::Expanded),
        Err(_) => return Err(Fault::protocol("the action of a notification is unknown")),
    };
    let suppress = match pb::DsnReporting::try_from(own.reporting) {
        Ok(pb::DsnReporting::Unspecified) => false,
        Ok(pb::DsnReporting::Suppressed) => true,
        Err(_) => return Err(Fault::protocol("what is to be reported is unknown")),
    };
    let reply = own.reply;
    let reply =
        reply.map(|reply| reply::of_class(reply, &[2, 4, 5], "a notification", checker.asked));
    Ok(DsnRuling {
        recipients: group(&own.recipient_ids, checker.asked, &mut seen)?,
        suppress,
        action,
        reply: reply.transpose()?,
    })
}
