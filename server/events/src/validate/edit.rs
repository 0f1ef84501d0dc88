//! Edits and properties of a verdict.

use std::collections::HashSet;

use bytes::Bytes;
use postern_message::{Edit, PropertyScope, RecipientId};
use postern_proto::rules::EditKind;
use postern_proto::v1 as pb;

use super::asked::{Asked, Uploads, not_granted};
use crate::check::{
    MAX_LITERAL_OCTETS, MAX_PROPERTY_EDITS, key, lifetime, limit, lines, property, recipient_id,
    reverse_path,
};
use crate::context::ForkEdits;
use crate::fault::Fault;
use crate::order::Order;

/// What one edit is: of the draft, or an order beside it.
pub(super) enum Checked {
    Edit(Edit),
    Order(Order),
}

/// Checks what a verdict brings, and counts it.
pub(super) struct Checker<'a, 'q> {
    pub(super) asked: &'a Asked<'q>,
    uploads: &'a mut dyn Uploads,
    literal: usize,
    splice_end: u64,
    pub(super) injections: usize,
}

impl<'a, 'q> Checker<'a, 'q> {
    pub(super) fn new(asked: &'a Asked<'q>, uploads: &'a mut dyn Uploads) -> Self {
        Self {
            asked,
            uploads,
            literal: 0,
            splice_end: 0,
            injections: 0,
        }
    }

    /// Everything that the verdict changes, edits first, then properties; and what it orders.
    pub(super) fn edits(
        &mut self,
        edits: Vec<pb::Edit>,
        properties: Vec<pb::PropertyEdit>,
        refused: bool,
    ) -> Result<(Vec<Edit>, Vec<Order>), Fault> {
        limit("property edits", properties.len(), MAX_PROPERTY_EDITS)?;
        self.splice_end = 0;
        let mut checked = Vec::with_capacity(edits.len() + properties.len());
        let mut orders = Vec::new();
        for edit in edits {
            match self.edit(edit)? {
                Checked::Edit(edit) => checked.push(edit),
                Checked::Order(order) => orders.push(order),
            }
        }
        if refused {
            // It goes with the message.
            orders.retain(|order| !matches!(order, Order::Inject(_)));
        }
        for property in properties {
            checked.push(self.property_edit(property)?);
        }
        Ok((checked, orders))
    }

    /// Branches of the message.
    pub(super) fn forks(&mut self, forks: Vec<pb::Fork>) -> Result<Vec<ForkEdits>, Fault> {
        if !forks.is_empty() && !self.asked.event().rule().per_recipient {
            return Err(Fault::protocol(format!(
                "the message cannot be forked at {}",
                self.asked.event()
            )));
        }
        let mut seen = HashSet::new();
        let mut checked = Vec::with_capacity(forks.len());
        for fork in forks {
            let recipients = self.asked.group(&fork.recipient_ids, &mut seen)?;
            let of_session = fork
                .properties
                .iter()
                .any(|own| own.scope == i32::from(pb::PropertyScope::Session));
            if of_session {
                return Err(Fault::protocol(
                    "properties of a fork are of the message or of a recipient",
                ));
            }
            let (edits, orders) = self.edits(fork.edits, fork.properties, false)?;
            checked.push(ForkEdits {
                recipients,
                edits,
                orders,
            });
        }
        Ok(checked)
    }

    fn edit(&mut self, edit: pb::Edit) -> Result<Checked, Fault> {
        use pb::edit::Kind;
        let kind = edit
            .kind
            .ok_or_else(|| Fault::protocol("an edit is unset or unknown"))?;
        let of = EditKind::from(&kind);
        self.at_event(of)?;
        // Fields have grants of their own.
        if of.rule().grant != "headers:NAME" {
            self.may(of.rule().grant)?;
        }
        Ok(Checked::Edit(match kind {
            Kind::InsertHeader(insert) => self.insert_header(insert)?,
            Kind::SetHeader(set) => self.set_header(set)?,
            Kind::ReplaceHeader(replace) => self.replace_header(replace)?,
            Kind::RemoveHeader(remove) => self.remove_header(remove)?,
            Kind::RemoveHeaders(remove) => self.remove_headers(remove)?,
            Kind::SpliceBody(splice) => self.splice(splice)?,
            Kind::ReplaceBody(replace) => self.replace_body(replace)?,
            Kind::SetSender(set) => Edit::SetSender {
                sender: reverse_path(&set.reverse_path, self.asked.utf8())?,
            },
            Kind::AddRecipient(add) => self.add_recipient(&add)?,
            Kind::RemoveRecipient(remove) => Edit::RemoveRecipient {
                id: recipient_id(&remove.recipient_id)?,
            },
            Kind::RewriteRecipient(rewrite) => self.rewrite_recipient(&rewrite)?,
            Kind::RetainRecipients(retain) => self.retain_recipients(&retain)?,
            Kind::SetParameter(set) => self.set_parameter(set)?,
            Kind::Redirect(redirect) => return self.redirect(redirect),
            Kind::SetRoutingClass(set) => return self.routing_class(set),
            Kind::SetExpiry(set) => return self.expiry(&set),
            Kind::SetPriority(set) => return self.priority(&set),
            Kind::SetRelay(set) => return Ok(Checked::Order(Order::Relay(set.may_relay))),
            Kind::SetAuthenticated(set) => return self.authenticated(set),
            Kind::Inject(inject) => return self.inject(*inject),
        }))
    }

    fn splice(&mut self, splice: pb::SpliceBody) -> Result<Edit, Fault> {
        if splice.offset < self.splice_end {
            return Err(Fault::protocol("splices overlap or do not ascend"));
        }
        let end = splice
            .offset
            .checked_add(splice.remove_bytes)
            .ok_or_else(|| Fault::protocol("a splice ends beyond all numbers"))?;
        let size = self.asked.version.and_then(|version| version.body_size());
        if size.is_some_and(|size| end > size) {
            return Err(Fault::protocol(format!(
                "a splice ends at {end}, behind the end of the body"
            )));
        }
        self.splice_end = end;
        let insert = match splice.insert {
            Some(data) => self.data(data, "a splice")?,
            None => Bytes::new(),
        };
        self.check_lines(&insert, "what a splice puts in")?;
        Ok(Edit::SpliceBody {
            offset: splice.offset,
            remove: splice.remove_bytes,
            insert,
        })
    }

    fn replace_body(&mut self, replace: pb::ReplaceBody) -> Result<Edit, Fault> {
        let body = replace
            .body
            .ok_or_else(|| Fault::protocol("the new body is missing"))?;
        let body = self.data(body, "a new body")?;
        self.check_lines(&body, "the new body")?;
        Ok(Edit::ReplaceBody { body })
    }

    fn check_lines(&self, octets: &[u8], what: &str) -> Result<(), Fault> {
        if self.asked.is_binary() {
            Ok(())
        } else {
            lines(octets, what)
        }
    }

    /// Octets that came with the verdict, or were uploaded before it.
    pub(super) fn data(&mut self, data: pb::Data, what: &str) -> Result<Bytes, Fault> {
        match data.kind {
            Some(pb::data::Kind::Literal(octets)) => {
                self.literal = self.literal.saturating_add(octets.len());
                limit("octets of literal data", self.literal, MAX_LITERAL_OCTETS)?;
                Ok(octets)
            }
            Some(pb::data::Kind::UploadId(id)) => self
                .uploads
                .take(id)
                .ok_or_else(|| Fault::protocol(format!("there is no finished upload {id}"))),
            None => Err(Fault::protocol(format!(
                "the octets of {what} are unset or unknown"
            ))),
        }
    }

    pub(super) fn may(&self, grant: &str) -> Result<(), Fault> {
        if self.asked.binding.grants.has(grant) {
            Ok(())
        } else {
            Err(not_granted(grant))
        }
    }

    fn at_event(&self, kind: EditKind) -> Result<(), Fault> {
        let event = self.asked.event();
        let routes = matches!(kind, EditKind::SetRoutingClass | EditKind::Redirect);
        if self.asked.facts().routing_only && !routes {
            return Err(Fault::protocol(format!(
                "{} is no edit where only routes are asked about",
                kind.name()
            )));
        }
        if event.rule().allows_edit(kind) {
            Ok(())
        } else {
            Err(Fault::protocol(format!(
                "{} is no edit for {event}",
                kind.name()
            )))
        }
    }

    /// Where only one recipient is asked about, no other can be edited.
    pub(super) fn recipient_of_event(&self, octets: &[u8]) -> Result<RecipientId, Fault> {
        let id = recipient_id(octets)?;
        let only = self.asked.event().rule().edits_asked_recipient_only;
        if only && self.asked.facts().recipient != Some(id) {
            return Err(Fault::protocol(
                "only the recipient that is asked about can be changed here",
            ));
        }
        Ok(id)
    }

    fn property_edit(&self, edit: pb::PropertyEdit) -> Result<Edit, Fault> {
        let known = pb::PropertyScope::try_from(edit.scope);
        let scope = match known {
            Ok(pb::PropertyScope::Session) => PropertyScope::Session,
            Ok(pb::PropertyScope::Message) => PropertyScope::Message,
            Ok(pb::PropertyScope::Recipient) => {
                PropertyScope::Recipient(self.recipient_of_event(&edit.recipient_id)?)
            }
            Ok(pb::PropertyScope::Unspecified) | Err(_) => {
                return Err(Fault::protocol(
                    "the scope of a property is unset or unknown",
                ));
            }
        };
        let event = self.asked.event();
        if !known.is_ok_and(|known| event.rule().properties.contains(&known)) {
            return Err(Fault::protocol(format!(
                "properties of this scope cannot be set at {event}"
            )));
        }
        Ok(Edit::SetProperty {
            scope,
            key: key(&edit.key)?,
            value: edit.value.map(property).transpose()?,
            lifetime: lifetime(edit.lifetime)?,
        })
    }
}
