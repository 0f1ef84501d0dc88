//! Colour on terminals, and none anywhere else.

use std::fmt::Display;
use std::io::IsTerminal;

/// Whether what is printed is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For a stream: in colour on a terminal, unless `NO_COLOR` is set or the terminal is a dumb one.
    pub(crate) fn on(stream: &impl IsTerminal) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(stream.is_terminal() && !is_set("NO_COLOR") && !is_dumb)
    }

    /// In no colour.
    #[cfg(test)]
    pub(crate) const fn none() -> Self {
        Self(false)
    }

    /// What is wrong.
    pub(crate) fn red(self, text: impl Display) -> String {
        self.dress("1;31", text)
    }

    /// What needs a look.
    pub(crate) fn yellow(self, text: impl Display) -> String {
        self.dress("33", text)
    }

    /// What is well, or was added.
    pub(crate) fn green(self, text: impl Display) -> String {
        self.dress("32", text)
    }

    /// Names.
    pub(crate) fn cyan(self, text: impl Display) -> String {
        self.dress("36", text)
    }

    /// Titles.
    pub(crate) fn bold(self, text: impl Display) -> String {
        self.dress("1", text)
    }

    /// What is there beside what counts.
    pub(crate) fn dim(self, text: impl Display) -> String {
        self.dress("2", text)
    }

    fn dress(self, code: &str, text: impl Display) -> String {
        match self.0 {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_coloured_has_escapes() {
        assert_eq!(Paint(false).red("x"), "x");
        assert_eq!(Paint(true).red("x"), "\u{1b}[1;31mx\u{1b}[0m");
        let file = tempfile::tempfile();
        assert_eq!(file.map(|file| Paint::on(&file)).ok(), Some(Paint::none()));
    }
}
