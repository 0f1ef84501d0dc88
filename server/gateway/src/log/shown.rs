//! Text of strangers, fit for a line of a log or a terminal: what cannot be seen, or turns the text around it, is shown as an
//! escape.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Ranges of what has no shape of its own: formats and separators of Unicode (categories Cf, Zl and Zp), and the controls
/// above ASCII.
const UNSEEN: [(char, char); 21] = [
    ('\u{7f}', '\u{9f}'),
    ('\u{ad}', '\u{ad}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{180e}', '\u{180e}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{fff9}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0001}', '\u{e0001}'),
    ('\u{e0020}', '\u{e007f}'),
];

/// Whether it is no plain character of a text. Tabs are.
pub(crate) fn is_unseen(c: char) -> bool {
    match c {
        '\t' => false,
        ' '..='~' => false,
        '\0'..='\u{1f}' => true,
        c => UNSEEN.iter().any(|(from, to)| (*from..=*to).contains(&c)),
    }
}

/// One line of the log. Where it is `coloured` escape sequences stay: they are the formatter's, which escapes those of others.
pub(super) fn of_octets(line: &[u8], coloured: bool) -> Cow<'_, [u8]> {
    let plain = |octet: &u8| matches!(octet, b' '..=b'~' | b'\t') || coloured && *octet == 0x1b;
    if line.iter().all(plain) {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\u{1b}' if coloured => shown.push(c),
            c if is_unseen(c) => {
                // A string takes whatever is written to it.
                let _written = write!(shown, "\\u{{{:x}}}", u32::from(c));
            }
            c => shown.push(c),
        }
    }
    Cow::Owned(shown.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x14_what_hides_or_turns_text_is_shown_and_the_rest_stays() {
        for (text, shown) in [
            ("a plain line\twith a tab", "a plain line\twith a tab"),
            ("Grüße, 日本語, e\u{301}, 👍🏽", "Grüße, 日本語, e\u{301}, 👍🏽"),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                "a\\u{202e}b\\u{2066}c\\u{200f}",
            ),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("one\ntwo\r\u{2028}\u{85}", "one\\ntwo\\r\\u{2028}\\u{85}"),
            (
                "\0\u{7f}\u{9b}31m\u{e0041}",
                "\\u{0}\\u{7f}\\u{9b}31m\\u{e0041}",
            ),
        ] {
            assert_eq!(of_octets(text.as_bytes(), false), shown.as_bytes());
        }
        let red = "\u{1b}[31m";
        assert_eq!(of_octets(red.as_bytes(), false), b"\\u{1b}[31m".as_slice());
        assert_eq!(of_octets(red.as_bytes(), true), red.as_bytes());
        assert_eq!(of_octets(b"\xff\n", false), "\u{fffd}\\n".as_bytes());
    }

    #[test]
    fn x14_the_ranges_are_in_order_and_hold_what_turns_text() {
        assert!(UNSEEN.iter().all(|(from, to)| from <= to));
        assert!(UNSEEN.windows(2).all(|pair| pair[0].1 < pair[1].0));
        for bidi in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".chars() {
            assert!(is_unseen(bidi), "{bidi:?}");
        }
    }
}
