//! The sink around [`Outcome`]: one question per message, edits and words for an answer.

use std::borrow::Cow;

use postern_sdk::{
    Binding, ContentError, Fault, Message, Properties, Session, Sink, Transaction, Verdict, sink,
    transport, v1,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::edit::{FieldEdit, Limits};
use crate::outcome::{Frame, Outcome};
use crate::policy::Mail;
use crate::reason::Reason;
use crate::settings::{Settings, schema};

/// Octets that the edits of one verdict may bring in.
const INSERT_MAX: usize = 512 << 10;
/// Octets of a message that the gateway's own fields may take yet.
const TRACE: usize = 4 << 10;

/// The sink: adds the operator's text at `transport.submit`.
pub fn disclaimer() -> Sink {
    sink!()
        .name("disclaimer")
        .summary("Adds a text to messages, in their own charset and encoding, or leaves them alone")
        .reads("headers")
        .reads("body")
        .reads("sender")
        .reads("recipients")
        .may("body")
        .may("headers:Content-Type")
        .may("headers:Content-Transfer-Encoding")
        .may("headers:Content-MD5")
        .may("headers:Content-Length")
        .may("headers:MIME-Version")
        .on(transport::SUBMIT.full(), add)
}

async fn add(
    settings: Properties<Settings>,
    binding: Binding,
    session: Session,
    transaction: Transaction,
    mut message: Message,
) -> Result<Verdict, Fault> {
    let outcome = match message.raw(settings.size_max_bytes).await {
        Ok(raw) => outcome(&settings, &binding, &session, &transaction, &message, &raw),
        Err(ContentError::TooLarge(limit)) => Outcome::left_alone(&Reason::TooLarge(limit)),
        Err(error) => return Err(Fault::from(error)),
    };
    let verdict = Verdict::proceed()
        .reason(outcome.code.as_str())
        .explain(outcome.explanation)
        .message_property("result", outcome.code);
    let Some(edits) = outcome.edits else {
        return Ok(verdict);
    };
    for edit in edits.fields {
        match edit {
            FieldEdit::Set { name, value } => message.headers.set(name, value)?,
            FieldEdit::Remove { name } => message.headers.remove(name)?,
        }
    }
    for splice in edits.splices {
        let removed = splice.range.len() as u64;
        message.splice_body(splice.range.start as u64, removed, splice.insert)?;
    }
    Ok(verdict)
}

fn outcome(
    settings: &Settings,
    binding: &Binding,
    session: &Session,
    transaction: &Transaction,
    message: &Message,
    raw: &[u8],
) -> Outcome {
    let recipients: Vec<String> = message
        .recipients()
        .map(|recipient| recipient.address().to_string())
        .collect();
    let property = |sink: &str, key: &str| {
        let value = transaction
            .property_of(sink, key)
            .or_else(|| session.property_of(sink, key))?;
        match value {
            v1::value::Kind::Text(text) => Some(text.clone()),
            v1::value::Kind::Integer(number) => Some(number.to_string()),
            v1::value::Kind::Number(number) => Some(number.to_string()),
            v1::value::Kind::Flag(flag) => Some(flag.to_string()),
            v1::value::Kind::Texts(texts) => Some(texts.items.join(", ")),
            v1::value::Kind::Octets(octets) => String::from_utf8(octets.to_vec()).ok(),
        }
    };
    let mail = Mail {
        message: raw,
        sender: &message.sender().to_string(),
        recipients: &recipients,
        property: &property,
    };
    let limits = binding.limits();
    let octets = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let frame = Frame {
        reads: binding.reads.clone(),
        may: binding.grants.clone(),
        limits: Limits {
            insert: INSERT_MAX.min(limits.literal_bytes as usize),
            message: octets(limits.message_bytes).saturating_sub(TRACE),
            header: octets(limits.header_bytes),
            fields: limits.header_count as usize,
        },
    };
    Outcome::of(settings, &mail, &frame)
}

/// The schema that the settings have: they are read from another form, which is not derived.
impl JsonSchema for Settings {
    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema().try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
