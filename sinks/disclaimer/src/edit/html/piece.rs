//! Pieces of HTML: whether they can stand in a message, and what a reader sees of them.

use html5gum::{DefaultEmitter, Token, Tokenizer};

use super::{Document, RAW};

/// Whether a piece of HTML can stand inside of any document.
///
/// # Errors
/// Why not.
pub(in crate::edit) fn check_piece(html: &str) -> Result<(), &'static str> {
    let mut tokenizer = Tokenizer::new_with_emitter(html, DefaultEmitter::<usize>::new_with_span());
    while let Some(Ok(token)) = tokenizer.next() {
        let name = match token {
            Token::StartTag(tag) => tag.name,
            Token::EndTag(tag) => tag.name,
            Token::Doctype(_) => {
                return Err("it is a whole document; give what stands in its body");
            }
            Token::String(_) | Token::Comment(_) | Token::Error(_) => continue,
        };
        match name.as_slice() {
            b"html" | b"head" | b"body" | b"frameset" => {
                return Err("it is a whole document; give what stands in its body");
            }
            b"script" | b"style" | b"plaintext" | b"textarea" | b"title" | b"meta" | b"base" => {
                return Err(
                    "it has script, style, meta or the like; readers of mail drop those, so remove them",
                );
            }
            _ => {}
        }
    }
    match Document::read(html) {
        Ok(Document { end: Some(_), .. }) => Ok(()),
        Ok(_) => {
            Err("a table, a link, a hidden element or a condition in it is not closed; close it")
        }
        Err(_) => Err("a tag or comment in it is not closed; close it"),
    }
}

/// The tags of a piece, with how many attributes each has.
pub(in crate::edit) fn markup(html: &str) -> Vec<(Vec<u8>, usize)> {
    let mut found = Vec::new();
    let mut tokenizer = Tokenizer::new(html);
    while let Some(Ok(token)) = tokenizer.next() {
        match token {
            Token::StartTag(tag) => found.push((tag.name.to_vec(), tag.attributes.len() + 1)),
            Token::EndTag(tag) => found.push((tag.name.to_vec(), 0)),
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    found
}

/// The ids behind `cid:` in the attributes of a piece, in their order.
pub(in crate::edit) fn shown_images(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut tokenizer = Tokenizer::new(html);
    while let Some(Ok(token)) = tokenizer.next() {
        let Token::StartTag(tag) = token else {
            continue;
        };
        for value in tag.attributes.values() {
            let value = String::from_utf8_lossy(value).into_owned();
            let lower = value.to_ascii_lowercase();
            for (at, _) in lower.match_indices("cid:") {
                let begins = lower
                    .get(..at)
                    .is_none_or(|before| !before.ends_with(|c: char| c.is_alphanumeric()));
                let rest = value.get(at + 4..).unwrap_or_default();
                let end = rest.find(|c: char| c.is_whitespace() || "\"'<>)".contains(c));
                if begins {
                    let cid = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                    found.push(cid.to_owned());
                }
            }
        }
    }
    found
}

/// What a reader sees of a document: its text without tags.
pub(in crate::edit) fn shown(html: &str) -> String {
    let mut out = Vec::new();
    let mut is_hidden = false;
    let mut tokenizer = Tokenizer::new(html);
    while let Some(Ok(token)) = tokenizer.next() {
        match token {
            Token::StartTag(tag) => {
                let raw = RAW.iter().find(|(raw, _)| *raw == tag.name.as_slice());
                if let Some((_, state)) = raw {
                    is_hidden = true;
                    tokenizer.set_state(*state);
                }
                out.push(b' ');
            }
            Token::EndTag(_) => {
                is_hidden = false;
                out.push(b' ');
            }
            Token::String(string) if !is_hidden => out.extend_from_slice(&string),
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
