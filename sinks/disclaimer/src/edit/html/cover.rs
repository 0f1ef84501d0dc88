//! What would cover an addition, or take it in: elements that are not shown, links, conditional comments.

use html5gum::StartTag;

/// Elements that have no content.
const VOID: [&[u8]; 13] = [
    b"area", b"base", b"br", b"col", b"embed", b"hr", b"img", b"input", b"link", b"meta",
    b"source", b"track", b"wbr",
];
/// Styles by which an element is not shown, without blanks.
const HIDING: [&str; 3] = ["display:none", "visibility:hidden", "mso-hide:all"];
/// Properties that leave nothing to be seen of an element where they are zero.
const ZERO: [&str; 3] = ["font-size", "max-height", "opacity"];

/// What is open at a place in a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover {
    /// The outermost element that is not shown, and how many of its name are open inside.
    hidden: Option<(Vec<u8>, usize)>,
    is_in_link: bool,
    /// Conditions whose content other readers see: `<![if …]>` and `<!--[if …]><!-->`.
    conditions: usize,
}

impl Cover {
    pub(super) fn start_tag(&mut self, tag: &StartTag<usize>) {
        let name: &[u8] = &tag.name;
        if VOID.contains(&name) {
            return;
        }
        let attribute = |wanted: &[u8]| {
            let mut all = tag.attributes.iter();
            all.find(|(known, _)| known.as_slice() == wanted)
                .map(|(_, value)| value)
        };
        if name == b"a" {
            // One link ends another.
            self.is_in_link = attribute(b"href").is_some();
        }
        match &mut self.hidden {
            Some((hidden, inside)) if hidden == name => *inside += 1,
            Some(_) => {}
            None => {
                let is_hidden = attribute(b"hidden").is_some()
                    || attribute(b"style").is_some_and(|style| hides(style));
                self.hidden = is_hidden.then(|| (name.to_vec(), 0));
            }
        }
    }

    pub(super) fn end_tag(&mut self, name: &[u8]) {
        if name == b"a" {
            self.is_in_link = false;
        }
        match &mut self.hidden {
            Some((hidden, 0)) if hidden == name => self.hidden = None,
            Some((hidden, inside)) if hidden == name => *inside -= 1,
            _ => {}
        }
    }

    /// A comment, or what is one to HTML, with its marks.
    pub(super) fn comment(&mut self, text: &str) {
        let marks = ['<', '!', '-', ' ', '\t', '\r', '\n'];
        let inside = text.trim_start_matches(marks).to_ascii_lowercase();
        let ends = inside.contains("[endif]");
        if inside.starts_with("[if") && !ends {
            self.conditions += 1;
        } else if ends && !inside.starts_with("[if") {
            self.conditions = self.conditions.saturating_sub(1);
        }
    }

    /// Why nothing can be put here.
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.hidden.is_some() {
            Some("an element that is not shown is open there")
        } else if self.is_in_link {
            Some("a link is open there")
        } else if self.conditions > 0 {
            Some("a condition for some readers is open there")
        } else {
            None
        }
    }
}

/// Whether nothing of an element in this style is seen.
fn hides(style: &[u8]) -> bool {
    let style = String::from_utf8_lossy(style).to_ascii_lowercase();
    let style: String = style.split_whitespace().collect();
    let mut declarations = style.split(';').filter_map(|one| one.split_once(':'));
    HIDING.iter().any(|hiding| style.contains(hiding))
        || declarations.any(|(name, value)| ZERO.contains(&name) && is_zero(value))
}

/// `0`, `0px`, `0.0em!important`.
fn is_zero(value: &str) -> bool {
    let unit = |c: char| c.is_ascii_alphabetic() || matches!(c, '%' | '!');
    let number = value.trim_end_matches(unit);
    !number.is_empty() && number.bytes().all(|octet| matches!(octet, b'0' | b'.'))
}
