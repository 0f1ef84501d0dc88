//! The documentation of one key.

use crate::nearest::nearest;
use crate::registry::{self, KeyDoc, Known, SectionDoc, Shape};

/// What `postern config explain KEY` says: documentation, type, default, and the SMTP reply that goes with a limit.
///
/// `key` is written as in `server.limits.recipients`; the name of an element may stand in it. An empty key lists
/// the sections.
///
/// # Errors
/// One line that names the nearest key, when there is no such key.
pub fn explain(key: &str) -> Result<String, String> {
    let sections = registry::sections();
    let generic = without_element(key);
    let candidates = [key, generic.as_str()];
    for path in candidates {
        // A table has its own page, unless it is only one way to write a value.
        let is_table = |key: &KeyDoc| matches!(key.shape, Shape::Table(_) | Shape::Elements(_));
        if let Some(known) = registry::keys()
            .into_iter()
            .find(|known| known.path == path && !is_table(&known.key))
        {
            return Ok(key_page(&known));
        }
        if let Some(section) = sections.iter().find(|section| section.path == path) {
            return Ok(section_page(section));
        }
    }
    for path in candidates {
        if sections.iter().any(|section| is_later(section, path)) {
            return Err(format!("{key}: is not in this version"));
        }
    }
    let paths: Vec<_> = registry::keys()
        .into_iter()
        .map(|known| known.path)
        .collect();
    let near = nearest(&generic, paths.iter().map(String::as_str)).or_else(|| {
        paths
            .iter()
            .map(String::as_str)
            .find(|path| path.rsplit('.').next() == key.rsplit('.').next())
    });
    Err(match near {
        Some(near) => format!("{key}: unknown key; did you mean \"{near}\"?"),
        None => format!("{key}: unknown key; see \"postern config explain\" for the sections"),
    })
}

/// `server.inbound.limits` as `server.limits`.
fn without_element(key: &str) -> String {
    let mut parts: Vec<_> = key.split('.').collect();
    let known = |parts: &[&str]| {
        let path = parts.join(".");
        registry::keys().iter().any(|known| known.path == path)
            || registry::sections()
                .iter()
                .any(|s| s.path == path || is_later(s, &path))
    };
    // Names of elements may have dots: everything between the section and what is known is one.
    if parts.len() > 2 && crate::tree::ELEMENTS.contains(&parts[0]) {
        let longest = (2..parts.len()).find(|from| known(&[&parts[..1], &parts[*from..]].concat()));
        parts.drain(1..longest.unwrap_or(1));
    }
    parts.join(".")
}

fn is_later(section: &SectionDoc, path: &str) -> bool {
    section.later.iter().any(|(later, _)| {
        let later = registry::join(section.path, later);
        path == later || path.starts_with(&format!("{later}."))
    })
}

fn key_page(known: &Known) -> String {
    let key = &known.key;
    let mut page = format!("{}\n\n{}\n\n", known.path, wrapped(&key.doc, "    "));
    let mut line = |label: &str, text: &str| {
        page.push_str(&format!("    {label:<10}{text}\n"));
    };
    line("type", &key.shape.to_string().replace('`', ""));
    line("default", &default_text(key));
    if let Some(reply) = key.reply {
        line("reply", reply);
    }
    line("since", registry::SINCE);
    line("variable", &variable(&known.path));
    for section in key.shape.sections() {
        page.push_str(&format!("\n{}", keys_list(&section)));
    }
    let words = words_of(&key.shape);
    if !words.is_empty() {
        page.push('\n');
    }
    for (word, doc) in words {
        page.push_str(&format!("    {:<14}{doc}\n", format!("\"{word}\"")));
    }
    if let Some(text) = grammar(&known.path) {
        page.push('\n');
        for line in text.lines() {
            page.push_str(format!("    {line}").trim_end());
            page.push('\n');
        }
    }
    page
}

/// How the text of a key is built, where that takes more than a line.
pub(crate) fn grammar(path: &str) -> Option<&'static str> {
    (path == "binding.rule").then_some(include_str!("rules.txt"))
}

fn section_page(section: &SectionDoc) -> String {
    let title = if section.path.is_empty() {
        "postern.toml"
    } else {
        section.path
    };
    format!(
        "{title}\n\n{}\n\n{}",
        wrapped(&section.doc, "    "),
        keys_list(section)
    )
}

fn keys_list(section: &SectionDoc) -> String {
    let mut list = String::new();
    for key in &section.keys {
        let first = key
            .doc
            .split_once(". ")
            .map_or(key.doc.as_str(), |(first, _)| first);
        let path = registry::join(section.path, key.name);
        list.push_str(&format!("    {path:<38}{}\n", first.trim_end_matches('.')));
    }
    list
}

pub(crate) fn words_of(shape: &Shape) -> Vec<(&'static str, String)> {
    match shape {
        Shape::Choice(words) => words.words.clone(),
        Shape::Either(shapes) => shapes.iter().flat_map(words_of).collect(),
        Shape::List(inner) | Shape::Map(inner) => words_of(inner),
        _ => Vec::new(),
    }
}

pub(crate) fn default_text(key: &KeyDoc) -> String {
    match (key.default, &key.shape) {
        (Some("[]"), _) => "none".to_owned(),
        (Some("{}"), Shape::Map(_) | Shape::Free) => "none".to_owned(),
        (Some("{}"), _) => "that of each key in it".to_owned(),
        (Some(default), _) => default.to_owned(),
        (None, Shape::Table(_) | Shape::Elements(_)) => "that of each key in it".to_owned(),
        (None, _) if key.optional => "left out".to_owned(),
        (None, _) => "none, it has to be set".to_owned(),
    }
}

/// The environment variable of a key.
fn variable(path: &str) -> String {
    let mut parts: Vec<String> = path.split('.').map(str::to_ascii_uppercase).collect();
    if crate::tree::ELEMENTS.contains(&path.split('.').next().unwrap_or_default()) {
        parts.insert(1, "<NAME>".to_owned());
    }
    format!("POSTERN__{}", parts.join("__"))
}

fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
                continue;
            }
            if line.chars().count() + 1 + word.chars().count() <= 76 {
                line.push(' ');
                line.push_str(word);
                continue;
            }
        }
        lines.push(word.to_owned());
    }
    lines
        .iter()
        .map(|line| format!("{indent}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_limit_says_its_default_and_reply() {
        let page = explain("server.limits.recipients").unwrap();
        assert_eq!(page, explain("server.inbound.limits.recipients").unwrap());
        assert_eq!(
            page,
            explain("server.mx.example.test.limits.recipients").unwrap()
        );
        assert_eq!(
            page,
            "server.limits.recipients\n\n    Recipients of one message. Those already accepted stay.\n\n    \
             type      a whole number, 1 or more\n    default   1000\n    reply     452 4.5.3 after RCPT\n    \
             since     0.1\n    variable  POSTERN__SERVER__<NAME>__LIMITS__RECIPIENTS\n"
        );
    }

    #[test]
    fn every_key_and_section_has_a_page() {
        for known in registry::keys() {
            let page = explain(&known.path).unwrap();
            assert!(page.starts_with(&format!("{}\n", known.path)), "{page}");
        }
        for section in registry::sections() {
            let page = explain(section.path).unwrap();
            for key in &section.keys {
                let path = registry::join(section.path, key.name);
                assert!(page.contains(&path), "{path} is not in\n{page}");
            }
        }
        assert!(explain("").unwrap().contains("\n    spool "));
    }

    #[test]
    fn a_rule_comes_with_its_grammar() {
        let page = explain("binding.footer.rule").unwrap();
        for part in [
            "    rule            = condition *( \";\" condition )\n",
            "EHLO=*.example.net",
        ] {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
    }

    #[test]
    fn what_is_unknown_or_still_to_come_is_said() {
        let said = |key| explain(key).unwrap_err();
        assert_eq!(
            said("spool.min_fre"),
            "spool.min_fre: unknown key; did you mean \"spool.min_free\"?"
        );
        assert_eq!(
            said("min_free"),
            "min_free: unknown key; did you mean \"spool.min_free\"?"
        );
        assert_eq!(said("trace.keep"), "trace.keep: is not in this version");
        assert_eq!(
            said("binding.foo.sample"),
            "binding.foo.sample: is not in this version"
        );
        assert_eq!(
            said("zzz"),
            "zzz: unknown key; see \"postern config explain\" for the sections"
        );
    }
}
