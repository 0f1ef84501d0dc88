//! What a verdict orders beside edits of the draft.

use postern_message::{BodyKind, MessageId};
use postern_proto::v1 as pb;

use super::edit::{Checked, Checker};
use crate::check::{
    duration, limit, lines, name_or_empty, new_recipient, next_hops, reverse_path, wait,
};
use crate::fault::Fault;
use crate::order::{Injection, Order};

/// Recipients of an injected message.
const MAX_INJECTED_RECIPIENTS: usize = 10_000;

impl Checker<'_, '_> {
    pub(super) fn redirect(&self, redirect: pb::Redirect) -> Result<Checked, Fault> {
        let recipients = if redirect.recipient_ids.is_empty() {
            Vec::new()
        } else {
            let mut seen = std::collections::HashSet::new();
            self.asked.group(&redirect.recipient_ids, &mut seen)?
        };
        Ok(Checked::Order(Order::Redirect {
            recipients,
            next_hops: next_hops(redirect.next_hops)?,
        }))
    }

    pub(super) fn routing_class(&self, set: pb::SetRoutingClass) -> Result<Checked, Fault> {
        let class = name_or_empty(set.routing_class, "the routing class")?;
        Ok(Checked::Order(Order::RoutingClass(class)))
    }

    pub(super) fn expiry(&self, set: &pb::SetExpiry) -> Result<Checked, Fault> {
        let lifetime = set.lifetime.as_ref().map(|time| wait(time, "the lifetime"));
        let warn = set.warn_after.as_ref();
        let warn = warn.map(|time| duration(time, "the time of the warning"));
        Ok(Checked::Order(Order::Expiry {
            lifetime: lifetime.transpose()?,
            warn_after: warn.transpose()?,
        }))
    }

    pub(super) fn priority(&self, set: &pb::SetPriority) -> Result<Checked, Fault> {
        match i8::try_from(set.priority) {
            Ok(priority @ -9..=9) => Ok(Checked::Order(Order::Priority(priority))),
            _ => Err(Fault::protocol("the priority is not between -9 and 9")),
        }
    }

    pub(super) fn authenticated(&self, set: pb::SetAuthenticated) -> Result<Checked, Fault> {
        if set.identity.is_empty() || set.identity.len() > 255 {
            return Err(Fault::protocol("an identity has 1 to 255 octets"));
        }
        Ok(Checked::Order(Order::Authenticated(set.identity)))
    }

    pub(super) fn inject(&mut self, inject: pb::Inject) -> Result<Checked, Fault> {
        if !(1..=128).contains(&inject.idempotency_key.len()) {
            return Err(Fault::protocol("an idempotency key has 1 to 128 octets"));
        }
        if inject.recipients.is_empty() {
            return Err(Fault::protocol("an injected message needs a recipient"));
        }
        limit(
            "recipients of an injected message",
            inject.recipients.len(),
            MAX_INJECTED_RECIPIENTS,
        )?;
        let utf8 = inject.smtp_utf8;
        let recipients = inject.recipients.iter().map(|one| new_recipient(one, utf8));
        let recipients = recipients.collect::<Result<_, _>>()?;
        let content = inject
            .content
            .ok_or_else(|| Fault::protocol("an injected message needs content"))?;
        let content = self.data(content, "an injected message")?;
        let body = match pb::BodyKind::try_from(inject.body) {
            Ok(pb::BodyKind::Unspecified) if content.is_ascii() => BodyKind::SevenBit,
            Ok(pb::BodyKind::Unspecified | pb::BodyKind::EightBitMime) => BodyKind::EightBitMime,
            Ok(pb::BodyKind::SevenBit) => BodyKind::SevenBit,
            Ok(pb::BodyKind::BinaryMime) => BodyKind::BinaryMime,
            Err(_) => return Err(Fault::protocol("the kind of body is unknown")),
        };
        if body != BodyKind::BinaryMime {
            lines(&content, "an injected message")?;
        }
        if body == BodyKind::SevenBit && !content.is_ascii() {
            return Err(Fault::protocol(
                "an injected message of 7BIT has octets above 127",
            ));
        }
        Ok(Checked::Order(Order::Inject(Box::new(Injection {
            message_id: MessageId::new(),
            idempotency_key: inject.idempotency_key,
            sink: self.asked.binding.sink.name.to_string(),
            sender: reverse_path(&inject.reverse_path, utf8)?,
            recipients,
            content,
            smtp_utf8: utf8,
            body,
            server: inject.server,
        }))))
    }
}
