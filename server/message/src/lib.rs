//! The message as the gateway keeps it: ids, envelope, recipients with their state, typed
//! properties, header list, and edits as a patch on the content.
//!
//! No I/O and no clock here: bytes and times come in as arguments. Content is never copied to be
//! edited; a [`Version`] says which ranges of the original and which inserted bytes make it up.

pub mod convert;
pub mod draft;
pub mod edit;
pub mod encoding;
pub mod envelope;
pub mod field;
pub mod folder;
pub mod handling;
pub mod header;
pub mod id;
pub mod message;
pub mod needs;
pub mod next_hop;
pub mod property;
pub mod recipient;
pub mod version;

pub use draft::Draft;
pub use edit::{
    Duplicates, Edit, EditError, EditLimits, HeaderNames, HeaderPlace, NewRecipient, ParameterEdit,
    PropertyScope, is_trace,
};
pub use encoding::DecodeError;
pub use envelope::{BodyKind, Envelope, Return};
pub use field::{FieldError, HeaderName, HeaderValue};
pub use handling::{Handling, Injected};
pub use header::{HeaderError, HeaderField, HeaderId, HeaderLimits, HeaderParser, HeaderSection};
pub use id::{AttemptId, MessageId, RecipientId, SessionId};
pub use message::{Message, Origin};
pub use needs::{Needs, Way};
pub use property::{Lifetime, Number, Properties, PropertyError, PropertyLimits, Value};
pub use recipient::{Notify, Recipient, RecipientState, Status};
pub use version::{Segment, Version};
