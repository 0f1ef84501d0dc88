//! All that a sink was told of session, conduct and transaction, as `KEY=VALUE`. What is not there is `-`.

use postern_proto::v1;
use postern_proto::v1::event::Kind as Happened;

use crate::event::Known;

/// The facts at an event: its own first.
pub(crate) fn of(event: &v1::Event, known: &Known) -> Vec<String> {
    let mut facts = own(event);
    facts.extend(session(&known.session));
    facts.extend(conduct(&known.conduct));
    let transaction = known.transaction.as_ref();
    facts.push(fact(
        "transaction",
        transaction.map(|own| hex(&own.transaction_id)),
    ));
    facts.push(fact(
        "number",
        transaction.map(|own| own.transaction_number),
    ));
    let recipients: Vec<_> = known
        .recipients
        .iter()
        .map(|recipient| text(&recipient.address))
        .collect();
    let recipients = Some(recipients.join(",")).filter(|list| !list.is_empty());
    facts.push(fact("recipients", recipients));
    facts
}

fn fact(key: &str, value: Option<impl ToString>) -> String {
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!("{key}={}", value.replace(' ', "_"))
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What the event itself says.
fn own(event: &v1::Event) -> Vec<String> {
    let command = match &event.kind {
        Some(Happened::InboundHelo(own)) => own.command.as_ref(),
        Some(Happened::InboundMail(own)) => own.command.as_ref(),
        Some(Happened::InboundRcpt(own)) => own.command.as_ref(),
        Some(Happened::InboundData(own)) => own.command.as_ref(),
        Some(Happened::InboundCommand(own)) => own.command.as_ref(),
        _ => None,
    };
    let mut facts: Vec<_> = command
        .into_iter()
        .flat_map(|command| {
            [
                fact("verb", Some(text(&command.verb))),
                fact("pipelined", Some(command.pipelined)),
            ]
        })
        .collect();
    match &event.kind {
        Some(Happened::InboundHelo(own)) => {
            let name = own.helo.as_ref().map(|helo| text(&helo.name));
            facts.push(fact("name", name));
        }
        Some(Happened::InboundTls(own)) => facts.extend(tls("own_", own.tls.as_ref())),
        Some(Happened::InboundOutcome(own)) => facts.extend([
            fact("id", Some(hex(&own.message_id))),
            fact("size", Some(own.size_bytes)),
            fact("differing", Some(own.recipients.len())),
        ]),
        Some(Happened::InboundReset(own)) => {
            facts.push(fact("id", Some(hex(&own.transaction_id))));
        }
        Some(Happened::InboundDisconnect(own)) => facts.extend([
            fact("received", Some(own.received_bytes)),
            fact("sent", Some(own.sent_bytes)),
        ]),
        _ => {}
    }
    facts
}

fn session(session: &v1::Session) -> Vec<String> {
    let client = session.client.clone().unwrap_or_default();
    let helo = session.helo.as_ref();
    let helo = helo.map(|helo| format!("{}:{}", text(&helo.verb), text(&helo.name)));
    let mut facts = vec![
        fact("session", Some(hex(&session.session_id))),
        fact("server", Some(&session.server)),
        fact("hostname", Some(&session.hostname)),
        fact("listener", Some(&session.listener)),
        fact("protocol", Some(&session.protocol_name)),
        fact("client", Some(&client.address)),
        fact("proxy", Some(&client.proxy_address)),
        fact("port", Some(client.port)),
        fact("local", Some(&client.local_address)),
        fact("local_port", Some(client.local_port)),
        fact("implicit", Some(client.implicit_tls)),
        fact("relay", Some(session.may_relay)),
        fact("started", session.started_at.map(|at| at.seconds)),
        fact("helo", helo),
    ];
    facts.extend(tls("", session.tls.as_ref()));
    facts
}

fn tls(prefix: &str, tls: Option<&v1::Tls>) -> Vec<String> {
    let key = |key: &str| format!("{prefix}{key}");
    vec![
        fact(&key("tls"), tls.map(|tls| &tls.version)),
        fact(&key("cipher"), tls.map(|tls| &tls.cipher_suite)),
        fact(&key("sni"), tls.map(|tls| text(&tls.server_name))),
    ]
}

fn conduct(conduct: &v1::Conduct) -> Vec<String> {
    let idle = conduct.idle.unwrap_or_default();
    let idle_ms = idle.seconds * 1000 + i64::from(idle.nanos) / 1_000_000;
    vec![
        fact("commands", Some(conduct.command_count)),
        fact("errors", Some(conduct.error_count)),
        fact("syntax", Some(conduct.syntax_error_count)),
        fact("early", Some(conduct.talked_early)),
        fact("pipelined_early", Some(conduct.pipelined_early)),
        fact("idle_ms", Some(idle_ms)),
        fact("messages", Some(conduct.message_count)),
        fact("refused", Some(conduct.refused_recipient_count)),
        fact("junk", Some(conduct.junk_command_count)),
        fact("connections", Some(conduct.connection_count)),
    ]
}
