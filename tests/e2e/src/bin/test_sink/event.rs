//! An event as a word and a line of text, for rules and for the log.

use postern_proto::v1;
use postern_proto::v1::event::Kind as Happened;
use postern_proto::v1::value::Kind as Held;

/// Its name without the group.
pub(crate) fn name(event: &v1::Event) -> &'static str {
    match event.kind {
        Some(Happened::InboundConnect(_)) => "connect",
        Some(Happened::InboundHelo(_)) => "helo",
        Some(Happened::InboundTls(_)) => "tls",
        Some(Happened::InboundMail(_)) => "mail",
        Some(Happened::InboundRcpt(_)) => "rcpt",
        Some(Happened::InboundData(_)) => "data",
        Some(Happened::InboundHeaders(_)) => "headers",
        Some(Happened::InboundMessage(_)) => "message",
        Some(Happened::InboundCommand(_)) => "command",
        Some(Happened::InboundResponse(_)) => "response",
        Some(Happened::InboundOutcome(_)) => "outcome",
        Some(Happened::InboundReset(_)) => "reset",
        Some(Happened::InboundDisconnect(_)) => "disconnect",
        Some(Happened::TransportSubmit(_)) => "submit",
        Some(Happened::DeliveryResult(_)) => "result",
        _ => "other",
    }
}

/// What it is about, in one line, and what the sink is shown beside it.
pub(crate) fn detail(event: &v1::Event) -> String {
    let mut words = subject(event);
    if event.attempt > 0 {
        words.push(format!("attempt={}", event.attempt));
    }
    if event.replayed {
        words.push("replayed".to_owned());
    }
    words.extend(properties(event));
    words.join(" ").replace(['\r', '\n'], " ")
}

fn subject(event: &v1::Event) -> Vec<String> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match &event.kind {
        Some(Happened::InboundTls(tls)) => {
            let tls = tls.tls.clone().unwrap_or_default();
            vec![tls.version, text(&tls.server_name), tls.failure]
        }
        Some(Happened::InboundMail(mail)) => {
            let path = mail.envelope.as_ref().map(|e| text(&e.reverse_path));
            vec![path.unwrap_or_default()]
        }
        Some(Happened::InboundRcpt(rcpt)) => {
            let address = rcpt.recipient.as_ref().map(|r| text(&r.address));
            vec![address.unwrap_or_default()]
        }
        Some(Happened::InboundCommand(command)) => {
            let line = command.command.as_ref().map(|c| text(&c.line));
            vec![line.unwrap_or_default(), format!("known={}", command.known)]
        }
        Some(Happened::InboundResponse(response)) => {
            let code = response.reply.as_ref().map_or(0, |reply| reply.code);
            vec![text(&response.verb), code.to_string()]
        }
        Some(Happened::InboundOutcome(outcome)) => {
            let code = outcome.reply.as_ref().map_or(0, |reply| reply.code);
            vec![
                outcome.outcome().as_str_name().to_owned(),
                code.to_string(),
                format!("by={}", outcome.decided_by),
            ]
        }
        Some(Happened::InboundReset(reset)) => vec![reset.reason().as_str_name().to_owned()],
        Some(Happened::InboundDisconnect(end)) => vec![end.reason().as_str_name().to_owned()],
        Some(Happened::DeliveryResult(result)) => result
            .recipients
            .iter()
            .map(|r| format!("{}={}", text(&r.address), r.status().as_str_name()))
            .collect(),
        _ => Vec::new(),
    }
}

/// `NAMESPACE.KEY=VALUE` of the session, the transaction and the message.
fn properties(event: &v1::Event) -> Vec<String> {
    let session = event.session.iter().flat_map(|s| &s.properties);
    let transaction = event.transaction.iter().flat_map(|t| &t.properties);
    let message = event.message.iter().flat_map(|m| &m.properties);
    session
        .chain(transaction)
        .chain(message)
        .map(|property| {
            let value = match property.value.as_ref().and_then(|v| v.kind.as_ref()) {
                Some(Held::Text(text)) => text.clone(),
                other => format!("{other:?}"),
            };
            format!("{}.{}={value}", property.namespace_name, property.key)
        })
        .collect()
}
