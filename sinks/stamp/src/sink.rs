//! The sink around the stamp and the log.

use postern_sdk::{
    About, AnyEvent, Binding, EventKind, Id, Message, Picture, Properties, Refusal, Sink, Verdict,
    inbound, sink, transport, v1,
};
use tracing::info;

use crate::line::line;
use crate::settings::{Moment, Part, Place, Settings};

/// What it hears of beside the messages that it stamps: what happens to them on their way in, and what becomes of them.
const HEARD: [EventKind; 13] = [
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

/// The sink: stamps each message, and shows every event in its log.
pub fn stamp() -> Sink {
    logging_to(|line| info!("{line}"))
}

fn logging_to(log: fn(&str)) -> Sink {
    sink!()
        .name("stamp")
        .summary("Adds a trace header and shows every event in its log.")
        .may("headers:X-*")
        .with(Log(log))
        .observe(HEARD, heard)
        .on(inbound::MESSAGE.headers(), message)
        .on(transport::SUBMIT.headers(), submit)
}

/// Where the lines go.
struct Log(fn(&str));

async fn heard(log: postern_sdk::Carried<Log>, event: AnyEvent, about: About, picture: Picture) {
    (log.0)(&line(&event, &about, &picture));
}

async fn message(
    log: postern_sdk::Carried<Log>,
    event: AnyEvent,
    about: About,
    picture: Picture,
    settings: Properties<Settings>,
    binding: Binding,
    message: Message,
) -> Result<Verdict, Refusal> {
    (log.0)(&line(&event, &about, &picture));
    stamped(Moment::Message, &settings, &binding, &picture, message)
}

async fn submit(
    log: postern_sdk::Carried<Log>,
    event: AnyEvent,
    about: About,
    picture: Picture,
    settings: Properties<Settings>,
    binding: Binding,
    message: Message,
) -> Result<Verdict, Refusal> {
    (log.0)(&line(&event, &about, &picture));
    stamped(Moment::Submit, &settings, &binding, &picture, message)
}

fn stamped(
    moment: Moment,
    settings: &Settings,
    binding: &v1::Binding,
    picture: &Picture,
    mut message: Message,
) -> Result<Verdict, Refusal> {
    if settings.at == moment {
        let value = value(settings, binding, picture);
        let name = settings.header.as_str();
        match settings.place {
            Place::First => message.headers.prepend(name, value)?,
            Place::Last => message.headers.append(name, value)?,
        }
    }
    Ok(Verdict::proceed())
}

fn value(settings: &Settings, binding: &v1::Binding, picture: &Picture) -> String {
    let (session_id, server) = match (picture.message(), picture.session()) {
        (Some(message), _) => (message.session_id.clone(), message.server.as_str()),
        (None, Some(session)) => (session.session_id.clone(), session.server.as_str()),
        (None, None) => Default::default(),
    };
    let part = |part: &Part| match part {
        Part::Message => format!("message={}", Id::from(picture.message_id())),
        Part::Session => format!("session={}", Id::from(session_id.clone())),
        Part::Server => format!("server={server}"),
        Part::Binding => format!("binding={}", binding.name),
    };
    let parts: Vec<_> = settings.show.iter().map(part).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests;
