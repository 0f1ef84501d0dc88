//! What a session asks before it acts, and what it may be answered.

use std::fmt;

use bytes::Bytes;

use super::dialogue::Expects;
use crate::command::{Chunk, Hello, Mail, Rcpt, Verb};
use crate::parameters::Body;
use crate::reply::Reply;

/// Names a question within its session; increasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(pub(super) u64);

impl QuestionId {
    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for QuestionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A question: one for the greeting, one for every command line, one for the end of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What the answer names.
    pub id: QuestionId,
    /// The command line; `None` for the greeting and the end of a message.
    pub line: Option<CommandLine>,
    /// What the session would do by itself.
    pub prospect: Prospect,
}

/// A command line as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Its verb.
    pub verb: Verb,
    /// The line without CRLF, every octet kept. Of AUTH, in whatever spelling, no more than the mechanism: what follows is
    /// a password. Nothing of lines that are no commands, from a failed AUTH to the next command: they may be one too.
    pub raw: Bytes,
    /// More input had arrived behind it when it was read (RFC 2920).
    pub pipelined: bool,
    /// More input came before this command's reply, though it must end a group (RFC 2920 3.1).
    pub pipelined_wrongly: bool,
}

/// What the session would do by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// Accept it.
    Accept(Ask),
    /// Refuse it with this reply: grammar, order, limits.
    Refuse(Reply),
}

/// What would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The connection itself. A 4xx or 5xx answer closes it.
    Greeting,
    /// HELO, EHLO, LHLO.
    Hello(Hello),
    /// STARTTLS.
    StartTls,
    /// A step of an AUTH exchange: the command, or what the client sent upon a challenge.
    Auth(AuthStep),
    /// MAIL.
    Mail(Mail),
    /// RCPT. Several may be open at a time, and be answered in any order.
    Rcpt(Rcpt),
    /// DATA: content follows if it proceeds.
    Data,
    /// BDAT: the chunk's octets follow whatever the answer.
    Bdat {
        /// Size and whether it is the last.
        chunk: Chunk,
        /// Whether it is the first of its message.
        first: bool,
    },
    /// The content is complete. Only a reply of the caller's own can accept a message.
    MessageEnd(MessageEnd),
    /// RSET.
    Rset,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// VRFY and its argument.
    Vrfy(Bytes),
    /// HELP and its argument.
    Help(Bytes),
    /// A step of a dialogue: the line, without CRLF, or the octets that the caller asked for. There is nothing to proceed
    /// with: it takes a reply, or a further step.
    Dialogue(Bytes),
}

/// A step of an AUTH exchange (RFC 4954).
#[derive(Clone, PartialEq, Eq)]
pub struct AuthStep {
    /// The mechanism in upper case: one of those in [`Auth::mechanisms`](super::Auth::mechanisms), or of those that were
    /// offered beside them.
    pub mechanism: Bytes,
    /// What the client sent, decoded. `None`: the command had no initial response.
    pub response: Option<Bytes>,
    /// Number of the step in its exchange; 1 is the command.
    pub step: u32,
}

/// Without the response: it has the client's password.
impl fmt::Debug for AuthStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthStep")
            .field("mechanism", &self.mechanism)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// A complete message, as the session counted it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageEnd {
    /// Octets of content, CRLFs counted, stuffing and the final dot not.
    pub size: u64,
    /// Recipients that were accepted.
    pub recipients: u32,
    /// Whether some octet is above 127.
    pub eight_bit: bool,
    /// The `BODY=` of its MAIL.
    pub body: Body,
    /// Whether it came by BDAT.
    pub chunked: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Do what the prospect says. At the end of a message there is nothing to proceed with: it
    /// takes a reply.
    Proceed,
    /// AUTH: send this with 334, before base64, and ask again with what the client says to it. At most
    /// [`MAX_CHALLENGE`](super::MAX_CHALLENGE) octets.
    Challenge(Bytes),
    /// Of a command that the session does not act on, and of a step of the dialogue that came of one: send this reply, a
    /// 3xx that tells the client to go on, then ask again with what it says to it. One that has sent more before it is told
    /// so is refused. Without a reply the client goes on of its own accord.
    Dialogue {
        /// What goes to the client now.
        reply: Option<Reply>,
        /// What is awaited then.
        expects: Expects,
    },
    /// Send this instead. A 2xx for HELO, MAIL or RCPT whose prospect is `Accept` counts as
    /// accepted. AUTH, STARTTLS, DATA, BDAT, RSET and QUIT can only be refused this way.
    Reply(Reply),
    /// LMTP, end of a message: one reply for each accepted recipient, in their order.
    PerRecipient(Vec<Reply>),
    /// Send this and close.
    Disconnect(Reply),
}

/// An answer that does not fit. The question is settled with 451 all the same, unless it was unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// No such question is open.
    #[error("question {0} is not open")]
    UnknownQuestion(QuestionId),
    /// A reply that this question cannot have.
    #[error("question {0} cannot be answered so")]
    Unfit(QuestionId),
    /// Not as many replies as accepted recipients.
    #[error("question {id} needs {expected} replies")]
    ReplyCount {
        /// The question.
        id: QuestionId,
        /// Accepted recipients.
        expected: u32,
    },
}
