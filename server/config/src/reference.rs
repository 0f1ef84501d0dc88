//! The reference of all keys.

use std::collections::BTreeSet;

use crate::explain::{default_text, words_of};
use crate::registry;

/// The reference of all keys in Markdown: the generated part of `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = String::new();
    let mut said = BTreeSet::new();
    for section in registry::sections()
        .iter()
        .filter(|section| !section.path.is_empty())
    {
        let title = title_of(section.path);
        page.push_str(&format!("### `{title}`\n\n{}\n\n", section.doc));
        page.push_str("| key | type | default | what it does |\n| --- | --- | --- | --- |\n");
        for key in &section.keys {
            let reply = key
                .reply
                .map_or(String::new(), |reply| format!(" Reply: {reply}."));
            let default = match default_text(key).as_str() {
                text if key.default.is_some() && text == key.default.unwrap_or_default() => {
                    format!("`{text}`")
                }
                text => text.to_owned(),
            };
            let kind = key.shape.to_string();
            // What a word means is said once, at the first key that takes it.
            let words = words_of(&key.shape)
                .into_iter()
                .map(|(word, doc)| format!(" `{word}`: {doc}"));
            let words: String = words.filter(|text| said.insert(text.clone())).collect();
            page.push_str(&format!(
                "| `{}` | {} | {} | {}{}{} |\n",
                key.name,
                cell(&kind),
                cell(&default),
                cell(&key.doc),
                cell(&words),
                cell(&reply)
            ));
        }
        page.push('\n');
    }
    page
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// A section as its header in a file.
fn title_of(path: &str) -> String {
    if crate::tree::ELEMENTS.contains(&path) {
        format!("[[{path}]]")
    } else {
        format!("[{path}]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const BEGIN: &str = "<!-- keys: generated, see server/config/src/reference.rs -->\n\n";
    const END: &str = "<!-- end of keys -->\n";

    #[test]
    fn the_grammar_of_rules_is_in_the_book() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let grammar = crate::explain::grammar("binding.rule").unwrap();
        assert!(page.contains(&format!("```text\n{grammar}```\n")));
    }

    /// With `POSTERN_UPDATE_DOCS` set the page is written instead.
    #[test]
    fn the_page_in_the_book_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (there, after) = rest.split_once(END).unwrap();
        if std::env::var_os("POSTERN_UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
            return;
        }
        assert_eq!(
            there,
            reference(),
            "run the tests of postern-config once with POSTERN_UPDATE_DOCS=1"
        );
    }
}
