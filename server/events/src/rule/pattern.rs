//! Patterns of names, domains and addresses. Matching allocates nothing.

use super::problem::{Located, RuleProblem};

/// A text with a star before it, behind it, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    before: bool,
    after: bool,
    /// Lower case.
    text: String,
}

impl Glob {
    pub(super) fn matches(&self, value: &str) -> bool {
        let (own, value) = (self.text.as_bytes(), value.as_bytes());
        match (self.before, self.after) {
            (false, false) => value.eq_ignore_ascii_case(own),
            (true, false) => value
                .len()
                .checked_sub(own.len())
                .and_then(|start| value.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(own)),
            (false, true) => value
                .get(..own.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(own)),
            (true, true) => {
                own.is_empty()
                    || value
                        .windows(own.len())
                        .any(|part| part.eq_ignore_ascii_case(own))
            }
        }
    }

    /// The text of a suffix match that does not begin at a label.
    pub(super) fn suffix_without_dot(&self) -> Option<&str> {
        let text = self.text.as_str();
        (self.before && !self.after && !text.is_empty() && !text.starts_with('.')).then_some(text)
    }
}

fn parse_name(pattern: &str, at: usize) -> Result<Glob, Located> {
    if pattern.is_empty() {
        return Err((at, RuleProblem::EmptyPattern));
    }
    if pattern == "*" {
        return Ok(Glob {
            before: true,
            after: true,
            text: String::new(),
        });
    }
    let (before, text) = strip(pattern, |p| p.strip_prefix('*'));
    let (after, text) = strip(text, |p| p.strip_suffix('*'));
    glob(before, after, text, at + usize::from(before))
}

pub(super) fn parse_domain(pattern: &str, at: usize) -> Result<Glob, Located> {
    if pattern.is_empty() {
        return Err((at, RuleProblem::EmptyPattern));
    }
    if let Some(offset) = pattern.find('@') {
        return Err((at + offset, RuleProblem::Character('@')));
    }
    let (before, text) = strip(pattern, |p| p.strip_prefix('*'));
    glob(before, false, text, at + usize::from(before))
}

fn strip(text: &str, cut: impl Fn(&str) -> Option<&str>) -> (bool, &str) {
    cut(text).map_or((false, text), |rest| (true, rest))
}

fn glob(before: bool, after: bool, text: &str, at: usize) -> Result<Glob, Located> {
    match text.find('*') {
        Some(offset) => Err((at + offset, RuleProblem::Star)),
        None => Ok(Glob {
            before,
            after,
            text: text.to_ascii_lowercase(),
        }),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressPattern {
    name: Glob,
    domain: Option<Glob>,
}

impl AddressPattern {
    pub(super) fn matches(&self, address: &str) -> bool {
        let (name, domain) = match address.rfind('@') {
            Some(at) => (
                address.get(..at).unwrap_or(address),
                address.get(at + 1..).unwrap_or(""),
            ),
            None => (address, ""),
        };
        self.name.matches(name) && self.domain.as_ref().is_none_or(|glob| glob.matches(domain))
    }

    pub(super) const fn domain(&self) -> Option<&Glob> {
        self.domain.as_ref()
    }
}

pub(super) fn parse_address(pattern: &str, at: usize) -> Result<AddressPattern, Located> {
    let Some((name, domain)) = pattern.split_once('@') else {
        return Ok(AddressPattern {
            name: parse_name(pattern, at)?,
            domain: None,
        });
    };
    let domain_at = at + name.len() + 1;
    Ok(AddressPattern {
        name: parse_name(name, at)?,
        domain: Some(parse_domain(domain, domain_at)?),
    })
}
