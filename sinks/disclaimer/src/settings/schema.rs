//! The JSON Schema of the settings, for `postern check` and editors.

use serde_json::{Value, json};

use super::written::size_max_bytes;

/// The schema.
#[must_use]
pub fn schema() -> Value {
    let strings = |description: &str| json!({ "type": "array", "items": { "type": "string", "minLength": 1 }, "description": description });
    let text = json!({ "type": "string", "minLength": 1, "description": "Put into plain text, on lines of its own. Placeholders: ${sender.address}, ${sender.local}, ${sender.domain}, ${property:SINK/KEY}, each with |DEFAULT." });
    let html = json!({ "type": "string", "minLength": 1, "description": "Put into HTML, as HTML. Left out: the text, escaped, in a paragraph." });
    let place = json!({ "type": "string", "enum": ["end", "top"], "default": "end", "description": "At which end of the message's text." });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "text": text,
            "html": html,
            "place": place,
            "texts": {
                "type": "array",
                "description": "Texts for some messages; the first that fits is taken, `text` where none does.",
                "items": {
                    "type": "object",
                    "required": ["name", "text"],
                    "additionalProperties": false,
                    "properties": {
                        "name": { "type": "string", "minLength": 1, "description": "Its name in traces." },
                        "direction": { "type": "string", "enum": ["outgoing", "incoming", "internal"], "description": "Which way the message goes, by `own_domains`. Left out: any." },
                        "sender_domains": strings("Domains of the sender. Left out: any."),
                        "recipient_domains": strings("Domains of recipients, one of which has to fit. Left out: any."),
                        "languages": strings("Languages of the message (RFC 4647): `de` fits de-AT too. Left out: any."),
                        "text": text,
                        "html": html,
                        "place": place,
                    }
                }
            },
            "images": {
                "type": "array",
                "description": "Images that HTML shows as cid:ID, at most 96 KiB together.",
                "items": {
                    "type": "object",
                    "required": ["cid", "type", "data"],
                    "additionalProperties": false,
                    "properties": {
                        "cid": { "type": "string", "minLength": 1, "description": "Its Content-ID, without angle brackets." },
                        "type": { "type": "string", "minLength": 7, "description": "Its media type, such as image/png." },
                        "data": { "type": "string", "minLength": 1, "description": "Its octets in base64." }
                    }
                }
            },
            "own_domains": strings("The operator's own domains: example.test, *.example.test."),
            "language_from": { "type": "string", "minLength": 3, "description": "The property, as SINK/KEY, that says the language of a message without Content-Language." },
            "repeat": { "type": "string", "enum": ["always", "new-threads", "unless-quoted"], "default": "always", "description": "Whether later messages of a thread get the text again." },
            "dkim": { "type": "string", "enum": ["leave-alone", "keep", "remove"], "default": "leave-alone", "description": "What becomes of a message that has a DKIM signature, which a change breaks." },
            "exempt": {
                "type": "object",
                "description": "What gets nothing.",
                "additionalProperties": false,
                "properties": {
                    "headers": strings("Messages with one of these fields: List-Id, or Auto-Submitted: auto-*."),
                    "senders": strings("Messages from these: anna@example.test, *@example.test, example.test."),
                    "recipients": strings("Messages all of whose recipients are among these.")
                }
            },
            "size_max_bytes": { "type": "integer", "minimum": 1, "default": size_max_bytes(), "description": "Bodies above so many octets are left alone." }
        }
    })
}
