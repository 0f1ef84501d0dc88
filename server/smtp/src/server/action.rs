//! What a session wants done, in order.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use super::question::{Question, QuestionId};
use crate::command::Verb;
use crate::reply::Reply;

/// One thing to do. Actions are carried out in the order in which they are polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Find an answer and give it to [`answer`](super::Session::answer). Later actions do not wait.
    Ask(Question),
    /// Send this reply.
    Reply(ReplyTo, Reply),
    /// Content of the message, decoded.
    Content(Bytes),
    /// The content is complete; the question about it follows.
    ContentEnd,
    /// The content is faulty: what came so far will not become a message. The reply follows when
    /// the client's side is at its end. No more content and no question come.
    ContentRefused(Reply),
    /// The transaction ended without a message. Not sent for transactions that end with a [`ReplyTo::Message`], nor when
    /// the session closes.
    TransactionReset(ResetCause),
    /// Flush replies, then do the TLS handshake as server, then call `tls_established` or `tls_failed`.
    StartTls,
    /// Flush replies and close. Nothing follows.
    Close(CloseReason),
}

/// What ended a transaction without a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetCause {
    /// RSET.
    Rset,
    /// HELO, EHLO or LHLO.
    Greeting,
    /// A BDAT command was refused with this reply, which follows.
    Chunk(QuestionId, Reply),
}

/// What a reply answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo {
    /// The connection.
    Greeting(QuestionId),
    /// A command; `None` if it was never asked about (too long a line, a limit, shutdown).
    Command(Option<QuestionId>, Verb),
    /// The content, and with it the transaction is over. The question is `None` if the content was refused while it
    /// arrived. Over LMTP with the recipient's place among the accepted ones.
    Message(Option<QuestionId>, Option<u32>),
    /// Nothing: time-out or shutdown.
    Unsolicited,
}

/// Why a session closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// QUIT.
    Quit,
    /// The client closed the connection.
    ClientGone,
    /// A deadline passed.
    Timeout(TimeoutReason),
    /// An answer said so: `Disconnect`, a refused greeting, a reply of 421.
    Disconnected,
    /// Too many errors.
    Errors,
    /// Too many failed authentications.
    FailedAuthentications,
    /// Too many commands that do nothing.
    JunkCommands,
    /// Too many messages.
    Messages,
    /// The client spoke before the greeting.
    EarlyTalker,
    /// Input after STARTTLS, or a body before 354.
    PrematureInput,
    /// HTTP, a TLS hello, or other things that are not SMTP.
    NotSmtp,
    /// LF without CR at the end of a command line.
    BareLf,
    /// A command line beyond all limits.
    LineTooLong,
    /// A dialogue with too many steps, or too many octets.
    Dialogue,
    /// A BDAT whose size cannot be known, so that its octets cannot be skipped.
    ChunkUnknown,
    /// Bare CR or LF in DATA: what follows may be smuggled.
    Smuggling,
    /// The body was refused and `early_refusal` is `Close`, or too much of it was still to come.
    RefusedBody,
    /// The TLS handshake failed.
    TlsFailed,
    /// Shutdown.
    Shutdown,
}

/// Which deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeoutReason {
    /// `command_timeout`: no whole command.
    Command,
    /// `data_timeout`: nothing of the content.
    Data,
    /// `body_rate_min`: content came too slowly.
    BodyRate,
}

impl fmt::Display for TimeoutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "waiting for a command",
            Self::Data => "waiting for content",
            Self::BodyRate => "content came too slowly",
        })
    }
}

/// Over which time [`body_rate_min`](super::Limits::body_rate_min) is measured.
pub const BODY_RATE_WINDOW: Duration = Duration::from_secs(60);

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wants {
    /// Bytes of the client. Answers may be outstanding too and are welcome at any time.
    Input,
    /// An answer, before any more input is looked at.
    Verdict,
    /// The end of the TLS handshake.
    Tls,
    /// Nothing: it is closed.
    Nothing,
}
