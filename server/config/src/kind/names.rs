//! Names: of elements, of hosts, of domains.

use super::Kind;
use crate::reader::{Field, Reader};
use crate::registry::Shape;

/// The name of an element.
pub(crate) struct Name;

const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9.-]{0,62}$";

impl Kind for Name {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "a name of lower-case letters, digits, dots and hyphens",
            pattern: Some(NAME_PATTERN),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        let text = reader.text(field, "a name in quotes")?;
        if is_name(text) {
            return Some(text.to_owned());
        }
        reader.refuse(
            field,
            format!("\"{text}\" is not a name"),
            "write lower-case letters, digits, dots and hyphens, 63 at most, a letter or digit first",
        );
        None
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'.' || *b == b'-';
    (1..=63).contains(&bytes.len()) && bytes.iter().all(inner) && !text.starts_with(['.', '-'])
}

/// A user or a group of the system: its name, or its number.
pub(crate) struct Account;

impl Kind for Account {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "the name or number of a user or group",
            pattern: Some("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}$"),
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        let text = reader.text(field, "a name in quotes, or a number in quotes")?;
        if is_account(text) {
            return Some(text.to_owned());
        }
        reader.refuse(
            field,
            format!("\"{text}\" is not the name of a user or group"),
            "write a name such as \"postern\", or a number in quotes",
        );
        None
    }
}

fn is_account(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=256).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with(['-', '.'])
}

/// The name of a host in its ASCII form. It is made lower case.
pub(crate) struct HostName;

impl Kind for HostName {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "a host name",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        let text = reader.text(field, "a host name in quotes")?;
        if is_host(text) {
            return Some(text.to_ascii_lowercase());
        }
        reader.refuse(
            field,
            format!("\"{text}\" is not a host name"),
            ASCII_ADVICE,
        );
        None
    }
}

const ASCII_ADVICE: &str =
    "write letters, digits, hyphens and dots, other scripts in their xn-- form";

/// A domain, or `*.` and a domain for its subdomains. It is made lower case.
pub(crate) struct DomainName;

impl Kind for DomainName {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "a domain, or \"*.\" and a domain for its subdomains",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        let text = reader.text(field, "a domain in quotes")?;
        if is_host(text.strip_prefix("*.").unwrap_or(text)) {
            return Some(text.to_ascii_lowercase());
        }
        reader.refuse(field, format!("\"{text}\" is not a domain"), ASCII_ADVICE);
        None
    }
}

/// A domain, `*.` and a domain for its subdomains, or `*` for all domains. It is made lower case.
pub(crate) struct DomainPattern;

impl Kind for DomainPattern {
    type Out = String;

    fn shape() -> Shape {
        Shape::Text {
            what: "a domain, \"*.\" and a domain for its subdomains, or \"*\" for all",
            pattern: None,
        }
    }

    fn read(field: Field<'_>, reader: &mut Reader) -> Option<String> {
        match field.node.as_text() {
            Some("*") => Some("*".to_owned()),
            _ => DomainName::read(field, reader),
        }
    }
}

/// Labels of letters, digits and hyphens (RFC 5321 section 2.3.5), underscores within tolerated.
pub(crate) fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}
