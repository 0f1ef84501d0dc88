//! What a session asks before it sends a command and about each reply, and what it may be answered.

use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::line::{Extra, Line};
use super::response::Response;

/// Which questions a session asks. One that nobody wants is not asked, and takes the default at once.
///
/// Wishes cost round trips where an answer may have to hold a command back: with `before_data` DATA waits for the replies to
/// RCPT, since the question says who was accepted. All others leave groups of pipelined commands (RFC 2920) as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Questions {
    /// Before EHLO or LHLO, of which there is a second one after STARTTLS.
    pub session_start: bool,
    /// Once the session is open, encrypted or not, before its first message.
    pub tls: bool,
    /// Before MAIL.
    pub message_start: bool,
    /// Before each RCPT.
    pub recipients: bool,
    /// Before DATA or BDAT.
    pub before_data: bool,
    /// Before the QUIT of a session that ends in good order.
    pub session_end: bool,
    /// Before every command, those that answers put in included, and after the question about its stage.
    pub commands: bool,
    /// At every reply, the greeting included.
    pub responses: bool,
}

impl Questions {
    /// None of them.
    pub const NONE: Self = Self {
        session_start: false,
        tls: false,
        message_start: false,
        recipients: false,
        before_data: false,
        session_end: false,
        commands: false,
        responses: false,
    };

    /// All of them.
    pub const ALL: Self = Self {
        session_start: true,
        tls: true,
        message_start: true,
        recipients: true,
        before_data: true,
        session_end: true,
        commands: true,
        responses: true,
    };
}

/// A question. At most one is open at a time; nothing is read or sent before its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// About a command that is due. The answer is a [`CommandAnswer`].
    Command(CommandQuestion),
    /// About the connection, now that it is known whether it is encrypted. The answer is a [`TlsAnswer`].
    Tls {
        /// TLS is in use.
        encrypted: bool,
    },
    /// About a reply of the peer. The answer is a [`ResponseAnswer`].
    Response(ResponseQuestion),
}

/// A command is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandQuestion {
    /// What the question is asked for.
    pub occasion: Occasion,
    /// The line without CRLF, with what earlier answers made of it.
    pub line: Bytes,
    /// The recipient that the command names, by its place in the transaction.
    pub recipient: Option<usize>,
}

/// What a [`CommandQuestion`] is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// A session begins: EHLO or LHLO is due.
    SessionStart,
    /// A message begins: MAIL is due.
    MessageStart,
    /// A recipient begins: RCPT is due.
    Recipient,
    /// The content begins: DATA or BDAT is due.
    BeforeData {
        /// Recipients that the peer accepted.
        accepted: Vec<usize>,
    },
    /// The session ends: QUIT is due.
    SessionEnd,
    /// A command is due, whichever it is.
    Command,
}

/// The peer replied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseQuestion {
    /// What it replied to.
    pub to: Answered,
    /// The recipient that the reply is about, by its place in the transaction.
    pub recipient: Option<usize>,
    /// The reply.
    pub response: Arc<Response>,
    /// Commands that follow were sent with the one answered: there is no other way to go on.
    pub pipelined: bool,
}

/// What a reply is to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The connection: it is the greeting.
    Connection,
    /// This line, without CRLF.
    Command(Bytes),
    /// The content. Over LMTP there is a reply for each accepted recipient.
    Content,
}

/// What to do about a command that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandAnswer {
    /// Send it as it is.
    Proceed,
    /// Send these commands.
    Send(Commands),
    /// Send these, wait for their replies, and ask again.
    First(Vec<Extra>),
    /// Do not send it: what it is for is refused with this reply, a 4xx or 5xx. Before EHLO that is the session, before MAIL
    /// the message, before RCPT the recipient, before DATA all that the peer accepted.
    Refuse(Arc<Response>),
    /// End the session. Who has no final word waits for another attempt.
    End,
}

/// Commands around one of the session's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commands {
    /// Sent before it, in order.
    pub before: Vec<Extra>,
    /// The command itself.
    pub own: OwnLine,
    /// Sent after it, in order; after DATA or BDAT once the content is answered.
    pub after: Vec<Extra>,
}

/// What becomes of the session's own command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OwnLine {
    /// It is sent as it is.
    #[default]
    AsIs,
    /// It is sent with other parameters. The verb stays, save that HELO may stand for EHLO.
    Instead(Line),
    /// It is left out. Whom it was for is not tried in this attempt. EHLO, HELO, LHLO and RSET cannot be left out, nor can
    /// STARTTLS where TLS is required.
    Drop,
}

/// What to do about how TLS turned out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsAnswer {
    /// Go on.
    Proceed,
    /// Use the session for nothing, with this 4xx or 5xx as the reason.
    Refuse(Arc<Response>),
    /// End the session.
    End,
}

/// How to take a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseAnswer {
    /// As it came.
    Proceed,
    /// In another way.
    Take(Taking),
    /// Refuse what it is about with this reply, a 4xx or 5xx: the session up to its first message, the message at MAIL and DATA,
    /// the recipient at RCPT. A peer that has agreed is left in such a way that it takes nothing: the recipients that it
    /// accepted before wait for another attempt. What the peer refused too is refused in these words. A peer that has the
    /// whole content may have taken it: then the reply is taken as it came.
    Refuse(Arc<Response>),
    /// As it came, and end the session then; once the content was sent whole, when it has been answered.
    End,
}

/// Another way to take a reply.
///
/// Nothing that the peer took upon itself becomes a failure, or it would be delivered and tried again: of RCPT, DATA and the
/// content only failures may be taken for others, temporary for permanent and the reverse. A refused message never counts
/// as accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taking {
    /// Take this for the reply.
    pub response: Option<Arc<Response>>,
    /// Go on here. Not behind a pipelined command.
    pub next: Option<NextStage>,
}

/// Where a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStage {
    /// With EHLO or LHLO once more. Only before the first message.
    SessionStart,
    /// With the next message; before the first one without STARTTLS. The rest of the present one is not tried.
    MessageStart,
    /// With the next RCPT.
    Recipient,
    /// With DATA or BDAT. The remaining recipients are not tried.
    BeforeData,
    /// With QUIT. The rest of the present message is not tried.
    SessionEnd,
}

/// An answer that does not fit. The question stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// No question of this kind is open.
    #[error("no such question is open")]
    NotOpen,
    /// A refusal with a reply that is none.
    #[error("a refusal takes a reply of class 4 or 5")]
    NotARefusal,
    /// There is nothing here that could be refused.
    #[error("nothing can be refused here")]
    NothingToRefuse,
    /// A command cannot be left out.
    #[error("this command cannot be left out")]
    Needed,
    /// A command was replaced by one of another verb, or by one whose parameters the session depends on.
    #[error("this command cannot be replaced by that")]
    OtherCommand,
    /// Nothing can be sent after a command.
    #[error("nothing can follow this command")]
    NothingFollows,
    /// More commands, or asked again more often, than is allowed.
    #[error("too many commands for one stage")]
    TooMany,
    /// A reply cannot be taken for one of that class.
    #[error("this reply cannot be taken for one of that class")]
    OtherClass,
    /// The session cannot go on there.
    #[error("the session cannot go on there")]
    OtherStage,
}
