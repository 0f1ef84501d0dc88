//! Answers that the client reads.

use bytes::Bytes;
use postern_smtp::reply::Reply;

/// Another reply than the one about to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseAnswer {
    /// Instead of it, with the same first digit. Of a reply to EHLO only the first line is replaced.
    pub reply: Option<Reply>,
    /// Lines put after it; in a reply to EHLO or LHLO keywords with their arguments.
    pub added_lines: Vec<Bytes>,
    /// Keywords taken out of a reply to EHLO or LHLO, upper case. The service then refuses their use.
    pub removed_keywords: Vec<Bytes>,
}

impl ResponseAnswer {
    /// The last reply counts; lines and keywords add up.
    pub(crate) fn then(mut self, later: Self) -> Self {
        self.reply = later.reply.or(self.reply);
        self.added_lines.extend(later.added_lines);
        self.removed_keywords.extend(later.removed_keywords);
        self
    }
}

/// A step of a dialogue that a sink carries on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialogueAnswer {
    /// What goes to the client now. `None`: nothing.
    pub reply: Option<Reply>,
    /// What the sink wants next. `None`: the dialogue is over.
    pub expects: Option<Expects>,
}

impl DialogueAnswer {
    pub(crate) fn then(self, later: Self) -> Self {
        later
    }
}

/// What a dialogue waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// One line, without CRLF, at most this long. 0: the server's limit.
    Line(u64),
    /// So many octets, as they are.
    Octets(u64),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn replies_replace_and_lines_add_up() {
        let of = |text: Option<&str>, line: &'static str| ResponseAnswer {
            reply: text.map(|text| Reply::parse(250, None, text).unwrap()),
            added_lines: vec![Bytes::from_static(line.as_bytes())],
            removed_keywords: Vec::new(),
        };
        let both = of(Some("a"), "X-A").then(of(None, "X-B"));
        assert_eq!(both.added_lines, ["X-A", "X-B"]);
        assert_eq!(both.reply, of(Some("a"), "").reply);
        let last = both.then(of(Some("c"), "X-C"));
        assert_eq!(last.reply, of(Some("c"), "").reply);
    }
}
