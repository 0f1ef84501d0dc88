//! Verbs and keywords that sinks add to a virtual server.

use postern_smtp::reply::ReplyText;
use postern_smtp::server::{AddedVerb, Additions, is_own_keyword, is_own_verb};

use super::Binding;
use super::pin::PinnedVerb;

/// Octets of a verb's line for HELP.
const MAX_HELP: usize = 200;

/// Octets of a keyword with its arguments.
const MAX_KEYWORD: usize = 480;

/// Verbs, and keywords, of one sink, and of one virtual server.
pub const MAX_ADDED: usize = 32;

/// Checks a verb that a sink wants to add.
///
/// # Errors
/// Why it cannot.
pub fn verb(name: &[u8], help: &[u8]) -> Result<PinnedVerb, &'static str> {
    let is_word = (1..=32).contains(&name.len())
        && name
            .iter()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'-');
    if !is_word {
        return Err("it is not 1 to 32 upper-case letters, digits and hyphens");
    }
    if is_own_verb(name) {
        return Err("the service has that verb itself");
    }
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    if help.len() > MAX_HELP || !is_text(help) {
        return Err("its line for HELP is longer than 200 octets, or not printable ASCII");
    }
    Ok(PinnedVerb {
        name: text(name),
        help: text(help),
    })
}

/// Checks a keyword that a sink wants to add, with its arguments.
///
/// # Errors
/// Why it cannot.
pub fn keyword(line: &[u8]) -> Result<String, &'static str> {
    let word = line.split(|b| *b == b' ').next().unwrap_or_default();
    let is_word = word.first().is_some_and(u8::is_ascii_alphanumeric)
        && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if !is_word || line.len() > MAX_KEYWORD || !is_text(line) {
        return Err("it is no keyword with arguments in printable ASCII (RFC 5321 4.1.1.1)");
    }
    if is_own_keyword(word) {
        return Err("the service has that keyword itself");
    }
    Ok(String::from_utf8_lossy(line).into_owned())
}

fn is_text(octets: &[u8]) -> bool {
    octets.iter().all(|b| (0x20..0x7f).contains(b))
}

/// What the bindings of a virtual server add to it, each word once, by who comes first.
pub(super) fn of<'a>(bindings: impl Iterator<Item = &'a Binding>) -> Additions {
    let mut all = Additions::default();
    for binding in bindings {
        for own in &binding.verbs {
            if all.verbs.len() < MAX_ADDED && all.verb(own.name.as_bytes()).is_none() {
                all.verbs.push(AddedVerb {
                    name: own.name.clone(),
                    help: ReplyText::lossy(&own.help),
                });
            }
        }
        for line in &binding.ehlo_keywords {
            let word = |line: &str| {
                let word = line.split(' ').next().unwrap_or_default();
                word.to_ascii_uppercase()
            };
            let mut known = all.keywords.iter();
            if all.keywords.len() < MAX_ADDED && !known.any(|own| word(own.as_str()) == word(line))
            {
                all.keywords.push(ReplyText::lossy(line));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn verbs_and_keywords_are_words_that_the_service_does_not_have() {
        for good in ["XTALK", "X-1", "LONGER"] {
            assert_eq!(verb(good.as_bytes(), b"").unwrap().name, good);
        }
        for bad in [
            "",
            "xtalk",
            "X TALK",
            "NOOP",
            "AUTH",
            "X\r\nQUIT",
            &"X".repeat(33),
        ] {
            assert!(verb(bad.as_bytes(), b"").is_err(), "{bad:?}");
        }
        assert!(verb(b"XTALK", b"a\r\n250 b").is_err());
        assert!(verb(b"XTALK", &[b'x'; 201]).is_err());
        for good in ["XTALK", "XTALK a=1 b", "x-y"] {
            assert_eq!(keyword(good.as_bytes()).unwrap(), good);
        }
        for bad in ["", " X", "AUTH PLAIN", "starttls", "X\r\nAUTH", "X_Y", "-X"] {
            assert!(keyword(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
