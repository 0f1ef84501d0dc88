//! Line ends of content from sinks: CRLF, and neither half of it alone (RFC 5321, section 2.3.8).

use crate::fault::Fault;

/// Checks octets that become part of the content. A bare CR or LF is the sink's failure here, not a bounce later.
///
/// # Errors
/// The place of the first one.
pub(crate) fn lines(octets: &[u8], what: &str) -> Result<(), Fault> {
    let mut before = 0;
    for (at, octet) in octets.iter().copied().enumerate() {
        let bare = match (before, octet) {
            (b'\r', b'\n') => None,
            (b'\r', _) => Some(("CR", at - 1)),
            (_, b'\n') => Some(("LF", at)),
            _ => None,
        };
        if let Some((name, at)) = bare {
            return Err(Fault::protocol(format!(
                "{what} has a bare {name} at octet {at}; lines end in CRLF"
            )));
        }
        before = octet;
    }
    if before == b'\r' {
        return Err(Fault::protocol(format!(
            "{what} ends in a bare CR; lines end in CRLF"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_line_ends_pass() {
        for good in ["", "a", "a\r\n", "\r\n\r\n", "\r\na\r\nb"] {
            assert!(lines(good.as_bytes(), "it").is_ok(), "{good:?}");
        }
        for bad in ["\n", "\r", "a\nb", "a\rb", "a\r\n\n", "a\r\r\n", "a\r\n\r"] {
            assert!(lines(bad.as_bytes(), "it").is_err(), "{bad:?}");
        }
    }
}
