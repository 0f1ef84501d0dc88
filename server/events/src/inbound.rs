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

pub use auth::Auth;
pub use command::{Command, Handling};
pub use connect::Connect;
pub use content::{Data, Headers, Message};
pub use disconnect::{Disconnect, DisconnectReason};
pub use helo::Helo;
pub use mail::Mail;
pub use outcome::{Fate, Outcome, RecipientFate};
pub use rcpt::Rcpt;
pub use reset::{Reset, ResetReason};
pub use response::Response;
pub use tls::Tls;
