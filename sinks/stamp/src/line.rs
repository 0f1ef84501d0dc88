//! One readable line for each event.

use postern_sdk::{Instance, dotted_name, id_text, kind_of, v1};
use v1::event::Kind;

/// The event in one line: its name, whose it is, and what it says. What a client sent is escaped.
pub(crate) fn line<P, T>(instance: &Instance<P, T>, event: &v1::Event) -> String {
    let Some(kind) = &event.kind else {
        return "an event of a later protocol version".to_owned();
    };
    let name = dotted_name(kind_of(kind));
    let session_id = match instance.message() {
        Some(message) => &message.session_id,
        None => &instance.session().session_id,
    };
    let again = match (event.replayed, event.attempt) {
        (true, _) => " (told again)".to_owned(),
        (false, 0) => String::new(),
        (false, attempt) => format!(" (asked again, attempt {attempt})"),
    };
    let told = told(instance, kind);
    format!("{name:<18} {} {told}{again}", short(session_id))
}

fn told<P, T>(instance: &Instance<P, T>, kind: &Kind) -> String {
    match kind {
        Kind::InboundConnect(_) => connected(instance.session()),
        Kind::InboundHelo(body) => command(body.command.as_ref()),
        Kind::InboundTls(body) => tls(body.tls.as_ref()),
        Kind::InboundMail(body) => command(body.command.as_ref()),
        Kind::InboundRcpt(body) => command(body.command.as_ref()),
        Kind::InboundData(body) => command(body.command.as_ref()),
        Kind::InboundCommand(body) => command(body.command.as_ref()),
        Kind::InboundHeaders(body) => format!("message {}", id_text(&body.message_id)),
        Kind::InboundMessage(body) => {
            let recipients = instance
                .transaction()
                .map_or(0, |transaction| transaction.recipients.len());
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
        Kind::TransportSubmit(_) => instance.message().map(submitted).unwrap_or_default(),
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

fn submitted(message: &v1::Message) -> String {
    let sender = message
        .envelope
        .as_ref()
        .map(|envelope| escaped(&envelope.reverse_path))
        .unwrap_or_default();
    format!(
        "message {} from <{sender}> to {}, {} octets, by {}",
        id_text(&message.message_id),
        counted(message.recipients.len(), "recipient"),
        message.size_bytes,
        words(message.origin().as_str_name(), "ORIGIN_")
    )
}

fn delivered(body: &v1::DeliveryResult) -> String {
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
        id_text(&body.message_id),
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

/// The end of an id, which is what differs.
fn short(id: &[u8]) -> String {
    let text = id_text(id);
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
        assert_eq!(short(&[]), "-");
    }
}
