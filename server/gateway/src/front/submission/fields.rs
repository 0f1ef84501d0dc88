//! Fields that a message has to have (RFC 5322 3.6) and that a client left out (RFC 6409 8).

use std::time::SystemTime;

use postern_config::settings::server::{MissingFields, MissingFrom};
use postern_message::{
    Edit, EditError, EditLimits, FieldError, HeaderName, HeaderPlace, HeaderValue, MessageId,
    Version,
};
use postern_smtp::address::ReversePath;

use crate::front::received::date;

/// What is done about missing fields.
#[derive(Clone, Copy, Debug)]
pub(in crate::front) struct Completion {
    fields: MissingFields,
    from: MissingFrom,
}

/// Why a message cannot be completed.
#[derive(Debug, thiserror::Error)]
pub(in crate::front) enum Incomplete {
    /// It has no `From`, and must have one.
    #[error("the message has no From field")]
    From,
    /// A field of our own cannot be written.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A field of our own cannot be put in.
    #[error(transparent)]
    Edit(#[from] EditError),
}

/// What is known of the message.
#[derive(Clone, Copy, Debug)]
pub(in crate::front) struct Known<'a> {
    pub(in crate::front) id: MessageId,
    pub(in crate::front) sender: &'a ReversePath,
    pub(in crate::front) hostname: &'a str,
    pub(in crate::front) smtp_utf8: bool,
    pub(in crate::front) at: SystemTime,
}

impl Completion {
    pub(super) const fn new(fields: MissingFields, from: MissingFrom) -> Self {
        Self { fields, from }
    }

    /// The message with what it lacks.
    pub(in crate::front) fn complete(
        self,
        version: &Version,
        known: &Known<'_>,
    ) -> Result<Version, Incomplete> {
        let has = |name: &str| version.headers().iter().any(|field| field.is(name));
        let mut edits = Vec::new();
        let mut add = |name: &str, value: &str| -> Result<(), FieldError> {
            edits.push(Edit::InsertHeader {
                at: HeaderPlace::Last,
                name: HeaderName::parse(name.as_bytes())?,
                value: HeaderValue::parse(value.as_bytes(), known.smtp_utf8)?,
            });
            Ok(())
        };
        if !has("From") {
            match (self.from, known.sender) {
                (MissingFrom::Leave, _) => {}
                (MissingFrom::Add, ReversePath::Mailbox(sender)) => {
                    add("From", &format!("<{}>", sender.as_str()))?;
                }
                (MissingFrom::Refuse, _) | (MissingFrom::Add, ReversePath::Null) => {
                    return Err(Incomplete::From);
                }
            }
        }
        if self.fields == MissingFields::Add {
            if !has("Date") {
                add("Date", &date(known.at))?;
            }
            if !has("Message-ID") {
                add("Message-ID", &format!("<{}@{}>", known.id, known.hostname))?;
            }
        }
        if edits.is_empty() {
            return Ok(version.clone());
        }
        // As large as it was taken, and a few octets more.
        let limits = EditLimits {
            message: u64::MAX,
            header_octets: u64::MAX,
            header_count: usize::MAX,
            ..EditLimits::default()
        };
        Ok(version.apply(&edits, &limits)?)
    }
}
