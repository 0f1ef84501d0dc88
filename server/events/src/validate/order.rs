//! What a verdict orders beside edits of the draft.

use bytes::Bytes;
use postern_message::{
    BodyKind, Draft, Edit, EditLimits, HeaderLimits, HeaderParser, MessageId, Recipient,
};
use postern_proto::rules::bounds;
use postern_proto::v1 as pb;
use postern_smtp::address::ReversePath;

use super::edit::{Checked, Checker};
use crate::check::{
    duration, limit, lines, name_or_empty, new_recipient, next_hops, reverse_path, wait,
};
use crate::fault::Fault;
use crate::order::{Injection, Order};
use crate::route::{NextHop, Target, TlsPolicy};

/// Recipients of an injected message.
const MAX_INJECTED_RECIPIENTS: usize = 10_000;
/// Octets and fields of its header section, whatever the virtual server takes.
const MAX_INJECTED_HEADER: usize = 1 << 20;
const MAX_INJECTED_FIELDS: usize = 10_000;
/// `Received` fields beyond which a message goes round in circles (RFC 5321, section 6.3).
const MAX_INJECTED_HOPS: usize = 100;

impl Checker<'_, '_> {
    pub(super) fn redirect(&self, redirect: pb::Redirect) -> Result<Checked, Fault> {
        let recipients = if redirect.recipient_ids.is_empty() {
            Vec::new()
        } else {
            let mut seen = std::collections::HashSet::new();
            self.asked.group(&redirect.recipient_ids, &mut seen)?
        };
        let next_hops = next_hops(redirect.next_hops)?;
        next_hops.iter().try_for_each(goes)?;
        Ok(Checked::Order(Order::Redirect {
            recipients,
            next_hops,
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
        self.injections += 1;
        limit("injected messages", self.injections, bounds::INJECTIONS)?;
        if !(1..=128).contains(&inject.idempotency_key.len()) {
            return Err(Fault::protocol("an idempotency key has 1 to 128 octets"));
        }
        let depth = usize::from(self.asked.context.injection_depth());
        if depth >= bounds::INJECTION_DEPTH {
            return Err(Fault::protocol(format!(
                "the message was put in by a sink, and {depth} injections led to it: at most {} lead from one to the next",
                bounds::INJECTION_DEPTH
            )));
        }
        let own = self.asked.context.server();
        if !inject.server.is_empty()
            && inject.server != **own
            && !self.asked.binding.servers.contains(&inject.server)
        {
            return Err(Fault::protocol(format!(
                "an injected message is for the virtual server {:?}, which the binding does not name in `servers`",
                inject.server
            )));
        }
        let content = inject.content.clone();
        let content =
            content.ok_or_else(|| Fault::protocol("an injected message needs content"))?;
        let content = self.data(content, "an injected message")?;
        let binding = self.asked.binding;
        injection(&inject, content, &binding.sink.name, &binding.name)
            .map(|injection| Checked::Order(Order::Inject(Box::new(injection))))
    }
}

/// A message that a sink puts in, checked but for the limits of its virtual server.
pub(crate) fn injection(
    inject: &pb::Inject,
    content: Bytes,
    sink: &str,
    binding: &str,
) -> Result<Injection, Fault> {
    if inject.recipients.is_empty() {
        return Err(Fault::protocol("an injected message needs a recipient"));
    }
    limit(
        "recipients of an injected message",
        inject.recipients.len(),
        MAX_INJECTED_RECIPIENTS,
    )?;
    let utf8 = inject.smtp_utf8;
    let sender = reverse_path(&inject.reverse_path, utf8)?;
    let recipients = injected_recipients(inject, &sender, sink)?;
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
    let mut parser = HeaderParser::new(HeaderLimits {
        octets: MAX_INJECTED_HEADER,
        count: MAX_INJECTED_FIELDS,
    });
    let section = match parser.feed(&content) {
        Ok(Some(section)) => section,
        Ok(None) => {
            return Err(Fault::protocol(
                "an injected message has no empty line behind its header section",
            ));
        }
        Err(error) => return Err(Fault::protocol(format!("an injected message: {error}"))),
    };
    let hops = section.fields().iter().filter(|own| own.is("Received"));
    limit(
        "Received fields of an injected message",
        hops.count(),
        MAX_INJECTED_HOPS,
    )?;
    Ok(Injection {
        message_id: MessageId::new(),
        idempotency_key: inject.idempotency_key.clone(),
        sink: sink.to_owned(),
        binding: binding.to_owned(),
        sender,
        recipients,
        content,
        section,
        smtp_utf8: utf8,
        body,
        server: inject.server.clone(),
    })
}

/// Recipients as of a message of their own: they come from nobody in it.
fn injected_recipients(
    inject: &pb::Inject,
    sender: &ReversePath,
    sink: &str,
) -> Result<Vec<Recipient>, Fault> {
    let mut edits = Vec::with_capacity(inject.recipients.len());
    for one in &inject.recipients {
        let mut new = new_recipient(one, inject.smtp_utf8)?;
        if new.copy_from.take().is_some() {
            return Err(Fault::protocol(
                "a recipient of an injected message copies nothing from another",
            ));
        }
        new.parent = None;
        edits.push(Edit::AddRecipient(new));
    }
    let mut draft = Draft::empty();
    draft.envelope.sender = sender.clone();
    draft.envelope.smtp_utf8 = inject.smtp_utf8;
    let limits = EditLimits {
        recipients: MAX_INJECTED_RECIPIENTS,
        ..EditLimits::default()
    };
    let draft = draft
        .apply(sink, &edits, &limits)
        .map_err(|error| Fault::protocol(format!("recipients of an injected message: {error}")))?;
    Ok(draft.recipients)
}

/// Ways that the wire has and this version does not go.
pub(crate) fn goes(hop: &NextHop) -> Result<(), Fault> {
    let later = |what: &str| {
        Err(Fault::protocol(format!(
            "{what} of a redirect is not in this version"
        )))
    };
    match hop.target() {
        Some(Target::Smtps(..)) => return later("smtps://"),
        Some(Target::Sink(_)) => return later("sink:"),
        Some(Target::Maildir(_)) => {
            return Err(Fault::protocol(
                "a redirect does not name a Maildir; \"local\" leads to those of this server's domains",
            ));
        }
        _ => {}
    }
    if matches!(hop.tls, TlsPolicy::Dane | TlsPolicy::Implicit) {
        return later("this TLS policy");
    }
    for (is_set, what) in [
        (!hop.credentials.is_empty(), "credentials"),
        (!hop.disabled_extensions.is_empty(), "disabled_extensions"),
        (hop.use_helo, "use_helo"),
        (hop.connect_timeout.is_some(), "connect_timeout"),
        (hop.not_before.is_some(), "not_before"),
        (hop.max_connections.is_some(), "max_connections"),
    ] {
        if is_set {
            return later(what);
        }
    }
    Ok(())
}
