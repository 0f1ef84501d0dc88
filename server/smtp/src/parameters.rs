//! ESMTP parameters of MAIL and RCPT, typed.

mod grammar;

use std::borrow::Cow;

use bytes::Bytes;

pub use grammar::ParameterError;
pub(crate) use grammar::size_value;

/// `BODY=` of MAIL (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Body {
    /// `7BIT`, or nothing said.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`: only with BDAT.
    BinaryMime,
}

impl Body {
    /// The value as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

/// `RET=` of MAIL (RFC 3461 4.3): what a failure report returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: its header section.
    Headers,
}

impl Ret {
    /// The value as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

/// A string in xtext (RFC 3461 4), kept encoded; what it decodes to is printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Xtext(Box<str>);

impl Xtext {
    /// Checks encoded text: 33 to 126 without `+` and `=`, and `+` with two upper-case hexadecimal
    /// digits that stand for a printable ASCII character. `None` for anything else.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Option<Self> {
        let mut rest = raw;
        while let Some((&first, tail)) = rest.split_first() {
            rest = match (first, tail) {
                (b'+', [high, low, tail @ ..]) => {
                    let byte = hex(*high)? * 16 + hex(*low)?;
                    if !matches!(byte, 32..=126) {
                        return None;
                    }
                    tail
                }
                (b'+' | b'=', _) => return None,
                (33..=126, tail) => tail,
                _ => return None,
            };
        }
        std::str::from_utf8(raw).ok().map(|text| Self(text.into()))
    }

    /// Encodes printable ASCII. `None` if `plain` holds anything else.
    #[must_use]
    pub fn encode(plain: &str) -> Option<Self> {
        use std::fmt::Write;
        let mut encoded = String::with_capacity(plain.len());
        for byte in plain.bytes() {
            match byte {
                b'+' | b'=' | b' ' => write!(encoded, "+{byte:02X}").ok()?,
                33..=126 => encoded.push(char::from(byte)),
                _ => return None,
            }
        }
        Some(Self(encoded.into()))
    }

    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it stands for.
    #[must_use]
    pub fn decode(&self) -> Cow<'_, str> {
        if !self.0.contains('+') {
            return Cow::Borrowed(&self.0);
        }
        let mut plain = String::with_capacity(self.0.len());
        let mut bytes = self.0.bytes();
        while let Some(byte) = bytes.next() {
            let byte = if byte == b'+' {
                let high = bytes.next().and_then(hex).unwrap_or_default();
                high * 16 + bytes.next().and_then(hex).unwrap_or_default()
            } else {
                byte
            };
            plain.push(char::from(byte));
        }
        Cow::Owned(plain)
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// `NOTIFY=` of RCPT (RFC 3461 4.1). All false is `NEVER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify {
    /// `SUCCESS`.
    pub success: bool,
    /// `FAILURE`.
    pub failure: bool,
    /// `DELAY`.
    pub delay: bool,
}

impl Notify {
    /// `NEVER`.
    pub const NEVER: Self = Self {
        success: false,
        failure: false,
        delay: false,
    };

    /// Whether no report at all is wanted.
    #[must_use]
    pub const fn is_never(self) -> bool {
        !(self.success || self.failure || self.delay)
    }
}

impl std::fmt::Display for Notify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_never() {
            return f.write_str("NEVER");
        }
        let words = [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ];
        let mut comma = "";
        for word in words.iter().filter_map(|&(on, word)| on.then_some(word)) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// `ORCPT=` of RCPT (RFC 3461 4.2, RFC 6533): `type;address`, the address kept encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Orcpt {
    raw: Box<str>,
    semicolon: usize,
}

impl Orcpt {
    /// The address type, `rfc822` or `utf-8` mostly, case as it came.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.raw.get(..self.semicolon).unwrap_or_default()
    }

    /// The address in its encoding: xtext, or the forms of RFC 6533 for `utf-8`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.raw.get(self.semicolon + 1..).unwrap_or_default()
    }

    /// The whole value as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.raw
    }
}

/// One parameter as it came: `KEYWORD` or `KEYWORD=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RawParameter {
    /// The keyword, case as it came.
    pub keyword: Bytes,
    /// What follows the `=`.
    pub value: Option<Bytes>,
}

/// The parameters of MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// `SIZE=`: octets that the client announces (RFC 1870).
    pub size: Option<u64>,
    /// `BODY=`, if it was given.
    pub body: Option<Body>,
    /// `SMTPUTF8` (RFC 6531).
    pub smtp_utf8: bool,
    /// `RET=` (RFC 3461).
    pub ret: Option<Ret>,
    /// `ENVID=` (RFC 3461).
    pub envid: Option<Xtext>,
    /// `MT-PRIORITY=`, -9 to 9 (RFC 6710).
    pub priority: Option<i8>,
    /// AUTH: whom the client names as the first sender (RFC 4954 5), `<>` for nobody it knows. Not to be believed.
    pub auth: Option<Xtext>,
    /// All of them as they came, in order.
    pub raw: Vec<RawParameter>,
}

/// The parameters of RCPT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParameters {
    /// `NOTIFY=` (RFC 3461).
    pub notify: Option<Notify>,
    /// `ORCPT=` (RFC 3461).
    pub orcpt: Option<Orcpt>,
    /// All of them as they came, in order.
    pub raw: Vec<RawParameter>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn notify_is_written_as_it_is_read() {
        let notify = Notify {
            success: true,
            failure: false,
            delay: true,
        };
        assert_eq!(notify.to_string(), "SUCCESS,DELAY");
        assert_eq!(Notify::NEVER.to_string(), "NEVER");
    }

    #[test]
    fn orcpt_keeps_its_encoding() {
        let orcpt = Orcpt::parse(b"RFC822;a+2Bb@x.test", false).unwrap();
        assert_eq!(
            (orcpt.kind(), orcpt.address(), orcpt.as_str()),
            ("RFC822", "a+2Bb@x.test", "RFC822;a+2Bb@x.test")
        );
        let utf8 = "utf-8;grün@x.test".as_bytes();
        assert_eq!(
            (
                Orcpt::parse(utf8, true).is_some(),
                Orcpt::parse(utf8, false).is_some()
            ),
            (true, false)
        );
    }

    proptest! {
        #[test]
        fn xtext_comes_back(plain in "[ -~]{0,40}") {
            let encoded = Xtext::encode(&plain).unwrap();
            prop_assert_eq!(encoded.decode(), plain);
            prop_assert_eq!(Xtext::parse(encoded.as_str().as_bytes()), Some(encoded));
        }

        #[test]
        fn what_is_no_xtext_is_refused(raw in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Some(xtext) = Xtext::parse(&raw) {
                prop_assert_eq!(xtext.as_str().as_bytes(), &raw[..]);
                prop_assert!(xtext.decode().bytes().all(|b| matches!(b, 32..=126)));
            }
        }
    }
}
