//! From the model to messages of `postern.v1`.
//!
//! Nothing here decides anything. A field that shows what the binding does not read is empty; the rest is translated.

mod message;
mod recipient;
mod route;
mod session;

use bytes::Bytes;
use postern_message::{Properties, RecipientId, Value};
use postern_proto::v1 as pb;
use postern_smtp::reply::Reply;

use crate::context::CommandLine;
use crate::grant::Reads;

pub(crate) use message::{
    envelope, field, headers, message, return_content, reverse_path, transaction,
};
pub(crate) use recipient::{address, from_xtext, path, recipient, standing};
pub(crate) use route::{next_hop, remote, tls_policy};
pub(crate) use session::{conduct, helo, session, tls};

/// What one binding may see.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What it reads.
    pub reads: &'a Reads,
    /// Its sink, whose own properties it always sees.
    pub sink: &'a str,
}

impl View<'_> {
    /// The properties that it may see, all of them.
    pub(crate) fn properties(&self, bag: &Properties) -> Vec<pb::Property> {
        if bag.is_empty() {
            return Vec::new();
        }
        let reads = &self.reads.properties;
        bag.entries()
            .filter(|(namespace, ..)| *namespace == self.sink || reads.contains(namespace))
            .map(|(namespace, key, value, lifetime)| pb::Property {
                namespace_name: namespace.to_owned(),
                key: key.to_owned(),
                value: Some(pb::Value {
                    kind: Some(value_of(value)),
                }),
                lifetime: match lifetime {
                    postern_message::Lifetime::Kept => pb::PropertyLifetime::Unspecified,
                    postern_message::Lifetime::Stage => pb::PropertyLifetime::Stage,
                }
                .into(),
            })
            .collect()
    }
}

fn value_of(value: &Value) -> pb::value::Kind {
    match value {
        Value::String(text) => pb::value::Kind::Text(text.clone()),
        Value::Bytes(octets) => pb::value::Kind::Octets(octets.clone()),
        Value::Int(number) => pb::value::Kind::Integer(*number),
        Value::Bool(flag) => pb::value::Kind::Flag(*flag),
        Value::Number(number) => pb::value::Kind::Number((*number).into()),
        Value::Texts(texts) => pb::value::Kind::Texts(pb::TextList {
            items: texts.clone(),
        }),
    }
}

/// A reply.
pub(crate) fn reply(reply: &Reply) -> pb::Reply {
    pb::Reply {
        code: u32::from(reply.code().value()),
        enhanced_code: reply
            .enhanced()
            .map(|code| Bytes::from(code.to_string()))
            .unwrap_or_default(),
        lines: reply
            .text()
            .iter()
            .map(|line| Bytes::copy_from_slice(line.as_str().as_bytes()))
            .collect(),
        without_enhanced_code: false,
    }
}

/// A command line. `shown`: the binding reads what is in the line.
pub(crate) fn command(line: &CommandLine, shown: bool) -> pb::Command {
    pb::Command {
        verb: line.verb.clone(),
        line: if shown {
            line.line.clone()
        } else {
            Bytes::new()
        },
        pipelined: line.pipelined,
    }
}

/// The octets of an id.
pub(crate) fn id(octets: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(octets)
}

/// The ids of recipients, where the binding reads recipients.
pub(crate) fn ids<'a>(
    recipients: impl IntoIterator<Item = &'a RecipientId>,
    view: &View<'_>,
) -> Vec<Bytes> {
    if view.reads.recipients {
        asked_ids(recipients)
    } else {
        Vec::new()
    }
}

/// The ids of recipients that an answer has to name: shown whatever the binding reads.
pub(crate) fn asked_ids<'a>(recipients: impl IntoIterator<Item = &'a RecipientId>) -> Vec<Bytes> {
    let ids = recipients.into_iter().map(|one| id(one.as_bytes()));
    ids.collect()
}

/// A span of time. Longer ones than 300 years are cut.
pub(crate) fn span(span: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: span.subsec_nanos().cast_signed(),
    }
}

/// A time of the wall clock.
pub(crate) fn moment(time: std::time::SystemTime) -> prost_types::Timestamp {
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    prost_types::Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: since.subsec_nanos().cast_signed(),
    }
}

#[cfg(test)]
mod tests;
