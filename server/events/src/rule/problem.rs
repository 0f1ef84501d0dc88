//! What can be wrong with a rule.

/// Why a rule does not parse: what, and at which octet, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule:?}, column {column}: {problem}")]
pub struct RuleError {
    /// The whole rule.
    pub rule: String,
    /// Octet where it went wrong, from 1.
    pub column: usize,
    /// What went wrong.
    pub problem: RuleProblem,
}

/// What can be wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleProblem {
    /// Two semicolons in a row, or one at an end.
    #[error("a condition is missing; conditions are joined by single semicolons")]
    EmptyCondition,
    /// A command with a pattern that is not one of the three.
    #[error("{0:?} takes no pattern; patterns go with EHLO, MAIL FROM and RCPT TO")]
    Command(String),
    /// A keyword that no verb can be.
    #[error("{0:?} is not a command; a verb is up to 32 letters, digits and hyphens")]
    Keyword(String),
    /// Nothing behind the equals sign.
    #[error("a pattern is missing behind '='; use '*' for any")]
    EmptyPattern,
    /// A star in the middle.
    #[error(
        "'*' stands at the beginning or the end of a name, and only at the beginning of a domain"
    )]
    Star,
    /// A second `@`, or blanks and controls.
    #[error("{0:?} cannot be in a pattern")]
    Character(char),
}

/// A problem with its octet, counted from 0.
pub(super) type Located = (usize, RuleProblem);
