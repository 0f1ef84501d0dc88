//! Events of an outgoing session: one file an event.

mod before_data;
mod command;
mod message_start;
mod proposed;
mod recipient;
mod response;
mod revision;
mod session_end;
mod session_start;
mod tls;

pub use before_data::BeforeData;
pub use command::Command;
pub use message_start::MessageStart;
pub use recipient::Recipient;
pub use response::Response;
pub use revision::{BodyChange, HeaderChange, Revision};
pub use session_end::SessionEnd;
pub use session_start::SessionStart;
pub use tls::{PolicySource, Tls};
