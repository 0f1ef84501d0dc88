//! What a verdict may ask to have changed.
//!
//! Edits are applied by [`crate::Draft::apply`] (everything) or [`crate::Version::apply`] (the
//! content alone), all of them or none. Header ids, recipients and offsets are those of the
//! version that the sink saw, not of the half-edited one.

use bytes::Bytes;
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::{
    FieldError, HeaderId, HeaderName, HeaderValue, Notify, PropertyError, PropertyLimits,
    RecipientId, Value,
};

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A new field.
    InsertHeader {
        /// Where. Several inserted at one place stand in the order of the edits; with
        /// [`HeaderPlace::First`] too.
        at: HeaderPlace,
        /// Its name.
        name: HeaderName,
        /// Its value, not folded.
        value: HeaderValue,
    },
    /// Another value, and if given another name, for a field. It keeps place and id.
    ReplaceHeader {
        /// The field.
        id: HeaderId,
        /// Another name, or the one it has.
        name: Option<HeaderName>,
        /// The new value, not folded.
        value: HeaderValue,
    },
    /// The field goes.
    RemoveHeader {
        /// The field.
        id: HeaderId,
    },
    /// Octets of the body replaced. Splices of one verdict ascend and do not overlap; several
    /// insertions at one offset stand in the order of the edits.
    SpliceBody {
        /// Where, in octets from the start of the body that the sink saw.
        offset: u64,
        /// How many octets go.
        remove: u64,
        /// What comes in their place.
        insert: Bytes,
    },
    /// Another body in place of the whole one. Not together with splices.
    ReplaceBody {
        /// The new body.
        body: Bytes,
    },
    /// Another reverse path.
    SetSender {
        /// The new one.
        sender: ReversePath,
    },
    /// One more recipient.
    AddRecipient(NewRecipient),
    /// A recipient goes. The message stays, also with none left: that is a discard, which is the
    /// caller's to record.
    RemoveRecipient {
        /// Which.
        id: RecipientId,
    },
    /// Another address for a recipient. ORCPT, NOTIFY and properties stay.
    RewriteRecipient {
        /// Which.
        id: RecipientId,
        /// The new address.
        address: ForwardPath,
    },
    /// All recipients that are not done replaced by these. Not together with other edits of
    /// recipients.
    ReplaceRecipients {
        /// The new list.
        recipients: Vec<NewRecipient>,
    },
    /// A property set or, without value, removed in the sink's namespace.
    SetProperty {
        /// Whose property.
        scope: PropertyScope,
        /// Its key.
        key: String,
        /// Its value; `None` removes it.
        value: Option<Value>,
    },
}

impl Edit {
    /// The edit changes the header section or the body.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::InsertHeader { .. }
                | Self::ReplaceHeader { .. }
                | Self::RemoveHeader { .. }
                | Self::SpliceBody { .. }
                | Self::ReplaceBody { .. }
        )
    }
}

/// Where a new header field goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPlace {
    /// Before all fields that the sink saw.
    First,
    /// After all fields that the sink saw.
    Last,
    /// Before this field.
    Before(HeaderId),
    /// After this field.
    After(HeaderId),
}

/// A recipient that a sink adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecipient {
    /// Its address.
    pub address: ForwardPath,
    /// The ORCPT parameter, `addr-type;xtext`.
    pub orcpt: Option<Bytes>,
    /// The NOTIFY parameter.
    pub notify: Option<Notify>,
}

/// Whose property an edit sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PropertyScope {
    /// The session's.
    Session,
    /// The message's.
    Message,
    /// A recipient's.
    Recipient(RecipientId),
}

/// How much edits may do. Checked on every application and on its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EditLimits {
    /// Edits in one verdict.
    pub edits: usize,
    /// Octets that the edits of one verdict bring in, headers and body together.
    pub inserted: u64,
    /// Octets of the whole message afterwards.
    pub message: u64,
    /// Fields in the header section afterwards.
    pub header_count: usize,
    /// Octets of the header section afterwards.
    pub header_octets: u64,
    /// Pieces that a body may be made of afterwards.
    pub body_pieces: usize,
    /// Recipients afterwards.
    pub recipients: usize,
    /// One bag of properties.
    pub properties: PropertyLimits,
}

impl Default for EditLimits {
    fn default() -> Self {
        Self {
            edits: 10_000,
            inserted: 32 * 1024 * 1024,
            message: 64 * 1024 * 1024,
            header_count: 2000,
            header_octets: 512 * 1024,
            body_pieces: 20_000,
            recipients: 10_000,
            properties: PropertyLimits::default(),
        }
    }
}

/// Why edits were refused, all of them. The sink's fault, except [`EditError::BodyOpen`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// More edits than one verdict may hold.
    #[error("{count} edits, the limit is {limit}")]
    TooManyEdits {
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A field that the version has not.
    #[error("no header field has the id {0}", .id.0)]
    UnknownHeader {
        /// The id.
        id: HeaderId,
    },
    /// A field replaced or removed twice by one verdict.
    #[error("header field {0} is edited twice", .id.0)]
    HeaderTwice {
        /// The id.
        id: HeaderId,
    },
    /// A name or a value that cannot be a header field's.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A splice that starts before the last one's end.
    #[error("body splice at {offset} overlaps or precedes the one before, which ends at {after}")]
    SpliceOrder {
        /// Where it starts.
        offset: u64,
        /// Where the one before ends.
        after: u64,
    },
    /// A splice beyond the end of the body.
    #[error("body splice ends at {end}, the body at {size}")]
    SpliceRange {
        /// Where it ends.
        end: u64,
        /// The body's size.
        size: u64,
    },
    /// The body replaced twice, or replaced and spliced.
    #[error("the body is replaced beside other edits of it")]
    BodyTwice,
    /// The body is still arriving, and cannot be spliced before its end is known.
    #[error("the body cannot be edited before it is complete")]
    BodyOpen,
    /// Content edits where there is no content yet.
    #[error("the message has no content yet")]
    NoContent,
    /// A recipient that the message has not.
    #[error("no recipient has the id {id}")]
    UnknownRecipient {
        /// The id.
        id: RecipientId,
    },
    /// A recipient rewritten or removed twice by one verdict, or beside a new list.
    #[error("recipient {id} is edited twice")]
    RecipientTwice {
        /// The id.
        id: RecipientId,
    },
    /// An address beyond ASCII in a message that was not sent with SMTPUTF8.
    #[error("an address beyond ASCII in a message without SMTPUTF8")]
    NotAscii,
    /// The list replaced twice by one verdict, or beside other edits of recipients.
    #[error("the list of recipients is replaced beside other edits of it")]
    ListTwice,
    /// The sender set twice by one verdict.
    #[error("the sender is set twice")]
    SenderTwice,
    /// A recipient whose delivery is done cannot be changed any more.
    #[error("recipient {id} is done and cannot be changed")]
    RecipientDone {
        /// The id.
        id: RecipientId,
    },
    /// The result would be over a limit.
    #[error("{what}: {value}, the limit is {limit}")]
    OverLimit {
        /// What.
        what: &'static str,
        /// What it would be.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// A property over its limits.
    #[error(transparent)]
    Property(#[from] PropertyError),
    /// A trace field that is not one whole field.
    #[error("not a whole header field with its line end")]
    NotAField,
}
