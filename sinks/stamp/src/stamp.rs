//! The sink itself.

use postern_sdk::{
    Body, Description, EventKind, Instance, Message, NoState, Result, Sink, Verdict, id_text, v1,
};
use tracing::info;

use crate::line::line;
use crate::properties::{Moment, Part, Place, Properties, schema};

/// Every event that gateways of this version publish.
const EVENTS: [EventKind; 13] = [
    EventKind::InboundConnect,
    EventKind::InboundHelo,
    EventKind::InboundTls,
    EventKind::InboundMail,
    EventKind::InboundRcpt,
    EventKind::InboundData,
    EventKind::InboundCommand,
    EventKind::InboundResponse,
    EventKind::InboundOutcome,
    EventKind::InboundReset,
    EventKind::InboundDisconnect,
    EventKind::DeliveryResult,
    EventKind::InboundHeaders,
];

pub(crate) struct Stamp;

impl Sink<Properties> for Stamp {
    fn describe(&self) -> Description {
        let description = Description::new("stamp", env!("CARGO_PKG_VERSION"))
            .summary("Adds a trace header and shows every event in its log.")
            .on_with(EventKind::InboundMessage, Body::Headers)
            .on_with(EventKind::TransportSubmit, Body::Headers)
            .may("headers:X-*")
            .properties_schema(&schema());
        EVENTS.into_iter().fold(description, Description::on)
    }

    fn on_any(&self, instance: &Instance<Properties>, event: &v1::Event) {
        info!("{}", line(instance, event));
    }

    async fn on_message(&self, instance: &Instance<Properties>, message: &mut Message) -> Result {
        if instance.properties().at == Moment::Message {
            stamp(instance, message);
        }
        Ok(Verdict::proceed())
    }

    async fn on_submit(&self, instance: &Instance<Properties>, message: &mut Message) -> Result {
        if instance.properties().at == Moment::Submit {
            stamp(instance, message);
        }
        Ok(Verdict::proceed())
    }
}

fn stamp(instance: &Instance<Properties, NoState>, message: &mut Message) {
    let properties = instance.properties();
    let value = value(instance, message, &properties.show);
    match properties.place {
        Place::First => message.headers.prepend(properties.header.as_str(), value),
        Place::Last => message.headers.append(properties.header.as_str(), value),
    }
}

fn value(instance: &Instance<Properties, NoState>, message: &Message, parts: &[Part]) -> String {
    let (session_id, server) = match instance.message() {
        Some(message) => (&message.session_id, &message.server),
        None => (&instance.session().session_id, &instance.session().server),
    };
    let part = |part: &Part| match part {
        Part::Message => format!("message={}", id_text(&message.id())),
        Part::Session => format!("session={}", id_text(session_id)),
        Part::Server => format!("server={server}"),
        Part::Binding => format!("binding={}", instance.binding().name),
    };
    parts.iter().map(part).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
