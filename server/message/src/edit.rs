//! What a verdict may ask to have changed.
//!
//! Edits are applied by [`crate::Draft::apply`] (everything) or [`crate::Version::apply`] (the
//! content alone), all of them or none. Header ids, recipients and offsets are those of the
//! version that the sink saw, not of the half-edited one; edits by name apply to what the edits
//! before them have left.

use bytes::Bytes;
use postern_smtp::address::{ForwardPath, ReversePath};

use crate::{
    FieldError, HeaderId, HeaderName, HeaderValue, Lifetime, Notify, PropertyError, PropertyLimits,
    RecipientId, Return, Value,
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
        /// Its value.
        value: HeaderValue,
    },
    /// Exactly one field of a name: the first is replaced where it stands, further ones go. If
    /// there is none, it is inserted.
    SetHeader {
        /// Where it is inserted.
        at: HeaderPlace,
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: HeaderValue,
        /// Where there is one already, nothing changes.
        only_if_missing: bool,
    },
    /// All fields of a name go. That there are none is no error.
    RemoveHeaders {
        /// Which.
        names: HeaderNames,
    },
    /// Another value, and if given another name, for a field. It keeps place and id.
    ReplaceHeader {
        /// The field.
        id: HeaderId,
        /// Another name, or the one it has.
        name: Option<HeaderName>,
        /// The new value.
        value: HeaderValue,
    },
    /// The field goes. One that an earlier verdict has removed is no error.
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
    /// A recipient goes.
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
    /// All recipients that are not done go, except these.
    RetainRecipients {
        /// Who stays, exactly as they are.
        ids: Vec<RecipientId>,
    },
    /// An ESMTP parameter set or removed.
    SetParameter {
        /// Of this recipient's RCPT; `None`: of MAIL.
        of: Option<RecipientId>,
        /// Which, and its value.
        parameter: ParameterEdit,
    },
    /// A property set or, without value, removed in the sink's namespace.
    SetProperty {
        /// Whose property.
        scope: PropertyScope,
        /// Its key.
        key: String,
        /// Its value; `None` removes it.
        value: Option<Value>,
        /// How long it lasts.
        lifetime: Lifetime,
    },
}

impl Edit {
    /// The edit changes the header section or the body.
    #[must_use]
    pub fn is_of_content(&self) -> bool {
        matches!(
            self,
            Self::InsertHeader { .. }
                | Self::SetHeader { .. }
                | Self::ReplaceHeader { .. }
                | Self::RemoveHeader { .. }
                | Self::RemoveHeaders { .. }
                | Self::SpliceBody { .. }
                | Self::ReplaceBody { .. }
        )
    }

    /// The edit changes the body.
    #[must_use]
    pub fn is_of_body(&self) -> bool {
        matches!(self, Self::SpliceBody { .. } | Self::ReplaceBody { .. })
    }
}

/// Names of header fields, compared without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderNames {
    /// This one.
    Exact(HeaderName),
    /// All that begin so. `Received` and `Return-Path` are never among them.
    Prefix(HeaderName),
}

impl HeaderNames {
    /// Whether the name is among them.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        match self {
            Self::Exact(own) => own.as_bytes().eq_ignore_ascii_case(name),
            Self::Prefix(own) => {
                let own = own.as_bytes();
                name.get(..own.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(own))
                    && !is_trace(name)
            }
        }
    }
}

/// `Received` and `Return-Path`, which carry the trace of the message.
#[must_use]
pub fn is_trace(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Received") || name.eq_ignore_ascii_case(b"Return-Path")
}

/// An ESMTP parameter with its new value; without one it is removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterEdit {
    /// NOTIFY of a recipient (RFC 3461, section 4.1).
    Notify(Option<Notify>),
    /// ORCPT of a recipient, `addr-type;xtext`.
    Orcpt(Option<Bytes>),
    /// RET of MAIL.
    Ret(Option<Return>),
    /// ENVID of MAIL, as xtext.
    Envid(Option<Bytes>),
    /// Any other: its keyword in upper case, and its value if it has one.
    Other {
        /// The keyword.
        keyword: Bytes,
        /// The value behind `=`, or `Some(None)` for a keyword alone.
        value: Option<Option<Bytes>>,
    },
}

impl ParameterEdit {
    /// It can be one of MAIL; else it can be one of RCPT only.
    #[must_use]
    pub const fn fits_mail(&self) -> bool {
        !matches!(self, Self::Notify(_) | Self::Orcpt(_))
    }

    /// It can be one of RCPT.
    #[must_use]
    pub const fn fits_rcpt(&self) -> bool {
        !matches!(self, Self::Ret(_) | Self::Envid(_))
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
    /// Further parameters: keyword in upper case, and value.
    pub parameters: Vec<(Bytes, Option<Bytes>)>,
    /// The recipient that it comes from.
    pub parent: Option<RecipientId>,
    /// What is done if its address is a recipient already.
    pub duplicates: Duplicates,
    /// Properties, NOTIFY and ORCPT are copied from this recipient; what is given above wins.
    pub copy_from: Option<RecipientId>,
    /// Properties in the sink's namespace.
    pub properties: Vec<(String, Value, Lifetime)>,
}

impl NewRecipient {
    /// A recipient with nothing but an address.
    #[must_use]
    pub fn new(address: ForwardPath) -> Self {
        Self {
            address,
            orcpt: None,
            notify: None,
            parameters: Vec::new(),
            parent: None,
            duplicates: Duplicates::Skip,
            copy_from: None,
            properties: Vec::new(),
        }
    }
}

/// What is done with an added address that is a recipient already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Nothing is added; the recipient that is there stays as it is.
    #[default]
    Skip,
    /// The recipient that is there takes the new parameters and keeps id and properties.
    Replace,
    /// The verdict is refused.
    Refuse,
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
    /// The result holds something that whoever it is sent to does not take.
    #[error("the next hop does not take {what}")]
    Unfit {
        /// What it does not take.
        what: &'static str,
    },
    /// Content edits where there is no content yet.
    #[error("the message has no content yet")]
    NoContent,
    /// A recipient that the message has not.
    #[error("no recipient has the id {id}")]
    UnknownRecipient {
        /// The id.
        id: RecipientId,
    },
    /// A recipient rewritten or removed twice by one verdict.
    #[error("recipient {id} is edited twice")]
    RecipientTwice {
        /// The id.
        id: RecipientId,
    },
    /// An address beyond ASCII in a message that was not sent with SMTPUTF8.
    #[error("an address beyond ASCII in a message without SMTPUTF8")]
    NotAscii,
    /// No recipient would be left: to drop a message is a decision, not an edit.
    #[error("no recipient would be left; to drop the message is a decision")]
    NoRecipients,
    /// An added address is a recipient already, and the verdict is not to hold then.
    #[error("{address} is a recipient already")]
    Duplicate {
        /// The address.
        address: String,
    },
    /// A parameter that does not go with the command.
    #[error("the parameter does not go with this command")]
    Parameter,
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
