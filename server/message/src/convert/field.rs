//! The values of the fields that say how a part is made (RFC 2045 5, 6).

/// The longest boundary that is looked for. RFC 2046 allows 70 octets.
pub(super) const LONGEST_BOUNDARY: usize = 200;

/// What a part is, as far as conversion goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text: in its encoded form it is read by people too.
    Text,
    /// Octets, or text whose types are for UTF-8 and may be encoded (RFC 6532, RFC 6533).
    Octets,
    /// Parts with this boundary between them.
    Multipart {
        boundary: Vec<u8>,
        /// Its parts are messages unless they say otherwise.
        digest: bool,
    },
    /// A message, with parts of its own.
    Message,
    /// Signed or encrypted.
    Protected,
    /// Of a type that must not be encoded.
    Unencodable,
    /// It cannot be told.
    Malformed,
}

/// What a Content-Transfer-Encoding says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// `7bit`, or nothing said.
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    QuotedPrintable,
    Base64,
    Unknown,
}

impl Encoding {
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut cursor = Cursor(value);
        let Some(word) = cursor.token() else {
            return Self::Unknown;
        };
        // Some write `8bit;`, and all read it.
        if !matches!(cursor.next(), None | Some(b';')) {
            return Self::Unknown;
        }
        match word.to_ascii_lowercase().as_slice() {
            b"7bit" => Self::SevenBit,
            b"8bit" => Self::EightBit,
            b"binary" => Self::Binary,
            b"quoted-printable" => Self::QuotedPrintable,
            b"base64" => Self::Base64,
            _ => Self::Unknown,
        }
    }

    /// The octets are as they are.
    pub(super) const fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

impl Kind {
    pub(super) fn parse(value: &[u8]) -> Self {
        let mut cursor = Cursor(value);
        let Some(kind) = cursor.token().map(<[u8]>::to_ascii_lowercase) else {
            return Self::Malformed;
        };
        let subtype = match cursor.next() {
            Some(b'/') => cursor.token().map(<[u8]>::to_ascii_lowercase),
            // As mail was before MIME.
            None if kind == b"text" => return Self::Text,
            _ => None,
        };
        let Some(subtype) = subtype else {
            return Self::Malformed;
        };
        match (kind.as_slice(), subtype.as_slice()) {
            (b"text", _) => Self::Text,
            (b"multipart", b"signed" | b"encrypted") => Self::Protected,
            (b"multipart", _) => match boundary(cursor) {
                Some(boundary) => Self::Multipart {
                    boundary,
                    digest: subtype == b"digest",
                },
                None => Self::Malformed,
            },
            (b"message", b"rfc822" | b"news") => Self::Message,
            (b"message", subtype) if subtype == b"global" || subtype.starts_with(b"global-") => {
                Self::Octets
            }
            (b"message", _) => Self::Unencodable,
            (
                b"application",
                b"pkcs7-mime" | b"x-pkcs7-mime" | b"pkcs7-signature" | b"x-pkcs7-signature",
            ) => Self::Protected,
            _ => Self::Octets,
        }
    }
}

/// The boundary among the parameters. `None` where it is not there once, or is none that can be looked for.
fn boundary(mut cursor: Cursor<'_>) -> Option<Vec<u8>> {
    let mut found = None;
    loop {
        match cursor.next() {
            None => break,
            Some(b';') => {}
            Some(_) => return None,
        }
        // A semicolon behind the last parameter is common.
        let Some(name) = cursor.token() else { continue };
        if cursor.next() != Some(b'=') {
            return None;
        }
        let value = cursor.value()?;
        // In the manner of RFC 2231 it is a boundary to some and none to others.
        if name.len() > 8
            && name
                .get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"boundary*"))
        {
            return None;
        }
        if name.eq_ignore_ascii_case(b"boundary") && found.replace(value).is_some() {
            return None;
        }
    }
    let fine = |boundary: &Vec<u8>| {
        let visible = boundary.iter().all(|octet| matches!(octet, b' '..=b'~'));
        visible && (1..=LONGEST_BOUNDARY).contains(&boundary.len()) && !boundary.ends_with(b" ")
    };
    found.filter(fine)
}

/// Goes through a structured value: words, quoted strings and single characters, without white space and comments.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// The next octet that is no white space and not in a comment.
    fn next(&mut self) -> Option<u8> {
        self.skip();
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        self.skip();
        let is_of_token =
            |octet: &u8| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(octet);
        let length = self.0.iter().take_while(|octet| is_of_token(octet)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then_some(token)
    }

    /// A value of a parameter. Without quotes it may have what it must not have: many boundaries do.
    fn value(&mut self) -> Option<Vec<u8>> {
        self.skip();
        let Some(quoted) = self.0.strip_prefix(b"\"") else {
            let ends =
                |octet: &u8| matches!(octet, b';' | b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'(');
            let length = self.0.iter().position(ends).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(length);
            self.0 = rest;
            return Some(value.to_vec());
        };
        let mut value = Vec::new();
        let mut octets = quoted.iter().enumerate();
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'"' => {
                    self.0 = quoted.get(at + 1..).unwrap_or_default();
                    return Some(value);
                }
                b'\\' => value.extend(octets.next().map(|(_, &octet)| octet)),
                // Folds are no part of it.
                b'\r' | b'\n' => {}
                _ => value.push(octet),
            }
        }
        None
    }

    fn skip(&mut self) {
        let mut depth = 0u32;
        while let Some((&first, rest)) = self.0.split_first() {
            match first {
                b'(' => depth = depth.saturating_add(1),
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.0 = rest.get(1..).unwrap_or_default();
                    continue;
                }
                b' ' | b'\t' | b'\r' | b'\n' => {}
                _ if depth > 0 => {}
                _ => return,
            }
            self.0 = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn multipart(boundary: &str) -> Kind {
        Kind::Multipart {
            boundary: boundary.as_bytes().to_vec(),
            digest: false,
        }
    }

    #[test]
    fn types_are_told_apart() {
        for (value, kind) in [
            (" text/plain; charset=utf-8", Kind::Text),
            (" TEXT/HTML", Kind::Text),
            ("text", Kind::Text),
            (" (a (nested) comment) image/(x)png", Kind::Octets),
            (" message/rfc822", Kind::Message),
            (" message/global", Kind::Octets),
            (" message/partial; id=x; number=1", Kind::Unencodable),
            (" message/delivery-status", Kind::Unencodable),
            (" multipart/signed; boundary=x", Kind::Protected),
            (
                " application/pkcs7-mime; smime-type=enveloped-data",
                Kind::Protected,
            ),
            ("", Kind::Malformed),
            (" text plain", Kind::Malformed),
            (" image", Kind::Malformed),
        ] {
            assert_eq!(Kind::parse(value.as_bytes()), kind, "{value:?}");
        }
    }

    #[test]
    fn boundaries_are_found_or_the_type_is_none() {
        for (value, kind) in [
            ("multipart/mixed; boundary=abc", multipart("abc")),
            (
                "multipart/mixed;\r\n\tboundary=\"a b\\\"c\"",
                multipart("a b\"c"),
            ),
            (
                "multipart/mixed; charset=x; BOUNDARY=\"=_x/y\";",
                multipart("=_x/y"),
            ),
            (
                "multipart/mixed; boundary=----=_Part_1",
                multipart("----=_Part_1"),
            ),
            ("multipart/mixed", Kind::Malformed),
            ("multipart/mixed; boundary=\"\"", Kind::Malformed),
            ("multipart/mixed; boundary=a; boundary=b", Kind::Malformed),
            ("multipart/mixed; boundary*=us-ascii''a", Kind::Malformed),
            ("multipart/mixed boundary=a", Kind::Malformed),
            ("multipart/mixed; boundary=\"a", Kind::Malformed),
        ] {
            assert_eq!(Kind::parse(value.as_bytes()), kind, "{value:?}");
        }
        let long = format!(
            "multipart/mixed; boundary={}",
            "x".repeat(LONGEST_BOUNDARY + 1)
        );
        assert_eq!(Kind::parse(long.as_bytes()), Kind::Malformed);
        let digest = Kind::parse(b"multipart/digest; boundary=x");
        assert_eq!(
            digest,
            Kind::Multipart {
                boundary: b"x".to_vec(),
                digest: true
            }
        );
    }

    #[test]
    fn encodings_are_words() {
        for (value, encoding) in [
            (" 7bit", Encoding::SevenBit),
            (" 8BIT ", Encoding::EightBit),
            ("\r\n binary", Encoding::Binary),
            (" Quoted-Printable (soft)", Encoding::QuotedPrintable),
            (" base64;", Encoding::Base64),
            (" base64 x", Encoding::Unknown),
            (" x-uuencode", Encoding::Unknown),
            ("", Encoding::Unknown),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()), encoding, "{value:?}");
        }
    }
}
