//! What became of a transaction and of a connection, sorted by whose fault it was.

use std::sync::Arc;

use thiserror::Error;

use super::content::ContentError;
use super::response::{Response, ResponseError};
use super::transaction::Obstacle;

/// Where in a session something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// Between two messages.
    Idle,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before its content.
    Data,
    /// Content being sent.
    Content,
    /// All content sent, and no reply to it yet. If the connection is lost here the peer may have taken the message.
    ContentReply,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Idle => "an idle connection",
            Self::Mail => "MAIL",
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::Content => "the content",
            Self::ContentReply => "the end of the content",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
        })
    }
}

/// What became of one recipient of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The peer took the message for this recipient, and answers for it from now on.
    Accepted(Arc<Response>),
    /// The peer refused it, for now (4xx) or for good (5xx).
    Refused {
        /// At which command.
        stage: Stage,
        /// In these words.
        response: Arc<Response>,
    },
    /// It cannot go to this peer; nothing of it was sent.
    Impossible(Obstacle),
    /// The connection ended before there was an answer.
    Broken(Arc<Failure>),
}

impl Delivery {
    /// Whether this answer is the last word on the recipient. A refusal is if it is of class 5 and about the recipient, the
    /// sender or the message. One about the peer, the session or a command passes, since with another session it may not
    /// come; and so does one about the number of recipients, since with another transaction it may not come.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Impossible(_) => true,
            Self::Refused { stage, response } => {
                response.is_permanent()
                    && matches!(
                        stage,
                        Stage::Mail
                            | Stage::Rcpt
                            | Stage::Data
                            | Stage::Content
                            | Stage::ContentReply
                    )
                    && !response.is_about_the_session()
                    && !self.is_too_many_recipients()
            }
            Self::Broken(failure) => failure.is_permanent(),
        }
    }

    /// Whether the peer takes no more recipients in this transaction: 452 by RFC 5321 4.5.3.1.10, 552 by the standard
    /// before it, or whatever code with the status x.5.3. In another transaction it takes them.
    pub fn is_too_many_recipients(&self) -> bool {
        let Self::Refused {
            stage: Stage::Rcpt,
            response,
        } = self
        else {
            return false;
        };
        match response.enhanced {
            Some(code) => (code.subject(), code.detail()) == (5, 3),
            None => matches!(response.code, 452 | 552),
        }
    }
}

/// Why a connection ended other than by QUIT.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The peer wants no session: a greeting other than 220, a refused HELO or LHLO, a 421.
    #[error("the peer refused at {stage}: {response}")]
    Refused {
        /// Where.
        stage: Stage,
        /// In these words.
        response: Arc<Response>,
    },
    /// The peer's octets are no reply.
    #[error("{error}, at {stage}")]
    Garbage {
        /// Where.
        stage: Stage,
        /// What is wrong with them.
        error: ResponseError,
    },
    /// A reply that has no place here, such as a 250 before the content has ended, or one that nobody waits for.
    #[error("the peer sent a reply out of place at {stage}: {response}")]
    Unexpected {
        /// Where.
        stage: Stage,
        /// The reply.
        response: Arc<Response>,
    },
    /// The peer closed the connection.
    #[error("the peer closed the connection at {stage}")]
    Disconnected {
        /// Where.
        stage: Stage,
    },
    /// The peer did not answer in time.
    #[error("the peer did not answer in time at {stage}")]
    TimedOut {
        /// Where.
        stage: Stage,
    },
    /// TLS is required here, and the peer does not offer it.
    #[error("TLS is required, and the peer does not offer STARTTLS")]
    TlsNotOffered,
    /// The peer offered CHUNKING, and does not know BDAT. By DATA the message may go, on another connection: what the
    /// peer made of the chunk's octets is not known.
    #[error("the peer offers CHUNKING and refuses BDAT: {response}")]
    ChunkingRefused {
        /// In these words.
        response: Arc<Response>,
    },
    /// The content must not leave as it is.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// The caller gave up.
    #[error("the session was given up at {stage}")]
    Abandoned {
        /// Where.
        stage: Stage,
    },
}

impl Failure {
    /// Whether another attempt at any host would end the same way: the content itself is at fault. What the peer says of
    /// itself or of the session (a greeting of 521 or 554, a refused EHLO) passes, however final it sounds.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Content(_))
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each recipient of the transaction, in its order.
    pub recipients: Vec<Delivery>,
}
