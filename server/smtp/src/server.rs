//! The server's side of a session, as a machine without I/O.

mod action;
mod config;
mod counters;
mod question;
mod session;

pub use action::{Action, BODY_RATE_WINDOW, CloseReason, ReplyTo, TimeoutReason, Wants};
pub use config::{Config, EarlyRefusal, Limits, Protocol};
pub use counters::Counters;
pub use question::{
    Answer, AnswerError, Ask, CommandLine, MessageEnd, Prospect, Question, QuestionId,
};
pub use session::{Session, Transport};
