//! Text with something put around ranges of it.

use std::ops::Range;

/// Something that is put around a range. Never a new line, so that lines keep their numbers.
pub struct Wrap {
    pub range: Range<usize>,
    pub before: String,
    pub after: String,
    /// What is there is left out.
    pub instead: bool,
}

/// The text with all wraps. They nest or lie apart; of two around the same range the first is the outer one.
pub fn apply(text: &str, wraps: &[&Wrap]) -> String {
    // At one place what closes comes before what opens, the inner before the outer; then the outer opens before the inner.
    let mut opening: Vec<(usize, &&Wrap)> = wraps.iter().enumerate().collect();
    opening.sort_by_key(|(order, wrap)| (wrap.range.start, usize::MAX - wrap.range.end, *order));
    let mut made = String::with_capacity(text.len() * 2);
    let mut open: Vec<&Wrap> = Vec::new();
    let mut at = 0;
    let close = |open: &mut Vec<&Wrap>, made: &mut String, at: &mut usize, until: usize| {
        while let Some(inner) = open.pop_if(|inner| inner.range.end <= until) {
            if inner.range.end > *at {
                if !inner.instead {
                    made.push_str(&text[*at..inner.range.end]);
                }
                *at = inner.range.end;
            }
            made.push_str(&inner.after);
        }
    };
    for (_, wrap) in opening {
        // An empty range at the end of another one lies within it.
        let until = wrap.range.start;
        close(&mut open, &mut made, &mut at, until);
        if until > at {
            made.push_str(&text[at..until]);
            at = until;
        }
        made.push_str(&wrap.before);
        open.push(wrap);
    }
    close(&mut open, &mut made, &mut at, usize::MAX);
    made.push_str(&text[at..]);
    made
}
