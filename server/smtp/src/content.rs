//! What DATA and BDAT content is held to.

/// Why content cannot become a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ContentFault {
    /// CR without LF.
    #[error("bare CR in the message")]
    BareCr,
    /// LF without CR.
    #[error("bare LF in the message")]
    BareLf,
    /// A line longer than allowed.
    #[error("line too long in the message")]
    LineTooLong,
    /// More octets than allowed.
    #[error("message too large")]
    TooLarge,
}

/// Limits of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// Longest line in octets, CRLF included.
    pub line_length: usize,
    /// Largest message in octets.
    pub size: u64,
}
