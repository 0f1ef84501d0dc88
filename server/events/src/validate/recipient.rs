//! Edits of recipients and parameters.

use postern_message::Edit;
use postern_proto::v1 as pb;

use super::edit::Checker;
use crate::check::{forward_path, new_recipient, parameter, recipient_id};
use crate::fault::Fault;

impl Checker<'_, '_> {
    pub(super) fn add_recipient(&self, add: &pb::AddRecipient) -> Result<Edit, Fault> {
        let new = new_recipient(add, self.asked.utf8())?;
        if new.parent.is_some_and(|parent| !self.asked.knows(parent)) {
            return Err(Fault::protocol(
                "the parent of a new recipient is none of those that were asked about",
            ));
        }
        Ok(Edit::AddRecipient(new))
    }

    pub(super) fn rewrite_recipient(&self, rewrite: &pb::RewriteRecipient) -> Result<Edit, Fault> {
        Ok(Edit::RewriteRecipient {
            id: self.recipient_of_event(&rewrite.recipient_id)?,
            address: forward_path(&rewrite.address, self.asked.utf8())?,
        })
    }

    pub(super) fn retain_recipients(&self, retain: &pb::RetainRecipients) -> Result<Edit, Fault> {
        let ids = retain.recipient_ids.iter().map(|id| recipient_id(id));
        Ok(Edit::RetainRecipients {
            ids: ids.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn set_parameter(&self, set: pb::SetParameter) -> Result<Edit, Fault> {
        let of_rcpt = self.asked.event() == crate::event::EventKind::InboundRcpt;
        let of = if set.recipient_id.is_empty() {
            if of_rcpt {
                return Err(Fault::protocol(
                    "only the recipient that is asked about can be changed here",
                ));
            }
            None
        } else {
            Some(self.recipient_of_event(&set.recipient_id)?)
        };
        let value = (!set.remove).then_some(set.value);
        let parameter = parameter(&set.keyword, value)?;
        let fits = if of.is_some() {
            parameter.fits_rcpt()
        } else {
            parameter.fits_mail()
        };
        if !fits {
            return Err(Fault::protocol(format!(
                "{} is a parameter of {}",
                set.keyword.escape_ascii(),
                if of.is_some() { "MAIL" } else { "RCPT" }
            )));
        }
        Ok(Edit::SetParameter { of, parameter })
    }
}
