//! Conversion of a content for a way that does not take it as it is (RFC 2045, RFC 6152 3).
//!
//! The content goes by twice, in pieces of any size, and is never in memory as a whole. The first time an [`Analysis`] finds
//! its parts and what each holds; it makes a [`Plan`], or says by an [`Obstacle`] why there is none. The second time a
//! [`Converter`] makes what is sent.
//!
//! What is changed is as little as can be: parts that the way takes stay octet for octet. A part of text becomes
//! quoted-printable, any other base64; what is encoded already, in lines that are too long, gets shorter ones; header fields
//! are folded at white space. Whoever decodes the parts gets the same octets as before. What is signed or encrypted is not
//! touched, and neither is what cannot be read in one way only.

mod analysis;
mod composite;
mod encoder;
mod field;
mod fold;
mod header;
mod leaf;
mod lines;
mod plan;

pub use analysis::Analysis;
pub use plan::{Converter, Plan};

/// Why a content cannot be converted. For the sender of the message to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// A header field has octets above 127, and is not sent as it is.
    #[error("a header field has 8-bit characters that are not encoded")]
    EightBitHeader,
    /// A line of a header section is too long, and has no white space where it could be folded.
    #[error("a header line is longer than 998 octets and cannot be folded")]
    LongHeader,
    /// A header section has a NUL, or a CR or LF alone.
    #[error("a header field has control characters that cannot be sent")]
    BinaryHeader,
    /// What is in the way is signed or encrypted: to encode it would break that.
    #[error("a part that is signed or encrypted cannot be encoded")]
    Protected,
    /// What is in the way is in a part of a type that must not be encoded (RFC 2045 6.4), `message/partial` for one.
    #[error("a part of a type that must not be encoded is not in 7 bits")]
    Unencodable,
    /// What is in the way is outside of the parts of a multipart.
    #[error(
        "the text before or after the MIME parts is not in 7 bits, or has lines longer than 998 octets"
    )]
    Outside,
    /// What is in the way is encoded in a manner that is not known, or not as it says.
    #[error(
        "a part has a Content-Transfer-Encoding that is not known, or is not encoded as it says"
    )]
    Encoding,
    /// What is in the way is where the structure can be read in more than one way.
    #[error("the MIME structure is malformed")]
    Malformed,
    /// There are more parts, or deeper ones, than are looked at.
    #[error("the message has too many MIME parts")]
    TooMany,
}

impl Obstacle {
    /// Subject and detail of the enhanced status code: conversion required but not supported (RFC 3463).
    #[must_use]
    pub const fn status(self) -> (u16, u16) {
        (6, 3)
    }
}

#[cfg(test)]
mod tests;
