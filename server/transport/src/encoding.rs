//! The small encodings of reports: xtext, quoted-printable, and text that may be shown.

/// Decodes xtext (RFC 3461 4). `None` if it is malformed or if the result has a control character.
pub(super) fn decode_xtext(octets: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        decoded.push(match octet {
            b'+' => hex(octets.next()?)? << 4 | hex(octets.next()?)?,
            _ => octet,
        });
    }
    let text = String::from_utf8(decoded).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// A text of strangers on one line: line ends become blanks, whatever is not printable ASCII is escaped, and what is
/// longer than `most` octets is cut.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for c in text.chars() {
        match c {
            ' '..='~' => shown.push(c),
            '\r' => {}
            '\n' | '\t' => shown.push(' '),
            _ => shown.extend(c.escape_default()),
        }
        if shown.len() > most {
            shown.truncate(most);
            shown.push_str("...");
            break;
        }
    }
    shown
}

/// Quoted-printable (RFC 2045 6.7). CRLF stays a line end; a CR or LF alone is encoded like any other octet.
pub(super) fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(octets.len() + octets.len() / 4);
    let mut column = 0;
    let mut rest = octets;
    while let Some((&octet, after)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            encoded.extend_from_slice(b"\r\n");
            column = 0;
            rest = rest.get(2..).unwrap_or_default();
            continue;
        }
        let at_end = after.is_empty() || after.starts_with(b"\r\n");
        let literal = match octet {
            b'=' => false,
            b'!'..=b'~' => true,
            b' ' | b'\t' => !at_end,
            _ => false,
        };
        if column + if literal { 1 } else { 3 } > 75 {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if literal {
            encoded.push(octet);
            column += 1;
        } else {
            encoded.extend_from_slice(format!("={octet:02X}").as_bytes());
            column += 3;
        }
        rest = after;
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded_or_refused_whole() {
        assert_eq!(decode_xtext(b"a+2Bb+3Dc").as_deref(), Some("a+b=c"));
        for bad in [&b"+"[..], b"+2", b"+2b", b"+0D+0A", b"", b"+FF", b"+00"] {
            assert_eq!(decode_xtext(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_strangers_say_stays_on_its_line() {
        assert_eq!(
            shown("a\r\nBcc: b\u{1b}[0m\u{e9}", 100),
            "a Bcc: b\\u{1b}[0m\\u{e9}"
        );
        assert_eq!(shown("abcdef", 3), "abc...");
    }

    #[test]
    fn quoted_printable_has_short_lines_and_no_stray_line_end() {
        let encoded = quoted_printable("Subject: \u{e9}=\r\n\tx \r\na\nb\rc\r\n".as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&encoded),
            "Subject: =C3=A9=3D\r\n\tx=20\r\na=0Ab=0Dc\r\n"
        );
        let long = quoted_printable(&[b'x'; 200]);
        assert!(long.split(|&o| o == b'\n').all(|line| line.len() <= 77));
    }
}
