//! What an operator can set in the binding.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The properties of a binding, all with defaults.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Name of the header field. It begins with X-.
    pub header: HeaderName,
    /// Where it goes.
    pub place: Place,
    /// When it is added.
    pub at: Moment,
    /// What it says, in this order.
    pub show: Vec<Part>,
}

/// A header name: printable ASCII without colon, beginning with `X-`, as the sink asked to be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct HeaderName(String);

/// Where the field goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Before all others, as trace fields go.
    First,
    /// Behind all others.
    Last,
}

/// When the field is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Moment {
    /// Before the client has its reply.
    #[serde(rename = "inbound.message")]
    Message,
    /// When the message was accepted.
    #[serde(rename = "transport.submit")]
    Submit,
}

/// One part of the field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Id of the message.
    Message,
    /// Id of the session.
    Session,
    /// Name of the virtual server.
    Server,
    /// Name of the binding.
    Binding,
}

impl Default for Settings {
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
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
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

impl JsonSchema for HeaderName {
    fn schema_name() -> Cow<'static, str> {
        "HeaderName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[Xx]-[!-9;-~]{1,74}$" })
    }
}
