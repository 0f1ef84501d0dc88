//! The format of a file of aliases: that of aliases(5), for addresses and lists alone. No I/O.
//!
//! ```text
//! # people
//! postmaster: anna
//! staff:      anna, bert@example.org,
//!             "odd name"@example.net
//! news:       :include:lists/news
//! ```

use std::collections::{HashMap, HashSet};

use postern_smtp::address::Mailbox;

/// Targets of one alias.
const MOST_TARGETS: usize = 10_000;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// There is no colon, or nothing before it.
    #[error("no alias: write \"name: address, address\"")]
    NoAlias,
    /// It goes on with a line before which there is none.
    #[error("it begins with a space and goes on with no line")]
    NothingToGoOn,
    /// The name is neither a local part nor an address.
    #[error("{0:?} is neither a local part nor an address")]
    Name(String),
    /// The name was there before.
    #[error("{0:?} is an alias already: write all its addresses in one place")]
    Twice(String),
    /// A target is neither a local part, nor an address, nor a list.
    #[error("{0:?} is neither a local part, nor an address, nor \":include:FILE\"")]
    Target(String),
    /// A target is a file or a command.
    #[error("{0:?}: mail is not written to files or handed to commands; a sink can do that")]
    Program(String),
    /// A list includes another one.
    #[error("a list includes no other list: name it as an alias of its own")]
    Nested,
    /// There are no targets.
    #[error("it stands for nobody")]
    Nobody,
    /// There are too many targets.
    #[error("it stands for more than {MOST_TARGETS}")]
    TooMany,
}

type At<T> = Result<T, (usize, LineError)>;

/// Where mail for an alias goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// To this address.
    Address(Mailbox),
    /// To this local part, of the domain that was asked about.
    Local(String),
}

/// The aliases of a file.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// By keys of addresses, and of local parts with nothing after the `@`.
    by_key: HashMap<String, Vec<Target>>,
}

impl Aliases {
    /// What an address stands for: by itself, or by its local part.
    pub(super) fn find(&self, mailbox: &Mailbox) -> Option<&[Target]> {
        let key = mailbox.key(true);
        let whole = self.by_key.get(&key.to_string());
        let found = whole.or_else(|| self.by_key.get(&format!("{}@", key.local())));
        found.map(Vec::as_slice)
    }
}

/// A file whose lists are still to be read.
#[derive(Debug)]
pub(super) struct Parsed {
    aliases: Vec<(String, Vec<Item>)>,
}

#[derive(Debug)]
enum Item {
    Target(Target),
    Include(String),
}

impl Parsed {
    /// The lists that are to be read, as the file names them.
    pub(super) fn included(&self) -> Vec<&str> {
        let items = self.aliases.iter().flat_map(|(_, items)| items);
        let mut names: Vec<_> = items
            .filter_map(|item| match item {
                Item::Include(name) => Some(name.as_str()),
                Item::Target(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The aliases, with what their lists have.
    pub(super) fn with(&self, lists: Vec<(String, Vec<Target>)>) -> Aliases {
        let lists: HashMap<_, _> = lists.into_iter().collect();
        let entry = |(key, items): &(String, Vec<Item>)| {
            let targets = items.iter().flat_map(|item| match item {
                Item::Target(target) => std::slice::from_ref(target),
                Item::Include(name) => lists.get(name).map(Vec::as_slice).unwrap_or_default(),
            });
            (key.clone(), targets.cloned().collect())
        };
        Aliases {
            by_key: self.aliases.iter().map(entry).collect(),
        }
    }
}

/// Reads a file of aliases.
pub(super) fn parse(text: &str) -> At<Parsed> {
    let mut aliases = Vec::new();
    let mut seen = HashSet::new();
    for (line, text) in logical_lines(text)? {
        let at = |what| (line, what);
        let (name, targets) = split_outside_quotes(&text, ':')
            .ok_or(LineError::NoAlias)
            .map_err(at)?;
        let name = name.trim();
        let key = name_key(name).map_err(at)?;
        if !seen.insert(key.clone()) {
            return Err(at(LineError::Twice(name.to_owned())));
        }
        let mut items = Vec::new();
        for word in words(targets) {
            items.push(match word.strip_prefix(":include:") {
                Some(file) if !file.trim().is_empty() => Item::Include(file.trim().to_owned()),
                _ => Item::Target(target(word).map_err(at)?),
            });
        }
        match items.len() {
            0 => return Err(at(LineError::Nobody)),
            MOST_TARGETS.. => return Err(at(LineError::TooMany)),
            _ => aliases.push((key, items)),
        }
    }
    Ok(Parsed { aliases })
}

/// Reads a list: addresses and local parts, on lines of their own or with commas between them.
pub(super) fn parse_list(text: &str) -> At<Vec<Target>> {
    let mut targets = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = |what| (number + 1, what);
        if line.trim_start().starts_with('#') {
            continue;
        }
        for word in words(line) {
            if word.starts_with(":include:") {
                return Err(at(LineError::Nested));
            }
            targets.push(target(word).map_err(at)?);
            if targets.len() > MOST_TARGETS {
                return Err(at(LineError::TooMany));
            }
        }
    }
    Ok(targets)
}

/// Lines with those that go on with them, each with the number of its first one.
fn logical_lines(text: &str) -> At<Vec<(usize, String)>> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            match lines.last_mut() {
                Some((_, before)) => {
                    before.push(' ');
                    before.push_str(line.trim());
                }
                None => return Err((number, LineError::NothingToGoOn)),
            }
            continue;
        }
        lines.push((number, line.trim_end().to_owned()));
    }
    Ok(lines)
}

/// Splits at the first such character that is not quoted.
fn split_outside_quotes(text: &str, at: char) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (place, found) in text.char_indices() {
        match found {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if found == at && !quoted => {
                let rest = text.get(place + at.len_utf8()..)?;
                return Some((text.get(..place)?, rest));
            }
            _ => {}
        }
    }
    None
}

/// What is between commas that are not quoted.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (word, after) = match split_outside_quotes(text, ',') {
            Some((word, after)) => (word, Some(after)),
            None => (text, None),
        };
        rest = after;
        Some(word.trim())
    })
    .filter(|word| !word.is_empty())
}

/// What a name is found by.
fn name_key(name: &str) -> Result<String, LineError> {
    if name.is_empty() {
        return Err(LineError::NoAlias);
    }
    if let Ok(mailbox) = Mailbox::parse(name.as_bytes(), true) {
        return Ok(mailbox.key(true).to_string());
    }
    match local(name) {
        Some(mailbox) => Ok(format!("{}@", mailbox.key(true).local())),
        None => Err(LineError::Name(name.to_owned())),
    }
}

fn target(word: &str) -> Result<Target, LineError> {
    let bare = word.trim_start_matches('"');
    if bare.starts_with(['|', '/']) {
        return Err(LineError::Program(word.to_owned()));
    }
    // `\name` is that mailbox and no alias, elsewhere; here an alias among its own addresses is its mailbox.
    let word = word.strip_prefix('\\').unwrap_or(word);
    if let Ok(mailbox) = Mailbox::parse(word.as_bytes(), true) {
        return Ok(Target::Address(mailbox));
    }
    match local(word) {
        Some(_) => Ok(Target::Local(word.to_owned())),
        None => Err(LineError::Target(word.to_owned())),
    }
}

/// A local part, completed to an address.
fn local(word: &str) -> Option<Mailbox> {
    Mailbox::parse(format!("{word}@local.invalid").as_bytes(), true).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mailbox(text: &str) -> Mailbox {
        Mailbox::parse(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn names_and_targets_are_addresses_or_local_parts() {
        let text = "# people\n\npostmaster: anna\nStaff : anna, \"b, c\"@y.test\n\t, \\dora,\n  e@z.test\n\
                    Info@Other.test: anna\n\"odd name\": anna\n";
        let aliases = parse(text).unwrap().with(Vec::new());
        let local = |name: &str| Target::Local(name.to_owned());
        let address = |text: &str| Target::Address(mailbox(text));
        let staff = vec![
            local("anna"),
            address("\"b, c\"@y.test"),
            local("dora"),
            address("e@z.test"),
        ];
        for (asked, found) in [
            ("staff@x.test", Some(staff)),
            ("POSTMASTER@any.test", Some(vec![local("anna")])),
            ("info@other.test", Some(vec![local("anna")])),
            ("info@x.test", None),
            ("\"odd name\"@x.test", Some(vec![local("anna")])),
            ("anna@x.test", None),
        ] {
            let got = aliases.find(&mailbox(asked)).map(<[Target]>::to_vec);
            assert_eq!(got, found, "{asked}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, line, what) in [
            ("a: b\nno alias\n", 2, "no alias"),
            (" b\n", 1, "goes on with no line"),
            ("a b: c\n", 1, "neither a local part nor an address"),
            ("a: b\n\nA: c\n", 3, "an alias already"),
            ("a: b c\n", 1, "neither a local part, nor an address"),
            ("a: |/bin/cat\n", 1, "commands"),
            ("a: \"|/bin/cat -\"\n", 1, "commands"),
            ("a: /var/mail/a\n", 1, "files"),
            ("a: ,\n", 1, "nobody"),
            ("a: :include:\n", 1, ":include:FILE"),
        ] {
            let (at, error) = parse(text).unwrap_err();
            assert_eq!(at, line, "{text:?}");
            assert!(error.to_string().contains(what), "{text:?}: {error}");
        }
        let (at, error) = parse_list("a\n# b\nc, :include:d\n").unwrap_err();
        assert_eq!((at, error), (3, LineError::Nested));
    }
}
