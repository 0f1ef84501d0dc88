//! Content transfer encodings (RFC 2045, 6): read strictly, written only around a change.

mod base64;
mod quoted_printable;

use std::ops::Range;

use crate::reason::Reason;

/// How the octets of a part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// 7bit, 8bit, binary or nothing said: as they are.
    Identity,
    QuotedPrintable,
    Base64,
}

/// Octets put in place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    pub(crate) range: Range<usize>,
    pub(crate) insert: Vec<u8>,
}

impl Transfer {
    /// The encoding that a field's value names, in lower case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "" | "7bit" | "8bit" | "binary" => Some(Self::Identity),
            "quoted-printable" => Some(Self::QuotedPrintable),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }

    /// The octets that `raw` stands for.
    ///
    /// # Errors
    /// [`Reason::Transfer`] where readers may differ on them.
    pub(crate) fn decode(self, raw: &[u8]) -> Result<Vec<u8>, Reason> {
        match self {
            Self::Identity => Ok(raw.to_vec()),
            Self::QuotedPrintable => quoted_printable::decode(raw),
            Self::Base64 => base64::decode(raw),
        }
    }

    /// The patch of `raw` that puts `addition` at offset `at` of what it stands for.
    ///
    /// # Errors
    /// [`Reason::Transfer`] where it does not come out so.
    pub(crate) fn insert(self, raw: &[u8], at: usize, addition: &[u8]) -> Result<Patch, Reason> {
        let patch = match self {
            Self::Identity => Patch {
                range: at..at,
                insert: addition.to_vec(),
            },
            Self::QuotedPrintable => quoted_printable::insert(raw, at, addition)?,
            Self::Base64 => base64::insert(raw, at, addition)?,
        };
        let failed = Reason::Transfer("the change does not decode to what was meant");
        let old = self.decode(raw)?;
        let new = self
            .decode(&patch.applied(raw))
            .map_err(|_| failed.clone())?;
        let (before, after) = old.split_at_checked(at).ok_or(failed.clone())?;
        match new == [before, addition, after].concat() {
            true => Ok(patch),
            false => Err(failed),
        }
    }

    /// Whole text in lines with CRLF, as this encoding writes it.
    ///
    /// # Errors
    /// [`Reason::Transfer`] where it does not come out so.
    pub(crate) fn encode(self, text: &[u8]) -> Result<Vec<u8>, Reason> {
        let raw = match self {
            Self::Identity => text.to_vec(),
            Self::QuotedPrintable => quoted_printable::encode(text),
            Self::Base64 => base64::encode(text),
        };
        match self.decode(&raw)? == text {
            true => Ok(raw),
            false => Err(Reason::Transfer("the text cannot be written in it")),
        }
    }
}

impl Patch {
    fn applied(&self, raw: &[u8]) -> Vec<u8> {
        let before = raw.get(..self.range.start).unwrap_or_default();
        let after = raw.get(self.range.end..).unwrap_or_default();
        [before, &self.insert, after].concat()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn inserted(transfer: Transfer, raw: &str, at: usize, addition: &str) -> String {
        let patch = transfer
            .insert(raw.as_bytes(), at, addition.as_bytes())
            .unwrap();
        String::from_utf8(patch.applied(raw.as_bytes())).unwrap()
    }

    #[test]
    fn quoted_printable_keeps_what_stands_around() {
        let raw = "Gr=c3=bc=C3=9Fe, a long =\r\nline\r\nend";
        assert_eq!(
            inserted(Transfer::QuotedPrintable, raw, 25, "\r\n-- \r\nF=\u{fc}"),
            "Gr=c3=bc=C3=9Fe, a long =\r\nline\r\nend\r\n--=20\r\nF=3D=C3=BC"
        );
        // In mid-line: only soft breaks are put around it.
        assert_eq!(
            inserted(Transfer::QuotedPrintable, "a=3Db\r\n", 2, "X\r\n"),
            "a=3D=\r\nX\r\nb\r\n"
        );
        assert_eq!(
            inserted(Transfer::QuotedPrintable, "ab=", 2, "\r\nX"),
            "ab=\r\n\r\nX"
        );
        assert_eq!(
            inserted(Transfer::QuotedPrintable, "ab \r\ncd\r\n", 4, "X\r\n"),
            "ab \r\nX\r\ncd\r\n"
        );
    }

    #[test]
    fn base64_keeps_what_stands_around() {
        assert_eq!(
            inserted(Transfer::Base64, "SGVsbG8NCg==\r\n", 7, "F\r\n"),
            "SGVsbG8N\r\nCkYNCg==\r\n"
        );
        // Three octets between others change nothing else.
        assert_eq!(
            inserted(Transfer::Base64, "QUJDREVG\r\n", 3, "xyz"),
            "QUJD\r\neHl6\r\nREVG\r\n"
        );
    }

    #[test]
    fn what_readers_take_differently_is_refused() {
        for raw in ["a=C", "a=ZZ", "a=C3\u{fc}", "a= \r\nb", "=\u{1}"] {
            assert!(
                Transfer::QuotedPrintable.decode(raw.as_bytes()).is_err(),
                "{raw:?}"
            );
        }
        for raw in ["SGVsbG8", "SGVsbG8NCg==SGVs", "SGV*bG8N", "SGVsbG9=\r\n"] {
            assert!(Transfer::Base64.decode(raw.as_bytes()).is_err(), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_takes_an_insertion_anywhere(
            text in "[ -~\u{e4}\t]{0,90}(\r\n[ -~\u{20ac}=.]{0,200}){0,4}",
            addition in "(\r\n)?[ -~\u{fc}]{0,100}(\r\n)?",
            at in any::<prop::sample::Index>(),
        ) {
            for transfer in [Transfer::QuotedPrintable, Transfer::Base64] {
                let raw = transfer.encode(text.as_bytes()).unwrap();
                prop_assert!(raw.split(|octet| *octet == b'\n').all(|line| line.len() <= 77));
                let at = at.index(text.len() + 1);
                // It checks itself that it decodes to what was meant.
                let patch = transfer.insert(&raw, at, addition.as_bytes());
                // Between CR and LF nothing is ever put.
                if !text.get(..at).is_some_and(|before| before.ends_with('\r')) {
                    prop_assert!(patch.is_ok(), "{:?} at {} of {:?}", patch, at, text);
                }
            }
        }
    }
}
