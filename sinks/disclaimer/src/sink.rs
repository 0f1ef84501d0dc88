//! The sink around [`Outcome`]: one question per message, edits and words for an answer.

use postern_sdk::{
    Body, ContentError, Description, EventKind, Fault, Instance, Message, Result, Sink, Verdict,
    describe, v1,
};

use crate::edit::{FieldEdit, Limits};
use crate::outcome::{Frame, Outcome};
use crate::policy::Mail;
use crate::reason::Reason;
use crate::settings::{Settings, schema};

/// Octets that the edits of one verdict may bring in.
const INSERT_MAX: usize = 512 << 10;
/// Octets of a message that the gateway's own fields may take yet.
const TRACE: usize = 4 << 10;

/// Adds the operator's text at `transport.submit`.
#[derive(Clone, Copy, Debug)]
pub struct Disclaimer;

impl Sink<Settings> for Disclaimer {
    fn describe(&self) -> Description {
        describe!()
            .summary(
                "Adds a text to messages, in their own charset and encoding, or leaves them alone",
            )
            .on_with(EventKind::TransportSubmit, Body::Full)
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
            .properties_schema(&schema())
    }

    async fn on_submit(&self, instance: &Instance<Settings>, message: &mut Message) -> Result {
        let settings = instance.properties();
        let outcome = match message.raw(settings.size_max_bytes).await {
            Ok(raw) => outcome(instance, message, &raw),
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
                FieldEdit::Set { name, value } => message.headers.set(name, value),
                FieldEdit::Remove { name } => {
                    message.headers.remove(name);
                }
            }
        }
        for splice in edits.splices {
            let removed = splice.range.len() as u64;
            message.splice_body(splice.range.start as u64, removed, splice.insert);
        }
        Ok(verdict)
    }
}

fn outcome(instance: &Instance<Settings>, message: &Message, raw: &[u8]) -> Outcome {
    let recipients: Vec<String> = message
        .recipients()
        .iter()
        .map(|recipient| String::from_utf8_lossy(&recipient.address).into_owned())
        .collect();
    let property = |sink: &str, key: &str| {
        let value = instance
            .message_property(sink, key)
            .or_else(|| instance.session_property(sink, key))?;
        match value {
            v1::value::Kind::Text(text) => Some(text.clone()),
            v1::value::Kind::Integer(number) => Some(number.to_string()),
            v1::value::Kind::Flag(flag) => Some(flag.to_string()),
            v1::value::Kind::Octets(octets) => String::from_utf8(octets.to_vec()).ok(),
        }
    };
    let mail = Mail {
        message: raw,
        sender: &message.sender(),
        recipients: &recipients,
        property: &property,
    };
    let (binding, limits) = (instance.binding(), instance.limits());
    let octets = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let frame = Frame {
        reads: binding.reads.clone(),
        may: binding.grants.clone(),
        limits: Limits {
            insert: INSERT_MAX.min(limits.frame_bytes as usize / 2),
            message: octets(limits.message_bytes).saturating_sub(TRACE),
            header: octets(limits.header_bytes),
            fields: limits.header_count as usize,
        },
    };
    Outcome::of(instance.properties(), &mail, &frame)
}

#[cfg(test)]
mod tests;
