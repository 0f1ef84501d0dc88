//! Events of an inbound session: one file an event.

mod auth;
mod command;
mod connect;
mod content;
mod disconnect;
mod helo;
mod mail;
mod outcome;
mod rcpt;
mod reset;
mod response;
mod tls;

#[cfg(test)]
use crate::every_event::{Row, row};

pub use auth::{Auth, AuthAnswer, AuthSuccess};
pub use command::{Command, DialogueAnswer, Expects, Handling};
pub use connect::Connect;
pub use content::{Data, Headers, Message};
pub use disconnect::{Disconnect, DisconnectReason};
pub use helo::Helo;
pub use mail::Mail;
pub use outcome::{Fate, Outcome, RecipientFate};
pub use rcpt::{Rcpt, RcptAnswer};
pub use reset::{Reset, ResetReason};
pub use response::{Response, ResponseAnswer};
pub use tls::Tls;

/// The events of this family, by number.
#[cfg(test)]
pub(crate) fn rows() -> Vec<Row> {
    vec![
        row::<Connect>(),
        row::<Helo>(),
        row::<Tls>(),
        row::<Auth>(),
        row::<Mail>(),
        row::<Rcpt>(),
        row::<Data>(),
        row::<Headers>(),
        row::<Message>(),
        row::<Command>(),
        row::<Response>(),
        row::<Outcome>(),
        row::<Reset>(),
        row::<Disconnect>(),
    ]
}
