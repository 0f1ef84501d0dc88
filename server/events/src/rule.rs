//! The original rule grammar of bindings.
//!
//! ```text
//! rule            = condition *( ";" condition )
//! condition       = command "=" pattern / keyword
//! command         = "EHLO" / "MAIL FROM" / "RCPT TO"
//! keyword         = "EHLO" / "MAIL" / "MAIL FROM" / "RCPT" / "RCPT TO" / "DATA" / "EOD" / other verbs
//! pattern         = address-pattern                         ; MAIL FROM, RCPT TO
//!                 / domain-pattern                          ; EHLO
//! address-pattern = name-pattern [ "@" domain-pattern ]
//! name-pattern    = "*" / [ "*" ] name [ "*" ]
//! domain-pattern  = [ "*" ] [ domain ]
//! ```
//!
//! All conditions must hold. A condition on RCPT TO holds if any recipient matches. A keyword alone means any
//! argument. Matching is without regard to case. `*example.com` matches every name that ends so,
//! `notexample.com` too: there is no dot boundary in the original, and none here. A name pattern without `@` is
//! compared with the local part of the address. The empty rule always holds.
//!
//! At `inbound.command` and `inbound.response` a rule selects the command: one of its conditions must be on the command
//! in hand, and is matched with what that command says; the others must hold by what was accepted before. So it is at
//! `outbound.command` and `outbound.response`, where the others hold by the message that is being sent.

mod pattern;
mod problem;

use std::fmt;

use postern_proto::v1 as pb;

use crate::event::EventKind;

use pattern::{AddressPattern, Glob, parse_address, parse_domain};
use problem::Located;

pub use problem::{RuleError, RuleProblem};

/// What a rule is matched against. Nothing is allocated for it.
pub trait RuleFacts {
    /// The argument of HELO, EHLO or LHLO, once it was given.
    fn helo(&self) -> Option<&str>;
    /// The sender without angle brackets, empty for the null sender, once it was given.
    fn sender(&self) -> Option<&str>;
    /// Calls `visit` with each recipient that the event is about, without angle brackets, until it returns true:
    /// at `inbound.rcpt` the one that is asked about, later all that are left. True if `visit` did.
    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool;
    /// At `inbound.command` and `inbound.response`: the verb of the command, in any case. Elsewhere `None`.
    /// The end of the content is the verb `.` or `EOD`.
    fn verb(&self) -> Option<&str>;
    /// What the command of [`RuleFacts::verb`] says itself: the name of EHLO, the address of MAIL or RCPT without angle
    /// brackets. `None` where it is not known; then what was accepted counts.
    fn argument(&self) -> Option<&str>;
}

/// A parsed rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    text: String,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Ehlo(Glob),
    Sender(AddressPattern),
    Recipient(AddressPattern),
    Keyword(Keyword),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Keyword {
    Ehlo,
    Mail,
    Rcpt,
    Data,
    EndOfData,
    /// Upper case.
    Other(String),
}

impl Rule {
    /// Parses a rule. Blanks around conditions, commands and patterns mean nothing.
    ///
    /// # Errors
    /// The first thing that is wrong and where.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut conditions = Vec::new();
        if !text.trim().is_empty() {
            let mut start = 0;
            for part in text.split(';') {
                let lead = part.len() - part.trim_start().len();
                conditions.push(parse_condition(part.trim(), start + lead).map_err(
                    |(column, problem)| RuleError {
                        rule: text.to_owned(),
                        column: column + 1,
                        problem,
                    },
                )?);
                start += part.len() + 1;
            }
        }
        Ok(Self {
            text: text.to_owned(),
            conditions,
        })
    }

    /// Whether every condition holds.
    pub fn holds(&self, facts: &(impl RuleFacts + ?Sized)) -> bool {
        let Some(verb) = facts.verb() else {
            return self
                .conditions
                .iter()
                .all(|condition| condition.holds(facts));
        };
        let selects = |condition: &Condition| condition.keyword().is_verb(verb);
        self.conditions.is_empty()
            || self.conditions.iter().any(selects)
                && self.conditions.iter().all(|condition| {
                    if selects(condition) {
                        condition.matches_command(facts)
                    } else {
                        condition.held_before(verb) && condition.holds(facts)
                    }
                })
    }

    /// The rule as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It always holds.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// It asks for the sender.
    #[must_use]
    pub fn reads_sender(&self) -> bool {
        self.conditions
            .iter()
            .any(|condition| matches!(condition, Condition::Sender(_)))
    }

    /// It asks for recipients.
    #[must_use]
    pub fn reads_recipients(&self) -> bool {
        self.conditions.iter().any(|condition| {
            matches!(
                condition,
                Condition::Recipient(_) | Condition::Keyword(Keyword::Rcpt)
            )
        })
    }

    /// The first condition that cannot hold at this event, because its command has not been given by then, or is
    /// another one.
    #[must_use]
    pub fn impossible_at(&self, event: EventKind) -> Option<String> {
        self.conditions
            .iter()
            .find(|condition| !condition.possible_at(event))
            .map(|condition| condition.command().to_owned())
    }

    /// Remarks on patterns that match more than is probably meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for condition in &self.conditions {
            let domain = match condition {
                Condition::Ehlo(glob) => Some(glob),
                Condition::Sender(pattern) | Condition::Recipient(pattern) => pattern.domain(),
                Condition::Keyword(_) => None,
            };
            if let Some(suffix) = domain.and_then(Glob::suffix_without_dot) {
                warnings.push(format!(
                    "*{suffix} also matches names such as not{suffix}; \
                     write *.{suffix} for subdomains, {suffix} for the domain itself"
                ));
            }
        }
        warnings
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_condition(part: &str, at: usize) -> Result<Condition, Located> {
    if part.is_empty() {
        return Err((at, RuleProblem::EmptyCondition));
    }
    let Some((command, pattern)) = part.split_once('=') else {
        return Ok(Condition::Keyword(parse_keyword(part, at)?));
    };
    let pattern_at = at + command.len() + 1 + (pattern.len() - pattern.trim_start().len());
    let (command, pattern) = (command.trim(), pattern.trim());
    if let Some((offset, other)) = pattern
        .char_indices()
        .find(|(_, c)| c.is_control() || c.is_whitespace())
    {
        return Err((pattern_at + offset, RuleProblem::Character(other)));
    }
    if is_words(command, "EHLO") {
        return Ok(Condition::Ehlo(parse_domain(pattern, pattern_at)?));
    }
    if is_words(command, "MAIL FROM") {
        return Ok(Condition::Sender(parse_address(pattern, pattern_at)?));
    }
    if is_words(command, "RCPT TO") {
        return Ok(Condition::Recipient(parse_address(pattern, pattern_at)?));
    }
    Err((at, RuleProblem::Command(command.to_owned())))
}

fn parse_keyword(part: &str, at: usize) -> Result<Keyword, Located> {
    if is_words(part, "MAIL FROM") {
        return Ok(Keyword::Mail);
    }
    if is_words(part, "RCPT TO") {
        return Ok(Keyword::Rcpt);
    }
    let is_verb = part.len() <= 32 && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_verb {
        return Err((at, RuleProblem::Keyword(part.to_owned())));
    }
    Ok(match part.to_ascii_uppercase().as_str() {
        "EHLO" => Keyword::Ehlo,
        "MAIL" => Keyword::Mail,
        "RCPT" => Keyword::Rcpt,
        "DATA" => Keyword::Data,
        "EOD" => Keyword::EndOfData,
        other => Keyword::Other(other.to_owned()),
    })
}

/// The same words, without regard to case and to how many blanks are between them.
fn is_words(text: &str, words: &str) -> bool {
    let mut own = words.split(' ');
    text.split_whitespace()
        .all(|word| own.next().is_some_and(|own| own.eq_ignore_ascii_case(word)))
        && own.next().is_none()
}

impl Condition {
    fn holds(&self, facts: &(impl RuleFacts + ?Sized)) -> bool {
        match self {
            Self::Ehlo(glob) => facts.helo().is_some_and(|name| glob.matches(name)),
            Self::Sender(pattern) => facts.sender().is_some_and(|sender| pattern.matches(sender)),
            Self::Recipient(pattern) => {
                facts.any_recipient(&mut |address| pattern.matches(address))
            }
            Self::Keyword(keyword) => keyword.was_given(facts),
        }
    }

    /// The command that the condition is on.
    fn keyword(&self) -> Keyword {
        match self {
            Self::Ehlo(_) => Keyword::Ehlo,
            Self::Sender(_) => Keyword::Mail,
            Self::Recipient(_) => Keyword::Rcpt,
            Self::Keyword(keyword) => keyword.clone(),
        }
    }

    /// Whether it holds for the command in hand, which is the one that it is on.
    fn matches_command(&self, facts: &(impl RuleFacts + ?Sized)) -> bool {
        match (self, facts.argument()) {
            (Self::Keyword(_), _) => true,
            (Self::Ehlo(glob), Some(name)) => glob.matches(name),
            (Self::Sender(pattern) | Self::Recipient(pattern), Some(address)) => {
                pattern.matches(address)
            }
            (_, None) => self.holds(facts),
        }
    }

    /// Whether its command can have been given before a command with this verb.
    fn held_before(&self, verb: &str) -> bool {
        match self {
            Self::Keyword(Keyword::Data) => Keyword::EndOfData.is_verb(verb),
            Self::Keyword(Keyword::EndOfData) => false,
            _ => true,
        }
    }

    fn possible_at(&self, event: EventKind) -> bool {
        let of_command = matches!(
            event,
            EventKind::InboundCommand
                | EventKind::InboundResponse
                | EventKind::OutboundCommand
                | EventKind::OutboundResponse
        );
        let has_no_message = matches!(
            event,
            EventKind::DeliveryLink
                | EventKind::OutboundSessionStart
                | EventKind::OutboundSessionEnd
                | EventKind::OutboundTls
        );
        if has_no_message || matches!(event.scope(), pb::Scope::Destination | pb::Scope::Service) {
            return false;
        }
        match self {
            Self::Ehlo(_) | Self::Keyword(Keyword::Ehlo) => {
                !matches!(event, EventKind::InboundConnect) || of_command
            }
            Self::Sender(_) | Self::Keyword(Keyword::Mail) => from(event, EventKind::InboundMail),
            Self::Recipient(_) | Self::Keyword(Keyword::Rcpt) => {
                from(event, EventKind::InboundRcpt)
            }
            Self::Keyword(Keyword::Data) => from(event, EventKind::InboundData),
            Self::Keyword(Keyword::EndOfData) => from(event, EventKind::InboundMessage),
            Self::Keyword(Keyword::Other(_)) => of_command,
        }
    }

    fn command(&self) -> &str {
        match self {
            Self::Ehlo(_) | Self::Keyword(Keyword::Ehlo) => "EHLO",
            Self::Sender(_) | Self::Keyword(Keyword::Mail) => "MAIL FROM",
            Self::Recipient(_) | Self::Keyword(Keyword::Rcpt) => "RCPT TO",
            Self::Keyword(Keyword::Data) => "DATA",
            Self::Keyword(Keyword::EndOfData) => "EOD",
            Self::Keyword(Keyword::Other(verb)) => verb,
        }
    }
}

/// Whether what `first` brings is there at `event`. At events that may come at any time it can be.
fn from(event: EventKind, first: EventKind) -> bool {
    match event {
        EventKind::InboundConnect
        | EventKind::InboundHelo
        | EventKind::InboundTls
        | EventKind::InboundAuth => false,
        EventKind::InboundMail | EventKind::InboundRcpt | EventKind::InboundData => event >= first,
        EventKind::InboundHeaders => first < EventKind::InboundMessage,
        _ => true,
    }
}

impl Keyword {
    fn is_verb(&self, verb: &str) -> bool {
        let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(verb));
        match self {
            Self::Ehlo => is(&["EHLO", "HELO", "LHLO"]),
            Self::Mail => is(&["MAIL"]),
            Self::Rcpt => is(&["RCPT"]),
            Self::Data => is(&["DATA", "BDAT"]),
            Self::EndOfData => is(&["EOD", "."]),
            Self::Other(name) => name.eq_ignore_ascii_case(verb),
        }
    }

    /// At events that are not about one command line, a keyword holds once its command has been given. Where it
    /// cannot have been, the plan refused the rule or left the event out.
    fn was_given(&self, facts: &(impl RuleFacts + ?Sized)) -> bool {
        match self {
            Self::Ehlo => facts.helo().is_some(),
            Self::Mail => facts.sender().is_some(),
            Self::Rcpt => facts.any_recipient(&mut |_| true),
            Self::Data | Self::EndOfData => true,
            Self::Other(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
