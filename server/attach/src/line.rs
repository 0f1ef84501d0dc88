//! A sink's words made fit for one line of a log.

/// Returns `text` without control characters, cut to `most` characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_length_is_bounded() {
        assert_eq!(one_line("a\r\nb\u{1b}[0mc", 100), "ab[0mc");
        assert_eq!(one_line("ääääb", 4), "ääää");
    }
}
