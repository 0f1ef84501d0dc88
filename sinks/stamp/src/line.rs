//! One readable line for each event.

use bytes::Bytes;
use postern_sdk::{About, Id, Picture, event_name, v1};
use v1::event::Kind;

/// The event in one line: its name, whose it is, and what it says. What a client sent is escaped.
pub(crate) fn line(event: &Kind, about: &About, picture: &Picture) -> String {
    let name = event_name(event);
    let session_id = match (picture.message(), picture.session()) {
        (Some(message), _) => Id::from(message.session_id.clone()),
        (None, Some(session)) => Id::from(session.session_id.clone()),
        (None, None) => Id::from(Bytes::new()),
    };
    let again = match (about.replayed, about.attempt) {
        (true, _) => " (told again)".to_owned(),
        (false, 0) => String::new(),
        (false, attempt) => format!(" (asked again, attempt {attempt})"),
    };
    let told = told(picture, event);
    format!("{name:<18} {} {told}{again}", short(&session_id))
}

fn told(picture: &Picture, kind: &Kind) -> String {
    match kind {
        Kind::InboundConnect(_) => picture.session().map(connected).unwrap_or_default(),
        Kind::InboundHelo(body) => command(body.command.as_ref()),
        Kind::InboundTls(body) => tls(body.tls.as_ref()),
        Kind::InboundMail(body) => command(body.command.as_ref()),
        Kind::InboundRcpt(body) => command(body.command.as_ref()),
        Kind::InboundData(body) => command(body.command.as_ref()),
        Kind::InboundCommand(body) => command(body.command.as_ref()),
        Kind::InboundHeaders(body) => format!("message {}", id_text(&body.message_id)),
        Kind::InboundMessage(body) => {
            let recipients = picture.recipients().len();
            format!(
                "message {} to {}",
                id_text(&body.message_id),
                counted(recipients, "recipient")
            )
        }
        Kind::InboundResponse(body) => {
            format!("to {}: {}", escaped(&body.verb), reply(body.reply.as_ref()))
        }
        Kind::InboundOutcome(body) => outcome(body),
        Kind::InboundReset(body) => {
            format!("transaction {} given up", id_text(&body.transaction_id))
        }
        Kind::InboundDisconnect(body) => format!(
            "{}, {} octets in, {} out",
            words(body.reason().as_str_name(), "DISCONNECT_REASON_"),
            body.received_bytes,
            body.sent_bytes
        ),
        Kind::TransportSubmit(_) => match picture.message() {
            Some(message) => submitted(message, picture.recipients().len()),
            None => String::new(),
        },
        Kind::DeliveryResult(body) => delivered(body),
        _ => String::new(),
    }
}

fn connected(session: &v1::Session) -> String {
    let (address, port, name) = match &session.client {
        Some(client) => (
            client.address.as_str(),
            client.port,
            client
                .reverse_names
                .first()
                .map(|name| format!(" ({})", escaped(name)))
                .unwrap_or_default(),
        ),
        None => ("", 0, String::new()),
    };
    format!("from {address}:{port}{name} to server {}", session.server)
}

fn tls(tls: Option<&v1::Tls>) -> String {
    match tls {
        Some(tls) if tls.failure.is_empty() => format!("{} {}", tls.version, tls.cipher_suite),
        Some(tls) => format!("failed: {}", tls.failure),
        None => "none".to_owned(),
    }
}

fn outcome(body: &v1::InboundOutcome) -> String {
    let by = match body.decided_by.as_str() {
        "" => String::new(),
        binding => format!(" by {binding}"),
    };
    format!(
        "message {} {}{by}, {} octets: {}",
        id_text(&body.message_id),
        words(body.outcome().as_str_name(), "OUTCOME_"),
        body.size_bytes,
        reply(body.reply.as_ref())
    )
}

fn submitted(message: &v1::Message, recipients: usize) -> String {
    let sender = message
        .envelope
        .as_ref()
        .map(|envelope| escaped(&envelope.reverse_path))
        .unwrap_or_default();
    format!(
        "message {} from <{sender}> to {}, {} octets, by {}",
        id_text(&message.message_id),
        counted(recipients, "recipient"),
        message.size_bytes,
        words(message.origin().as_str_name(), "ORIGIN_")
    )
}

fn delivered(body: &v1::DeliveryResult) -> String {
    let message = body.summary.as_ref();
    let recipients = body.recipients.iter().map(|recipient| {
        format!(
            "<{}> {}: {}",
            escaped(&recipient.address),
            words(recipient.status().as_str_name(), "DELIVERY_STATUS_"),
            reply(recipient.reply.as_ref())
        )
    });
    format!(
        "message {} {}",
        message
            .map(|message| id_text(&message.message_id))
            .unwrap_or_default(),
        recipients.collect::<Vec<_>>().join(", ")
    )
}

fn command(command: Option<&v1::Command>) -> String {
    command
        .map(|command| escaped(&command.line))
        .unwrap_or_default()
}

fn reply(reply: Option<&v1::Reply>) -> String {
    match reply {
        Some(reply) => {
            let text = reply
                .lines
                .first()
                .map(|line| escaped(line))
                .unwrap_or_default();
            let enhanced = escaped(&reply.enhanced_code);
            [reply.code.to_string(), enhanced, text]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        }
        None => "no reply".to_owned(),
    }
}

/// UTF-8 stays readable; what could forge a line or drive a terminal does not.
fn escaped(octets: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(octets).chars() {
        match c {
            '\\' => text.push(c),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

fn id_text(id: &Bytes) -> String {
    Id::from(id.clone()).to_string()
}

/// The end of an id, which is what differs.
fn short(id: &Id) -> String {
    let text = id.to_string();
    text.get(text.len().saturating_sub(8)..)
        .filter(|end| !end.is_empty())
        .unwrap_or("-")
        .to_owned()
}

fn words(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix)
        .to_ascii_lowercase()
        .replace('_', " ")
}

fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        count => format!("{count} {thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_cannot_forge_a_line() {
        assert_eq!(escaped(b"a\r\nINFO b\x1b[2J"), "a\\r\\nINFO b\\u{1b}[2J");
        assert_eq!(escaped("Grüße".as_bytes()), "Grüße");
    }

    #[test]
    fn names_of_the_protocol_become_words() {
        assert_eq!(words("OUTCOME_CLIENT_GONE", "OUTCOME_"), "client gone");
        assert_eq!(counted(1, "recipient"), "1 recipient");
        assert_eq!(short(&Id::from(Bytes::new())), "-");
    }
}
