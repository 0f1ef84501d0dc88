//! What is in a store, page by page, for people and for tools.

use std::time::SystemTime;

use postern_message::MessageId;

/// Most entries on one page, whatever is asked for.
pub const MOST_ON_A_PAGE: usize = 1000;

/// The stage of a message, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// [`Stage::At`](crate::Stage::At) the point of the submission.
    Submit,
    /// [`Stage::At`](crate::Stage::At) any other point.
    Categorize,
    /// [`Stage::Deliver`](crate::Stage::Deliver)
    Deliver,
    /// [`Stage::Held`](crate::Stage::Held)
    Held,
    /// [`Stage::Quarantined`](crate::Stage::Quarantined)
    Quarantined,
    /// [`Stage::OnHold`](crate::Stage::OnHold)
    OnHold,
    /// Set aside because something of it is damaged.
    Damaged,
}

/// A text with `*` for any run of characters. ASCII letters fit in upper and lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// As it is written.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Of all texts that have this one in them. A `*` in it is one.
    #[must_use]
    pub fn containing(text: &str) -> Self {
        Self(format!("*{text}*"))
    }

    /// Whether a text fits.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        let pattern = self.0.to_ascii_lowercase();
        let Some((first, rest)) = pattern.split_once('*') else {
            return text == pattern;
        };
        let Some(mut left) = text.strip_prefix(first) else {
            return false;
        };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        // The first place where a part stands leaves most for those behind it.
        for part in middle.split('*') {
            let Some(at) = left.find(part) else {
                return false;
            };
            left = left.get(at + part.len()..).unwrap_or_default();
        }
        left.ends_with(last)
    }

    /// The same for `LIKE … ESCAPE '\'`.
    pub(crate) fn as_like(&self) -> String {
        let mut like = String::with_capacity(self.0.len());
        for one in self.0.chars() {
            match one {
                '*' => like.push('%'),
                '%' | '_' | '\\' => like.extend(['\\', one]),
                _ => like.push(one),
            }
        }
        like
    }
}

/// Which messages are listed: those that fit everything that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// This one.
    pub id: Option<MessageId>,
    /// At this stage.
    pub stage: Option<StageKind>,
    /// From such a sender, as it was given; that of the null path is empty.
    pub sender: Option<Pattern>,
    /// With such a recipient, as it is or as it was given. Looked for in the records.
    pub recipient: Option<Pattern>,
    /// With recipients that wait for such a destination after an attempt.
    pub destination: Option<Pattern>,
    /// Received before this time.
    pub received_before: Option<SystemTime>,
    /// With such a reason.
    pub reason: Option<Pattern>,
    /// With more octets than this.
    pub larger_than: Option<u64>,
    /// With at least so many attempts behind a recipient.
    pub attempts: Option<u32>,
    /// Kept or put off by this binding, see [`Stage::kept_by`](crate::Stage::kept_by). Looked for in the stages.
    pub kept_by: Option<String>,
    /// Waiting for the sink of one of these bindings, see [`Stage::waits_for`](crate::Stage::waits_for). Empty: any
    /// message.
    pub waits_for: Vec<String>,
}

/// Which part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// After this message; `None`: from the first on.
    pub after: Option<MessageId>,
    /// At most so many, and never more than [`MOST_ON_A_PAGE`].
    pub limit: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            after: None,
            limit: 100,
        }
    }
}

/// A message in the list. The order is that of their ids, which is that of their arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub id: MessageId,
    /// Where it stands.
    pub stage: StageKind,
    /// When it is looked at next; `None`: not by itself.
    pub due: Option<SystemTime>,
    /// The virtual server that accepted it.
    pub server: String,
    /// The sender's address; empty for the null path.
    pub sender: String,
    /// Octets of the content.
    pub size: u64,
    /// When it was received.
    pub received: SystemTime,
    /// Recipients, those that are done included.
    pub recipients: u32,
    /// The most attempts that any recipient has behind it.
    pub attempts: u32,
    /// Why it is still here, in the words of the last attempt, of the binding that keeps it, or of
    /// the damage; `None` before the first attempt.
    pub reason: Option<String>,
    /// The destinations that it waits for after an attempt.
    pub waiting: Vec<Waiting>,
}

/// What waits for one destination after an attempt, but for what an operator holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The destination, as the configuration writes it.
    pub destination: String,
    /// Messages.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// When the first of them is tried again.
    pub next: SystemTime,
    /// Why that one waits.
    pub reason: String,
}

/// What is from one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FromSender {
    /// Its address, as it was given; empty for the null path.
    pub sender: String,
    /// Messages.
    pub messages: u64,
    /// Their octets.
    pub octets: u64,
    /// When the oldest was received.
    pub oldest: SystemTime,
}

/// Recipients of one message that wait for one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The destination, as the configuration writes it.
    pub destination: String,
    /// When they are tried again.
    pub due: SystemTime,
    /// How many they are.
    pub recipients: u32,
    /// Attempts so far.
    pub attempts: u32,
    /// The words of the last one.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_everything_else_itself() {
        let fits = |pattern: &str, text: &str| Pattern::new(pattern).fits(text);
        for (pattern, text) in [
            ("a@b.test", "A@b.TEST"),
            ("*", ""),
            ("*", "x"),
            ("*@b.test", "a@b.test"),
            ("a*", "a"),
            ("a*b*c", "a-b-b-c"),
            ("*b*b*", "abb"),
            ("a**c", "abc"),
            ("", ""),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a@b.test", "xa@b.test"),
            ("a*a", "a"),
            ("*b*b*", "ab"),
            ("a_c", "abc"),
            ("", "x"),
            ("a*b*c", "a-c-b"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
        assert!(Pattern::containing("time").fits("no time left"));
        assert_eq!(Pattern::new("50%_*\\").as_like(), "50\\%\\_%\\\\");
    }
}
