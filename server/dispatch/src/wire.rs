//! From the domain's facts to frames of `postern.v1`.
//!
//! Nothing here decides anything: what a binding may not read is left out, and the rest is translated.

mod content;
mod event;
mod message;
mod open;
mod session;

pub(crate) use content::{depth_of, ended};
pub(crate) use event::{Happening, kind_of, shown_headers, wire_kind};
pub(crate) use message::{message, paged_recipients, recipient, transaction};
pub(crate) use open::{limits, named_binding};
pub(crate) use session::{conduct, session, session_change};

use bytes::Bytes;
use postern_message::{Properties, Value};
use postern_proto::v1 as pb;
use postern_smtp::reply::Reply;

use crate::plan::Binding;

/// What one binding may see.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// The binding.
    pub(crate) binding: &'a Binding,
}

impl View<'_> {
    /// The properties that it may see, whole.
    fn properties(&self, bag: &Properties) -> Vec<pb::Property> {
        if bag.is_empty() {
            return Vec::new();
        }
        let own: &str = &self.binding.sink.name;
        let reads = &self.binding.reads.properties;
        bag.iter()
            .filter(|(namespace, _, _)| *namespace == own || reads.contains(namespace))
            .map(|(namespace, key, value)| pb::Property {
                namespace_name: namespace.to_owned(),
                key: key.to_owned(),
                value: Some(pb::Value {
                    kind: Some(value_of(value)),
                }),
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
    }
}

/// The octets of an id.
pub(crate) fn id(octets: &[u8; 16]) -> Bytes {
    Bytes::copy_from_slice(octets)
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
