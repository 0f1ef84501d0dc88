//! The client's side of SMTP and LMTP, without I/O.
//!
//! [`Session`] is told what happened (`handle_…`), what is wanted ([`Session::send`], [`Session::content`],
//! [`Session::quit`]), and says what to do next ([`Session::poll_action`]) and until when to wait
//! ([`Session::poll_timeout`]). Time is an argument. The caller's loop:
//!
//! 1. Do all actions, in order.
//! 2. Look at [`Session::wants`], and wait for that, for octets of the peer, and for the deadline, whichever comes first.
//! 3. Tell the session, and start again.
//!
//! Where [`Config::questions`] says so, the session asks before each stage and each command, and at each reply, and is told
//! what to send and how to go on ([`Action::Ask`], `answer_…`). With the default answer to everything it does what it does
//! without questions. No answer can make it lose mail: what the peer took stays taken, what it refused stays refused.
//!
//! A session sends any number of messages, one after the other, each ending with [`Action::Finished`] that has a result
//! for every recipient. Commands are pipelined where the peer offers it (RFC 2920); small messages go by BDAT in the same
//! flight as their envelope where it offers CHUNKING (RFC 3030). Content is never altered: what a peer cannot take is
//! an [`Obstacle`], and content with a bare CR or LF ends the connection before it can be taken for something else.

//! | module | has |
//! | --- | --- |
//! | `session` | what a session is made of and offers |
//! | `session::asking` | what is sent next, and the questions before it |
//! | `session::answers` | what answers come to |
//! | `session::replies`, `session::steering` | what replies come to, and which may be taken for others |
//! | `session::opening` | from the greeting to the first message |
//! | `login` | what AUTH says |
//! | `exchange` | one transaction |
//! | `flight` | commands gathered, and replies that are to come |
//! | `concern` | what a refusal is about, and whether it is final |

mod action;
mod capabilities;
mod command;
mod concern;
mod config;
mod content;
mod exchange;
mod flight;
mod line;
mod login;
mod outcome;
mod question;
mod response;
mod session;
mod transaction;

pub use action::{Action, NotReady, Wants};
pub use capabilities::{Capabilities, Limits};
pub use concern::Concern;
pub use config::{ClientName, ClientNameError, Config, Protocol, Timeouts, TlsUse};
pub use content::{ContentEncoder, ContentError, Framing};
pub use line::{Extra, Line, LineError};
pub use login::{Login, LoginError};
pub use outcome::{Delivery, Failure, Report, Stage};
pub use question::{
    AnswerError, Answered, CommandAnswer, CommandQuestion, Commands, NextStage, Occasion, OwnLine,
    Question, Questions, ResponseAnswer, ResponseQuestion, Taking, TlsAnswer,
};
pub use response::{ReplyLimits, Response, ResponseError, ResponseParser};
pub use session::Session;
pub use transaction::{Body, Obstacle, Recipient, Ret, Transaction};

#[cfg(test)]
mod tests;
