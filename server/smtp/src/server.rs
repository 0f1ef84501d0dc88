//! The server's side of a session, as a machine without I/O.

mod action;
mod answers;
mod body;
mod clock;
mod config;
mod counters;
mod exchange;
mod judge;
mod lines;
mod question;
mod replies;
mod session;

pub use action::{Action, BODY_RATE_WINDOW, CloseReason, ReplyTo, TimeoutReason, Wants};
pub use config::{Config, EarlyRefusal, Limits, Protocol};
pub use counters::Counters;
pub use question::{
    Answer, AnswerError, Ask, CommandLine, MessageEnd, Prospect, Question, QuestionId,
};
pub use session::{Session, Transport};
