//! As whom a session authenticates itself (RFC 4954), with PLAIN (RFC 4616) or LOGIN.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use thiserror::Error;

/// A user and a password. Neither is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: String,
}

/// A user or password that no session can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a user and a password have 1 to 4096 octets each, none of them NUL")]
pub struct LoginError;

/// The most octets of a user or password. With both of them PLAIN fits into a line of RFC 4954 (12,288 octets).
const LONGEST: usize = 4096;

impl Login {
    /// Checks and takes a user and a password.
    ///
    /// # Errors
    /// [`LoginError`].
    pub fn new(user: &str, password: &str) -> Result<Self, LoginError> {
        let fits = |text: &str| (1..=LONGEST).contains(&text.len()) && !text.contains('\0');
        match fits(user) && fits(password) {
            true => Ok(Self {
                user: user.to_owned(),
                password: password.to_owned(),
            }),
            false => Err(LoginError),
        }
    }

    /// The line of a step, with its CRLF.
    pub(super) fn line(&self, step: LoginStep) -> Bytes {
        let line = match step {
            LoginStep::Plain => {
                let response = format!("\0{}\0{}", self.user, self.password);
                format!("AUTH PLAIN {}\r\n", STANDARD.encode(response))
            }
            LoginStep::Login => "AUTH LOGIN\r\n".to_owned(),
            LoginStep::User => STANDARD.encode(&self.user) + "\r\n",
            LoginStep::Password => STANDARD.encode(&self.password) + "\r\n",
        };
        line.into()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(_)")
    }
}

/// What is said next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginStep {
    /// AUTH PLAIN with all there is to say.
    Plain,
    /// AUTH LOGIN.
    Login,
    /// The user, after that.
    User,
    /// The password, after that.
    Password,
}

impl LoginStep {
    /// What follows if the peer asks for more (334); `None`: it must not.
    pub(super) fn next(self) -> Option<Self> {
        match self {
            Self::Login => Some(Self::User),
            Self::User => Some(Self::Password),
            Self::Plain | Self::Password => None,
        }
    }
}
