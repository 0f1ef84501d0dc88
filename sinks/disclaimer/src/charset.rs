//! Charsets: what a part says it is in, and text put into it.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// The charset of a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charset {
    /// us-ascii, said or by default, and kept to.
    Ascii,
    /// One that is known.
    Known(&'static Encoding),
}

impl Charset {
    /// The charset that `label` names; without a label, us-ascii, or UTF-8 if `content` is that.
    /// `None` when it is unknown.
    pub(crate) fn of(label: Option<&str>, content: &[u8]) -> Option<Self> {
        let label = label.filter(|l| !l.eq_ignore_ascii_case("us-ascii") && !l.is_empty());
        match label {
            Some(label) => Encoding::for_label(label.as_bytes()).map(Self::Known),
            None if content.is_ascii() => Some(Self::Ascii),
            None if std::str::from_utf8(content).is_ok() => Some(Self::Known(UTF_8)),
            None => None,
        }
    }

    /// `text` in this charset, if it has all of its characters.
    pub(crate) fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            // encoding_rs reads these but does not write them.
            Self::Known(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => None,
            Self::Known(encoding) => {
                let (bytes, _, unmappable) = encoding.encode(text);
                (!unmappable).then(|| bytes.into_owned())
            }
        }
    }

    /// `bytes` as text, if they keep to this charset.
    pub(crate) fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Ascii => std::str::from_utf8(bytes).ok().map(str::to_owned),
            Self::Known(encoding) => {
                let (text, _, malformed) = encoding.decode(bytes);
                (!malformed).then(|| text.into_owned())
            }
        }
    }
}
