//! What an operator can set in the binding.

use serde::Deserialize;
use serde_json::{Value, json};

/// The properties of a binding, all with defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Properties {
    /// Name of the header field.
    pub(crate) header: HeaderName,
    /// Where it goes.
    pub(crate) place: Place,
    /// When it is added.
    pub(crate) at: Moment,
    /// What it says, in this order.
    pub(crate) show: Vec<Part>,
}

/// A header name: printable ASCII without colon, beginning with `X-`, as the sink asked to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct HeaderName(String);

/// Where the field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// Before all others, as trace fields go.
    First,
    /// Behind all others.
    Last,
}

/// When the field is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Moment {
    /// Before the client has its reply.
    #[serde(rename = "inbound.message")]
    Message,
    /// When the message was accepted.
    #[serde(rename = "transport.submit")]
    Submit,
}

/// One part of the field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Id of the message.
    Message,
    /// Id of the session.
    Session,
    /// Name of the virtual server.
    Server,
    /// Name of the binding.
    Binding,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            header: HeaderName("X-Postern-Trace".to_owned()),
            place: Place::First,
            at: Moment::Submit,
            show: vec![Part::Message, Part::Session, Part::Server],
        }
    }
}

impl HeaderName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let printable = name
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && octet != b':');
        let begins = name
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("x-"));
        match printable && begins && (3..=76).contains(&name.len()) {
            true => Ok(Self(name)),
            false => Err(format!("{name:?} is no header name that begins with X-")),
        }
    }
}

/// The JSON Schema of [`Properties`].
pub(crate) fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "header": {
                "description": "Name of the header field",
                "type": "string",
                "pattern": "^[Xx]-[!-9;-~]{1,74}$",
                "default": "X-Postern-Trace"
            },
            "place": {
                "description": "Where it goes",
                "enum": ["first", "last"],
                "default": "first"
            },
            "at": {
                "description": "When it is added",
                "enum": ["inbound.message", "transport.submit"],
                "default": "transport.submit"
            },
            "show": {
                "description": "What it says",
                "type": "array",
                "items": { "enum": ["message", "session", "server", "binding"] },
                "default": ["message", "session", "server"]
            }
        }
    })
}
