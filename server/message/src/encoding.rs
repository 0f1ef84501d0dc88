//! The compact binary form in which messages and versions are kept in the spool.
//!
//! It starts with a format number. Decoding trusts nothing: every length is checked against what
//! is there, and every error is typed.

/// Why bytes are not a message or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too soon.
    #[error("the record ends too soon")]
    Short,
    /// Bytes are left over.
    #[error("the record has octets after its end")]
    Trailing,
    /// A format that this program does not know.
    #[error("record format {0} is not known")]
    Format(u8),
    /// A value that cannot be.
    #[error("the record has an impossible {0}")]
    Value(&'static str),
}
