//! An event as a word and a line of text, for rules and for the log.

use std::collections::BTreeMap;

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

/// What it is about, in one line, and what the sink knows beside it.
pub(crate) fn detail(event: &v1::Event, known: &Known) -> String {
    let mut words = subject(event);
    if event.attempt > 0 {
        words.push(format!("attempt={}", event.attempt));
    }
    if event.replayed {
        words.push("replayed".to_owned());
    }
    words.extend(
        known
            .properties
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
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
            let line = command
                .command
                .as_ref()
                .map(|c| text(c.line.trim_ascii_end()));
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

/// What was told of an instance so far: events say only what has changed.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Those of the transaction or the message.
    pub(crate) recipients: Vec<v1::Recipient>,
    /// By `NAMESPACE.KEY`.
    properties: BTreeMap<String, String>,
}

impl Known {
    /// Takes over what an instance begins with.
    pub(crate) fn open(open: &v1::Open) -> Self {
        let mut known = Self::default();
        if let Some(snapshot) = &open.snapshot {
            let (session, transaction) = (snapshot.session.as_ref(), snapshot.transaction.as_ref());
            known.learn(session, transaction, snapshot.message.as_ref());
        }
        known
    }

    /// Takes over what an event changes.
    pub(crate) fn update(&mut self, event: &v1::Event) {
        let (session, transaction) = (event.session.as_deref(), event.transaction.as_deref());
        self.learn(session, transaction, event.message.as_deref());
    }

    fn learn(
        &mut self,
        session: Option<&v1::Session>,
        transaction: Option<&v1::Transaction>,
        message: Option<&v1::Message>,
    ) {
        let mut properties = Vec::new();
        properties.extend(session.iter().flat_map(|s| &s.properties));
        properties.extend(transaction.iter().flat_map(|t| &t.properties));
        properties.extend(message.iter().flat_map(|m| &m.properties));
        for property in properties {
            let value = match property.value.as_ref().and_then(|v| v.kind.as_ref()) {
                Some(Held::Text(text)) => text.clone(),
                other => format!("{other:?}"),
            };
            let key = format!("{}.{}", property.namespace_name, property.key);
            self.properties.insert(key, value);
        }
        let of_transaction = transaction.iter().flat_map(|t| &t.recipients);
        for recipient in of_transaction.chain(message.iter().flat_map(|m| &m.recipients)) {
            self.recipients
                .retain(|r| r.recipient_id != recipient.recipient_id);
            self.recipients.push(recipient.clone());
        }
    }
}
