//! The schema as a page of the documentation.

use crate::event::EventKind;

use super::{Attribute, SCHEMA_VERSION};

/// The text of `docs/attributes.md`.
#[must_use]
pub fn render() -> String {
    let mut page = String::from(INTRODUCTION);
    line(
        &mut page,
        &format!("This is version {SCHEMA_VERSION} of the schema.\n"),
    );
    page.push_str("| attribute | type | what it is | events |\n| --- | --- | --- | --- |\n");
    for attribute in Attribute::ALL {
        line(
            &mut page,
            &format!(
                "| `{attribute}` | {} | {} | {} |",
                attribute.kind(),
                attribute.doc(),
                events_of(*attribute)
            ),
        );
    }
    page
}

fn events_of(attribute: Attribute) -> String {
    let names: Vec<String> = EventKind::published()
        .filter(|event| attribute.exists_at(*event))
        .map(|event| format!("`{event}`"))
        .collect();
    if EventKind::ALL
        .into_iter()
        .all(|event| attribute.exists_at(event))
    {
        return "all".to_owned();
    }
    if names.is_empty() {
        return "none in this version".to_owned();
    }
    let mut inbound = EventKind::published().filter(|event| event.name().starts_with("inbound."));
    let submit = attribute.exists_at(EventKind::TransportSubmit);
    if inbound.all(|event| attribute.exists_at(event)) {
        return if submit {
            "all inbound, `transport.submit`"
        } else {
            "all inbound"
        }
        .to_owned();
    }
    names.join(", ")
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

const INTRODUCTION: &str = "\
<!-- Made from server/events/src/attributes.rs; do not edit. -->
# Attributes of conditions

A binding's `when` is a CEL expression over these attributes. It must come to true or false. A binding is asked
only if it is true (and its `rule` holds).

- An attribute that does not exist at one of the binding's events is refused when the configuration is checked.
- An error while it is evaluated, such as a key that a map has not, is the binding's failure, and its failure
  policy speaks. It is never \"did not fire\". Ask first: `\"x-spam\" in message.headers && …`.
- An expression has at most 4096 octets. Loops (`all`, `exists`, `exists_one`, `filter`, `map`) are not nested, and
  within a loop lists and maps of the event cannot be named: what an expression costs stays bounded.
- A condition reads what it names: the binding waits for earlier bindings that may change it.

";
