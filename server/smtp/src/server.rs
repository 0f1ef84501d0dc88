//! The server's side of a session, as a machine without I/O.
//!
//! [`Session`] takes the octets of a client, answers and times, and gives [`Action`]s and deadlines. It decides
//! nothing about mail: before the greeting, before the effect of every command line, and at the end of every message
//! it asks a [`Question`], and says what it would do by itself ([`Prospect`]). RCPTs are asked about together; all
//! else waits for what came before it.
//!
//! What it insists on, whatever the answers: order and grammar of commands, only CRLF as end of a line, only
//! CRLF.CRLF as end of DATA, octets of a refused body never read as commands, nothing accepted from before TLS or
//! before it was asked for, replies in the order of commands, limits and time-outs.
//!
//! | module | has |
//! | --- | --- |
//! | `session` | what a session is made of and offers |
//! | `lines` | command lines out of the input |
//! | `judge` | what the session itself would do about a command |
//! | `answers` | what answers come to |
//! | `auth` | AUTH exchanges |
//! | `dialogue` | dialogues that the caller carries on |
//! | `extension` | verbs and keywords that others add, and keywords taken out |
//! | `body` | content by DATA and BDAT |
//! | `clock` | deadlines |

mod action;
mod answers;
mod auth;
mod body;
mod clock;
mod config;
mod counters;
mod dialogue;
mod exchange;
mod extension;
mod judge;
mod lines;
mod question;
mod replies;
mod session;

pub use action::{
    Action, BODY_RATE_WINDOW, CloseReason, ReplyTo, ResetCause, TimeoutReason, Wants,
};
pub use auth::MAX_CHALLENGE;
pub use body::ContentRefusal;
pub use config::{Auth, Config, EarlyRefusal, Limits, Protocol};
pub use counters::Counters;
pub use dialogue::{Expects, MAX_DIALOGUE_OCTETS};
pub use extension::{AddedVerb, Additions, is_own_keyword, is_own_verb};
pub use question::{
    Answer, AnswerError, Ask, AuthStep, CommandLine, MessageEnd, Prospect, Question, QuestionId,
};
pub use session::{Session, Transport};
