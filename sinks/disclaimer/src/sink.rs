//! The sink around [`Outcome`]: one question per message, edits and words for an answer.

mod complaints;
mod limits;

use std::borrow::Cow;

use postern_sdk::check::{self, Grants, Question};
use postern_sdk::{
    Binding, Carried, ContentError, EventKind, HeaderValue, Message, Picture, Properties, Session,
    Sink, Transaction, Verdict, sink, transport, v1,
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use self::complaints::Complaints;
use crate::binding::problems;
use crate::edit::{Edits, FieldEdit};
use crate::outcome::{Frame, Outcome};
use crate::policy::Mail;
use crate::reason::Reason;
use crate::settings::{Configured, Settings, schema};

/// Octets that the sink's property takes at most.
const PROPERTY: u32 = 128;

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
        .with(Complaints::default())
        .check(problems)
        .on(transport::SUBMIT.full(), add)
}

/// Whatever is wrong, with the binding or with the message, the message goes on as it is.
async fn add(
    configured: Properties<Configured>,
    binding: Binding,
    picture: Picture,
    session: Session,
    transaction: Transaction,
    complaints: Carried<Complaints>,
    mut message: Message,
) -> Verdict {
    let judged = match configured.settings() {
        Ok(settings) => match Content::of(&mut message, settings.size_max_bytes).await {
            Ok(content) => {
                let mut outcome = outcome(
                    settings,
                    &binding,
                    &session,
                    &transaction,
                    &message,
                    &content,
                );
                let edits = outcome.edits.take().unwrap_or_default();
                let verdict = said(edited(edits), &outcome, binding.limits());
                would_be_taken(&verdict, &binding, &picture, &content).map(|()| (verdict, outcome))
            }
            Err(reason) => Err(reason),
        },
        Err(problem) => Err(Reason::Settings(problem.to_owned())),
    };
    let (verdict, outcome) = judged.unwrap_or_else(|reason| {
        let outcome = Outcome::left_alone(&reason);
        (
            said(Verdict::proceed(), &outcome, binding.limits()),
            outcome,
        )
    });
    if outcome.is_for_the_operator {
        complaints.about(&binding.name, &outcome);
    }
    verdict
}

/// A message as it was shown.
struct Content {
    /// Header section, blank line, body.
    raw: Vec<u8>,
    /// Where the body begins.
    body: usize,
    /// Octets of the whole, what was not shown included.
    size: u64,
}

impl Content {
    /// Takes the message in.
    ///
    /// # Errors
    /// Why it cannot be judged.
    async fn of(message: &mut Message, most: u64) -> Result<Self, Reason> {
        let unread = |error| match error {
            ContentError::TooLarge(limit) => Reason::TooLarge(limit),
            _ => not_whole(),
        };
        let body = message.body(most).await.map_err(unread)?;
        let raw = message.raw(most).await.map_err(unread)?;
        let end = message.ended().await.map_err(unread)?;
        if end.body_size_bytes != body.len() as u64 {
            return Err(not_whole());
        }
        Ok(Self {
            body: raw.len() - body.len(),
            raw: raw.into(),
            size: end.size_bytes,
        })
    }
}

fn not_whole() -> Reason {
    Reason::NotShown("all of the body: set body = \"full\"".to_owned())
}

fn outcome(
    settings: &Settings,
    binding: &Binding,
    session: &Session,
    transaction: &Transaction,
    message: &Message,
    content: &Content,
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
        message: &content.raw,
        sender: &message.sender().to_string(),
        recipients: &recipients,
        property: &property,
    };
    let frame = Frame {
        reads: binding.reads.clone(),
        may: binding.grants.clone(),
        limits: limits::of(binding.limits(), content.raw.len(), content.size),
        body_start: content.body,
    };
    Outcome::of(settings, &mail, &frame)
}

fn edited(edits: Edits) -> Verdict {
    let mut verdict = Verdict::proceed();
    for edit in edits.fields {
        verdict = match edit {
            FieldEdit::Set { name, value } => verdict.set_header(name, HeaderValue::raw(value)),
            FieldEdit::Remove { name } => verdict.remove_headers(name),
        };
    }
    for splice in edits.splices {
        let insert = (!splice.insert.is_empty()).then(|| v1::Data {
            kind: Some(v1::data::Kind::Literal(splice.insert.into())),
        });
        verdict = verdict.edit(v1::edit::Kind::SpliceBody(v1::SpliceBody {
            offset: splice.range.start as u64,
            remove_bytes: splice.range.len() as u64,
            insert,
        }));
    }
    verdict
}

/// Adds what became of the message: for metrics, for the trace, for later bindings.
fn said(verdict: Verdict, outcome: &Outcome, limits: &v1::Limits) -> Verdict {
    let verdict = verdict
        .reason(outcome.code.as_str())
        .explain(outcome.explanation.as_str());
    match limits.property_bytes {
        1..PROPERTY => verdict,
        _ => verdict.message_property("result", outcome.code.as_str()),
    }
}

/// The last look: a verdict that the SDK or the gateway refuses would be a fault, and keep the message.
fn would_be_taken(
    verdict: &Verdict,
    binding: &Binding,
    picture: &Picture,
    content: &Content,
) -> Result<(), Reason> {
    let question = Question {
        event: EventKind::TransportSubmit,
        body: None,
        grants: &Grants::of(&binding.grants),
        limits: binding.limits(),
        picture,
        content_bytes: Some(content.size),
    };
    check::verdict(verdict.as_proto(), &question)
        .map_err(|refusal| Reason::Refused(refusal.to_string()))
}

/// The schema of what is written: it is read from another form, which is not derived.
impl JsonSchema for Configured {
    fn schema_name() -> Cow<'static, str> {
        "Settings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema().try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
