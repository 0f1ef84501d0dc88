//! The session's own commands: where each stands in a group, and what answers may make of it.

use super::line::{Line, verb};
use super::login::LoginStep;
use super::outcome::Stage;
use super::question::AnswerError;

/// A command of the session's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Ehlo,
    Helo,
    Lhlo,
    StartTls,
    Auth(LoginStep),
    Rset,
    Mail,
    Rcpt(usize),
    Data,
    Bdat,
    Quit,
}

impl Own {
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Ehlo | Self::Helo | Self::Lhlo => Stage::Hello,
            Self::StartTls => Stage::StartTls,
            Self::Auth(_) => Stage::Auth,
            Self::Rset => Stage::Rset,
            Self::Mail => Stage::Mail,
            Self::Rcpt(_) => Stage::Rcpt,
            Self::Data | Self::Bdat => Stage::Data,
            Self::Quit => Stage::Quit,
        }
    }

    pub(super) fn recipient(self) -> Option<usize> {
        match self {
            Self::Rcpt(index) => Some(index),
            _ => None,
        }
    }

    /// Whether it may leave in one group with the commands before it (RFC 2920 3.1, RFC 3030 4.2).
    pub(super) fn may_follow(self) -> bool {
        !matches!(
            self,
            Self::Ehlo | Self::Helo | Self::Lhlo | Self::StartTls | Self::Auth(_) | Self::Quit
        )
    }

    /// Whether nothing may follow it before its reply.
    pub(super) fn ends_group(self) -> bool {
        !matches!(self, Self::Rset | Self::Mail | Self::Rcpt(_))
    }

    /// Whether the session can do without it.
    pub(super) fn may_be_dropped(self) -> bool {
        !matches!(
            self,
            Self::Ehlo | Self::Helo | Self::Lhlo | Self::Auth(_) | Self::Rset
        )
    }

    /// Whether other commands may be sent after it.
    pub(super) fn may_be_followed(self) -> bool {
        !matches!(self, Self::StartTls | Self::Auth(_) | Self::Quit)
    }

    /// The command that it becomes with another line.
    pub(super) fn replaced(self, native: &[u8], line: &Line) -> Result<Self, AnswerError> {
        let (own, other) = (verb(native), line.verb());
        match self {
            Self::Ehlo if other == b"HELO" => Ok(Self::Helo),
            Self::Ehlo | Self::Helo | Self::Lhlo | Self::Mail | Self::Rcpt(_) if own == other => {
                Ok(self)
            }
            // Framing depends on these, or they have no parameters.
            _ if line.as_bytes().eq_ignore_ascii_case(native) => Ok(self),
            _ => Err(AnswerError::OtherCommand),
        }
    }
}
