//! The sink around [`footer`](mod@crate::footer): one question per message, the footer for an answer.

use postern_sdk::{
    Body, ContentError, Description, EventKind, Fault, Instance, Message, Result, Sink, Verdict,
    describe,
};
use serde::Deserialize;

use crate::footer::{self, Footer};

/// What an operator configures.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Properties {
    /// Put at the end of plain text, on lines of its own.
    pub text: String,
    /// Put at the end of HTML, as HTML. Left out: the text, escaped, in a paragraph.
    #[serde(default)]
    pub html: Option<String>,
    /// Bodies above so many octets are left alone. 16 MiB unless said otherwise.
    #[serde(default = "size_max_bytes")]
    pub size_max_bytes: u64,
}

fn size_max_bytes() -> u64 {
    16 << 20
}

/// Appends a footer at `transport.submit`.
#[derive(Clone, Copy, Debug)]
pub struct Disclaimer;

impl Sink<Properties> for Disclaimer {
    fn describe(&self) -> Description {
        describe!()
            .summary("Appends a text to messages, in their own charset and encoding")
            .on_with(EventKind::TransportSubmit, Body::Full)
            .reads("headers")
            .reads("body")
            .may("body")
            .may("headers:Content-Type")
            .may("headers:Content-Transfer-Encoding")
            .may("headers:MIME-Version")
            .properties_schema(&schema())
    }

    async fn on_submit(&self, instance: &Instance<Properties>, message: &mut Message) -> Result {
        let properties = instance.properties();
        let raw = match message.raw(properties.size_max_bytes).await {
            Ok(raw) => raw,
            Err(ContentError::TooLarge(limit)) => {
                let why = format!("left alone: larger than {limit} octets");
                return Ok(Verdict::proceed().reason("too-large").explain(why));
            }
            Err(error) => return Err(Fault::from(error)),
        };
        let footer = Footer {
            text: properties.text.clone(),
            html: properties.html.clone(),
        };
        let changes = match footer::append(&raw, &footer) {
            Ok(changes) => changes,
            Err(why) => {
                let why = format!("left alone: {why}");
                return Ok(Verdict::proceed().reason("left-alone").explain(why));
            }
        };
        let texts = changes.splices.len();
        for (name, value) in changes.headers {
            message.headers.set(name, value);
        }
        for splice in changes.splices {
            let removed = splice.range.end - splice.range.start;
            message.splice_body(splice.range.start as u64, removed as u64, splice.insert);
        }
        Ok(Verdict::proceed()
            .reason("added")
            .explain(format!("added to {texts} texts")))
    }
}

fn schema() -> serde_json::Value {
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["text"],
        "additionalProperties": false,
        "properties": {
            "text": {
                "type": "string",
                "description": "Put at the end of plain text, on lines of its own."
            },
            "html": {
                "type": "string",
                "description": "Put at the end of HTML, as HTML. Left out: the text, escaped."
            },
            "size_max_bytes": {
                "type": "integer",
                "minimum": 1,
                "default": size_max_bytes(),
                "description": "Bodies above so many octets are left alone."
            }
        }
    })
}

#[cfg(test)]
mod tests;
