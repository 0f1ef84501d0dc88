//! Plain text: where the addition goes and in which lines (RFC 3676 for format=flowed).

use super::Place;
use crate::mime::structure::Part;

/// How the lines of a text are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// As they are.
    Fixed,
    /// A blank at the end joins a line to the next.
    Flowed,
}

impl Lines {
    pub(super) fn of(part: &Part) -> Self {
        let format = part
            .content_type
            .as_ref()
            .and_then(|kind| kind.get("format"));
        match format {
            Some(format) if format.value.eq_ignore_ascii_case(b"flowed") => Self::Flowed,
            _ => Self::Fixed,
        }
    }
}

/// Where `addition` goes into `text`, and the octets that are put there.
pub(super) fn insertion(
    text: &str,
    addition: &str,
    place: Place,
    lines: Lines,
    is_whole: bool,
) -> (usize, String) {
    let added: Vec<String> = addition.lines().map(|line| written(line, lines)).collect();
    let added = added.join("\r\n");
    if place == Place::Top {
        // A byte order mark stays first.
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        return (at, format!("{added}\r\n\r\n"));
    }
    let is_empty = text.trim_start_matches('\u{feff}').is_empty();
    let mut out = String::new();
    if !is_empty {
        if !text.ends_with("\r\n") {
            out.push_str("\r\n");
        }
        // An empty line would be joined to a last line that is flowed.
        if lines == Lines::Flowed && last_line(text).ends_with(' ') && last_line(text) != "-- " {
            out.push_str("\r\n");
        }
        out.push_str("\r\n");
    }
    out.push_str(&added);
    if is_whole || is_empty || text.ends_with("\r\n") {
        out.push_str("\r\n");
    }
    (text.len(), out)
}

fn last_line(text: &str) -> &str {
    let text = text.strip_suffix("\r\n").unwrap_or(text);
    text.rsplit("\r\n").next().unwrap_or_default()
}

/// A line of the operator, as it is written.
fn written(line: &str, lines: Lines) -> String {
    // The signature mark keeps its blank in every format (RFC 3676, 4.3).
    if lines == Lines::Fixed || line == "-- " {
        return line.to_owned();
    }
    let line = line.trim_end_matches(' ');
    let is_stuffed = line.starts_with([' ', '>']) || line.starts_with("From ");
    if is_stuffed {
        format!(" {line}")
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_gets_an_empty_line_and_keeps_how_it_ended() {
        let put = |text| insertion(text, "-- \nF ", Place::End, Lines::Fixed, false).1;
        assert_eq!(put("Hello\r\n"), "\r\n-- \r\nF \r\n");
        assert_eq!(put("Hello"), "\r\n\r\n-- \r\nF ");
        assert_eq!(put(""), "-- \r\nF \r\n");
    }

    #[test]
    fn flowed_lines_are_stuffed_and_end_hard() {
        let put = |text| {
            insertion(
                text,
                "-- \n> a \nFrom b\n c",
                Place::End,
                Lines::Flowed,
                true,
            )
            .1
        };
        assert_eq!(put("Hello\r\n"), "\r\n-- \r\n > a\r\n From b\r\n  c\r\n");
        assert_eq!(
            put("Hello \r\n"),
            "\r\n\r\n-- \r\n > a\r\n From b\r\n  c\r\n"
        );
    }

    #[test]
    fn a_banner_stands_before_all_but_the_byte_order_mark() {
        let put = |text| insertion(text, "B", Place::Top, Lines::Fixed, true);
        assert_eq!(put("Hello\r\n"), (0, "B\r\n\r\n".to_owned()));
        assert_eq!(put("\u{feff}Hello\r\n"), (3, "B\r\n\r\n".to_owned()));
    }
}
