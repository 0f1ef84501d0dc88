//! What became of a transaction and of a connection, sorted by whose fault it was.

use std::sync::Arc;

use thiserror::Error;

use super::concern::Concern;
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
    /// AUTH.
    Auth,
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
            Self::Auth => "AUTH",
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
    /// An answer to a question refused it, for now (4xx) or for good (5xx). The peer was not asked, or has forgotten.
    Declined {
        /// Before which command.
        stage: Stage,
        /// In these words.
        response: Arc<Response>,
    },
    /// An answer to a question left it out of this attempt. Nothing was said of it.
    Withheld {
        /// At which command.
        stage: Stage,
    },
    /// The connection ended before there was an answer.
    Broken(Arc<Failure>),
}

impl Delivery {
    /// Whether this answer is the last word on the recipient; see [`Concern`].
    pub fn is_final(&self) -> bool {
        match self {
            Self::Accepted(_) | Self::Impossible(_) => true,
            Self::Refused { stage, response } => Concern::of(*stage, response).is_final(),
            Self::Declined { response, .. } => response.is_permanent(),
            Self::Withheld { .. } => false,
            Self::Broken(failure) => failure.is_permanent(),
        }
    }

    /// Whether the peer spoke of itself, and took nothing: another host for the same mail may.
    pub fn rules_out_host(&self) -> bool {
        match self {
            Self::Refused { stage, response } => Concern::of(*stage, response) == Concern::Host,
            _ => false,
        }
    }

    /// Whether the peer takes no more recipients in this transaction. In another one it does.
    pub fn is_too_many_recipients(&self) -> bool {
        match self {
            Self::Refused { stage, response } => {
                Concern::of(*stage, response) == Concern::RecipientCount
            }
            _ => false,
        }
    }
}

/// Why a connection ended other than by QUIT.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The peer wants no session: a greeting other than 220, a refused HELO or LHLO, a refused RSET, a 421.
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
    /// The session has to be authenticated, and the peer does not offer what could be.
    #[error("the peer offers neither AUTH PLAIN nor AUTH LOGIN")]
    LoginNotOffered,
    /// The session has to be authenticated, and it is not encrypted.
    #[error("the peer does not offer STARTTLS, and no password is sent without it")]
    LoginInClear,
    /// The peer offered CHUNKING, and does not know BDAT. By DATA the message may go, binary content once it is converted, on
    /// another connection: what the peer made of the chunk's octets is not known.
    #[error("the peer offers CHUNKING and refuses BDAT: {response}")]
    ChunkingRefused {
        /// In these words.
        response: Arc<Response>,
    },
    /// An answer to a question refused the session: it is used for nothing.
    #[error("the session was declined at {stage}: {response}")]
    Declined {
        /// Where.
        stage: Stage,
        /// In these words, a 4xx or 5xx.
        response: Arc<Response>,
    },
    /// An answer to a question ended the session.
    #[error("the session was ended at {stage} by an answer")]
    Ended {
        /// Where.
        stage: Stage,
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

    /// Whether another host for the same mail may do better: this one never came so far that it could take a message. A login
    /// that is refused for good is refused by all of them.
    pub fn rules_out_host(&self) -> bool {
        let opening = |stage: &Stage| {
            matches!(
                stage,
                Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Auth
            )
        };
        match self {
            Self::Refused {
                stage: Stage::Auth,
                response,
            } => response.is_temporary(),
            Self::Refused { stage, .. }
            | Self::Garbage { stage, .. }
            | Self::Unexpected { stage, .. }
            | Self::Disconnected { stage }
            | Self::TimedOut { stage } => opening(stage),
            Self::TlsNotOffered | Self::LoginNotOffered | Self::LoginInClear => true,
            Self::ChunkingRefused { .. }
            | Self::Declined { .. }
            | Self::Ended { .. }
            | Self::Content(_)
            | Self::Abandoned { .. } => false,
        }
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One for each recipient of the transaction, in its order.
    pub recipients: Vec<Delivery>,
}
