//! Texts with placeholders: `${sender.address}`, `${property:directory/title|Employee}`.

/// A text of the operator with placeholders in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Placeholder(Placeholder),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placeholder {
    source: Source,
    /// What stands for a value that is missing.
    otherwise: Option<String>,
}

/// Where the value of a placeholder comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The envelope's sender.
    SenderAddress,
    /// What stands before its last `@`.
    SenderLocal,
    /// What stands behind it.
    SenderDomain,
    /// A property that a sink set on the message or on its session.
    Property {
        /// The sink's name in the configuration.
        sink: String,
        /// The key.
        key: String,
    },
}

/// A placeholder that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not end.
    #[error("a placeholder \"${{\" has no \"}}\"; a literal \"${{\" is written \"$${{\"")]
    Open,
    /// Its name is unknown.
    #[error(
        "the placeholder ${{{0}}} is unknown; there are sender.address, sender.local, sender.domain and \
         property:SINK/KEY, each with |DEFAULT behind it if wanted"
    )]
    Unknown(String),
}

impl Template {
    /// Reads a text. `${` begins a placeholder, `$${` stands for itself.
    ///
    /// # Errors
    /// [`TemplateError`]
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, placeholder) = rest.split_at(at);
            let inside = placeholder.get(2..).unwrap_or_default();
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = inside;
                continue;
            }
            literal.push_str(before);
            let (name, behind) = inside.split_once('}').ok_or(TemplateError::Open)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Placeholder(placeholder_of(name)?));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    /// The same placeholders, and what `change` makes of the text between them.
    #[must_use]
    pub fn mapped(&self, change: impl Fn(&str) -> String) -> Self {
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(text) => Piece::Literal(change(text)),
            Piece::Placeholder(placeholder) => Piece::Placeholder(placeholder.clone()),
        });
        Self {
            pieces: pieces.collect(),
        }
    }

    /// The same between two texts.
    #[must_use]
    pub fn between(mut self, before: &str, behind: &str) -> Self {
        match self.pieces.first_mut() {
            Some(Piece::Literal(text)) => text.insert_str(0, before),
            _ => self.pieces.insert(0, Piece::Literal(before.to_owned())),
        }
        match self.pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push_str(behind),
            _ => self.pieces.push(Piece::Literal(behind.to_owned())),
        }
        self
    }

    /// Where its values come from.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Placeholder(placeholder) => Some(&placeholder.source),
        })
    }

    /// The text with the values that `value` finds. Each is passed through `written`, which escapes it.
    ///
    /// # Errors
    /// The name of the first placeholder that has neither a value nor a default.
    pub fn filled(
        &self,
        value: impl Fn(&Source) -> Option<String>,
        written: impl Fn(&str) -> String,
    ) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Placeholder(Placeholder { source, otherwise }) => {
                    let found = value(source).filter(|value| !value.trim().is_empty());
                    let value = found
                        .or_else(|| otherwise.clone())
                        .ok_or_else(|| source.name())?;
                    out.push_str(&written(&printable(&value)));
                }
            }
        }
        Ok(out)
    }
}

impl Source {
    /// The name that a placeholder has.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::SenderAddress => "sender.address".to_owned(),
            Self::SenderLocal => "sender.local".to_owned(),
            Self::SenderDomain => "sender.domain".to_owned(),
            Self::Property { sink, key } => format!("property:{sink}/{key}"),
        }
    }
}

fn placeholder_of(name: &str) -> Result<Placeholder, TemplateError> {
    let (name, otherwise) = match name.split_once('|') {
        Some((name, otherwise)) => (name, Some(otherwise.to_owned())),
        None => (name, None),
    };
    let unknown = || TemplateError::Unknown(name.to_owned());
    let source = match name.trim() {
        "sender.address" => Source::SenderAddress,
        "sender.local" => Source::SenderLocal,
        "sender.domain" => Source::SenderDomain,
        other => {
            let property = other.strip_prefix("property:").ok_or_else(unknown)?;
            let (sink, key) = property_of(property).ok_or_else(unknown)?;
            Source::Property { sink, key }
        }
    };
    Ok(Placeholder { source, otherwise })
}

/// `SINK/KEY`.
pub(crate) fn property_of(text: &str) -> Option<(String, String)> {
    let (sink, key) = text.split_once('/')?;
    let is_name = |name: &str| {
        let mut octets = name.bytes();
        (1..=63).contains(&name.len())
            && octets.all(|o| o.is_ascii_lowercase() || o.is_ascii_digit() || b"._-".contains(&o))
    };
    (is_name(sink) && is_name(key)).then(|| (sink.to_owned(), key.to_owned()))
}

/// A value without what could end a line or confuse a reader.
fn printable(value: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let value = value.replace("\r\n", " ").replace(['\r', '\n', '\t'], " ");
    value.chars().filter(|c| !is_hidden(*c)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        let value = |source: &Source| match source {
            Source::SenderAddress => Some("a@b".to_owned()),
            Source::Property { sink, key } if sink == "directory" && key == "title" => {
                Some("Dr.\r\n<Bcc>".to_owned())
            }
            _ => None,
        };
        Template::parse(text)
            .unwrap()
            .filled(value, |value| value.replace('<', "&lt;"))
    }

    #[test]
    fn values_are_put_in_escaped_and_in_one_line() {
        assert_eq!(filled("x ${sender.address} y").unwrap(), "x a@b y");
        assert_eq!(
            filled("${property:directory/title}").unwrap(),
            "Dr. &lt;Bcc>"
        );
        assert_eq!(filled("${property:directory/phone|none}").unwrap(), "none");
        assert_eq!(filled("p { } $5 $${x} $").unwrap(), "p { } $5 ${x} $");
        assert_eq!(filled("${sender.domain}"), Err("sender.domain".to_owned()));
    }

    #[test]
    fn what_is_no_placeholder_is_named() {
        assert_eq!(Template::parse("a ${b"), Err(TemplateError::Open));
        for text in ["${user}", "${property:x}", "${}", "${property:X/y}"] {
            assert!(
                matches!(Template::parse(text), Err(TemplateError::Unknown(_))),
                "{text}"
            );
        }
    }
}
