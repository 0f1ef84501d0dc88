//! Events of an outgoing session: one file an event.

mod before_data;
mod command;
mod commands;
mod message_start;
mod proposed;
mod recipient;
mod response;
mod revision;
mod session_end;
mod session_start;
mod tls;

use crate::event::EventKind;
#[cfg(test)]
use crate::every_event::{Row, row};

pub use before_data::BeforeData;
pub use command::Command;
pub use commands::{CommandsAnswer, OutgoingCommand, Payload};
pub use message_start::MessageStart;
pub use recipient::Recipient;
pub use response::{OutgoingStage, RemoteStatusAnswer, Response};
pub use revision::{BodyChange, HeaderChange, Revision};
pub use session_end::SessionEnd;
pub use session_start::SessionStart;
pub use tls::{PolicySource, Tls};

/// The events of this family, by number: one session with a remote.
pub const EVENTS: [EventKind; 8] = [
    EventKind::OutboundSessionStart,
    EventKind::OutboundMessageStart,
    EventKind::OutboundRecipient,
    EventKind::OutboundBeforeData,
    EventKind::OutboundSessionEnd,
    EventKind::OutboundCommand,
    EventKind::OutboundResponse,
    EventKind::OutboundTls,
];

/// The events of this family with their structs.
#[cfg(test)]
pub(crate) fn rows() -> Vec<Row> {
    vec![
        row::<SessionStart>(),
        row::<MessageStart>(),
        row::<Recipient>(),
        row::<BeforeData>(),
        row::<SessionEnd>(),
        row::<Command>(),
        row::<Response>(),
        row::<Tls>(),
    ]
}
