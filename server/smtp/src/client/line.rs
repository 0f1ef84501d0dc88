//! Command lines that answers put in, checked before they can be sent.

use bytes::Bytes;
use thiserror::Error;

/// Octets of a line, without its CRLF (RFC 5321 4.5.3.1.4).
const LINE_MAX: usize = 510;
/// Octets of what goes with a command.
const PAYLOAD_MAX: usize = 1024 * 1024;
/// Verbs that only the session itself says, since its state depends on them.
const OWN_VERBS: [&[u8]; 10] = [
    b"EHLO",
    b"HELO",
    b"LHLO",
    b"STARTTLS",
    b"MAIL",
    b"RCPT",
    b"DATA",
    b"BDAT",
    b"RSET",
    b"QUIT",
];

/// A line that can be a command: 1 to 510 octets without CR, LF and NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line(Bytes);

impl Line {
    /// Checks and takes a line without its CRLF.
    ///
    /// # Errors
    /// [`LineError::Form`].
    pub fn new(line: impl Into<Bytes>) -> Result<Self, LineError> {
        let line = line.into();
        let fits = (1..=LINE_MAX).contains(&line.len());
        if fits && !line.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
            Ok(Self(line))
        } else {
            Err(LineError::Form)
        }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// The first word, in upper case.
    pub(super) fn verb(&self) -> Vec<u8> {
        verb(&self.0)
    }
}

/// The first word of a line, in upper case.
pub(super) fn verb(line: &[u8]) -> Vec<u8> {
    let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t'));
    let word = line.get(..end.unwrap_or(line.len())).unwrap_or_default();
    word.to_ascii_uppercase()
}

/// A command that is none of the session's own, such as AUTH, XCLIENT or NOOP, or a line of its dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extra {
    line: Line,
    payload: Option<Payload>,
    may_pipeline: bool,
}

/// Octets that go with an extra command, sent as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Payload {
    /// When the peer answers the line with 3xx.
    WhenInvited(Bytes),
    /// With the line.
    AtOnce(Bytes),
}

impl Extra {
    /// A command that waits for its reply.
    ///
    /// # Errors
    /// [`LineError::OwnVerb`] for a command that only the session itself says.
    pub fn new(line: Line) -> Result<Self, LineError> {
        if OWN_VERBS.contains(&line.verb().as_slice()) {
            return Err(LineError::OwnVerb);
        }
        Ok(Self {
            line,
            payload: None,
            may_pipeline: false,
        })
    }

    /// With octets that are sent when the peer answers the line with 3xx. The reply to them is awaited too.
    ///
    /// # Errors
    /// [`LineError::Payload`] above 1 MiB.
    pub fn with_invited(self, octets: Bytes) -> Result<Self, LineError> {
        self.with(octets, Payload::WhenInvited)
    }

    /// With octets that follow the line at once; line and octets have one reply.
    ///
    /// # Errors
    /// [`LineError::Payload`] above 1 MiB.
    pub fn with_following(self, octets: Bytes) -> Result<Self, LineError> {
        self.with(octets, Payload::AtOnce)
    }

    /// Sent together with others where the peer offers PIPELINING.
    #[must_use]
    pub fn pipelined(mut self) -> Self {
        self.may_pipeline = true;
        self
    }

    fn with(
        mut self,
        octets: Bytes,
        payload: impl Fn(Bytes) -> Payload,
    ) -> Result<Self, LineError> {
        if octets.len() > PAYLOAD_MAX {
            return Err(LineError::Payload);
        }
        self.payload = Some(payload(octets));
        Ok(self)
    }

    /// The same with another line.
    pub(super) fn with_line(self, line: Line) -> Self {
        Self { line, ..self }
    }

    pub(super) fn line(&self) -> &Bytes {
        self.line.as_bytes()
    }

    /// Whether it may leave in one group with what comes before and behind it.
    pub(super) fn may_pipeline(&self) -> bool {
        self.may_pipeline && !matches!(self.payload, Some(Payload::WhenInvited(_)))
    }

    pub(super) fn into_parts(self) -> (Line, Option<Payload>) {
        (self.line, self.payload)
    }
}

/// Why a line cannot be put into a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// Not one line of a sensible length.
    #[error("a command is a line of 1 to 510 octets without CR, LF and NUL")]
    Form,
    /// The session's state depends on this command.
    #[error("only the session itself says this command")]
    OwnVerb,
    /// What goes with a command is too large.
    #[error("what goes with a command has at most 1 MiB")]
    Payload,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        for bad in ["", "NOOP\r", "NOOP\nRSET", "NOOP\0"] {
            assert_eq!(Line::new(bad), Err(LineError::Form), "{bad:?}");
        }
        assert!(Line::new(vec![b'x'; 510]).is_ok());
        assert!(Line::new(vec![b'x'; 511]).is_err());
    }

    #[test]
    fn commands_of_the_session_are_its_own() {
        for own in ["rcpt TO:<a@b>", "DATA", "Quit\tnow", "STARTTLS"] {
            let line = Line::new(own).unwrap();
            assert_eq!(Extra::new(line), Err(LineError::OwnVerb), "{own}");
        }
        for other in ["XCLIENT ADDR=192.0.2.1", "DATABASE", "AUTH PLAIN AGEAYg=="] {
            assert!(Extra::new(Line::new(other).unwrap()).is_ok(), "{other}");
        }
    }
}
