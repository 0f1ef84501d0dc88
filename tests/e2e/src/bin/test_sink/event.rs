//! An event as a word and a line of text, for rules and for the log.

use std::collections::BTreeMap;

use postern_proto::v1;
use postern_proto::v1::event::Kind as Happened;
use postern_proto::v1::value::Kind as Held;

use crate::{facts, outgoing, routers, stores};

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
        Some(Happened::TransportRoute(_)) => "route",
        Some(Happened::DeliveryLink(_)) => "link",
        Some(Happened::ServiceStart(_)) => "start",
        Some(Happened::ServiceStop(_)) => "stop",
        Some(Happened::TransportResolve(_)) => "resolve",
        Some(Happened::TransportLocalDelivery(_)) => "local_delivery",
        Some(Happened::TransportPreCategorize(_)) => "pre_categorize",
        Some(Happened::TransportCategorize(_)) => "categorize",
        Some(Happened::TransportExpand(_)) => "expand",
        Some(Happened::TransportPostCategorize(_)) => "post_categorize",
        Some(Happened::DeliveryResult(_)) => "result",
        _ => outgoing::name(event).unwrap_or("other"),
    }
}

/// What it is about, in one line, and what the sink knows beside it: with `facts` all of that.
pub(crate) fn detail(event: &v1::Event, known: &Known, facts: bool) -> String {
    let mut words = subject(event);
    words.extend(resolving(event, known));
    if event.attempt > 0 {
        words.push(format!("attempt={}", event.attempt));
    }
    if event.replayed {
        words.push("replayed".to_owned());
    }
    words.extend(
        known
            .properties()
            .iter()
            .map(|(key, value)| format!("{key}={value}")),
    );
    words.extend(known.skipped().map(|binding| format!("skipped={binding}")));
    if facts {
        words.extend(facts::of(event, known));
    }
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
            let known = command.handling() != v1::CommandHandling::Unknown;
            vec![line.unwrap_or_default(), format!("known={known}")]
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
            .map(|r| {
                let reply = r.reply.iter().flat_map(|reply| &reply.lines);
                let reply: Vec<_> = reply.map(|line| text(line).replace(' ', "_")).collect();
                let status = r.status().as_str_name();
                format!("{}={status} reply={}", text(&r.address), reply.join("|"))
            })
            .collect(),
        Some(Happened::DeliveryLink(link)) => {
            let reply = link.last_reply.iter().flat_map(|reply| &reply.lines);
            let mut words = vec![
                text(&link.destination),
                link.health().as_str_name().to_owned(),
                format!("failures={}", link.failure_count),
            ];
            words.extend(reply.map(|line| text(line).replace(' ', "_")));
            words
        }
        Some(Happened::ServiceStart(start)) => {
            vec![start.gateway_version.clone(), start.servers.join(",")]
        }
        Some(Happened::ServiceStop(stop)) => vec![stop.reason.clone()],
        Some(Happened::TransportRoute(asked)) => routers::of_route(asked),
        Some(Happened::TransportResolve(asked)) => routers::of_resolve(asked),
        Some(Happened::TransportLocalDelivery(asked)) => stores::subject(asked),
        _ => outgoing::subject(event).unwrap_or_default(),
    }
}

/// What is to be resolved, and what was.
fn resolving(event: &v1::Event, known: &Known) -> Vec<String> {
    let address = |id: &[u8]| {
        let mut all = known.recipients.iter();
        let one = all.find(|one| one.recipient_id == id);
        one.map_or_else(
            || "?".to_owned(),
            |one| String::from_utf8_lossy(&one.address).into_owned(),
        )
    };
    match &event.kind {
        Some(Happened::TransportCategorize(own)) => {
            let all = own.recipient_ids.iter().map(|id| address(id));
            let mut words: Vec<_> = all.collect();
            words.push(format!("sender={}", own.sender_too));
            words
        }
        Some(Happened::TransportExpand(own)) => {
            let page = String::from_utf8_lossy(&own.page_token);
            let mut words = vec![address(&own.recipient_id), format!("depth={}", own.depth)];
            if !page.is_empty() {
                words.push(format!("page={page}"));
            }
            words
        }
        Some(Happened::TransportPostCategorize(own)) => vec![format!(
            "resolved={} unresolved={} expanded={}",
            own.resolved_count, own.unresolved_count, own.expanded_count
        )],
        _ => Vec::new(),
    }
}

/// What was told of an instance so far. Messages that an event brings are whole; recipients are brought up to date.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The session, once it was told.
    pub(crate) session: v1::Session,
    /// The client's conduct, as it was told last.
    pub(crate) conduct: v1::Conduct,
    /// The running transaction.
    pub(crate) transaction: Option<v1::Transaction>,
    /// Those of the transaction or the message.
    pub(crate) recipients: Vec<v1::Recipient>,
    /// The sender of the transaction or the message.
    pub(crate) sender: String,
    message: Vec<v1::Property>,
    skipped_on_message: Vec<String>,
}

impl Known {
    /// Takes over what an instance begins with.
    pub(crate) fn open(open: &v1::Open) -> Self {
        let mut known = Self::default();
        if let Some(snapshot) = &open.snapshot {
            let (session, transaction) = (snapshot.session.as_ref(), snapshot.transaction.as_ref());
            known.learn(session, transaction, snapshot.message.as_ref());
            known.recipients.clone_from(&snapshot.recipients);
            known.conduct = snapshot.conduct.unwrap_or_default();
        }
        known
    }

    /// Takes over what an event changes.
    pub(crate) fn update(&mut self, event: &v1::Event) {
        if event.message_ended {
            self.recipients.clear();
            self.message.clear();
            self.skipped_on_message.clear();
            self.transaction = None;
        }
        if let Some(conduct) = &event.conduct {
            self.conduct.clone_from(conduct);
        }
        let (session, transaction) = (event.session.as_deref(), event.transaction.as_deref());
        self.learn(session, transaction, event.message.as_deref());
        let Some(update) = &event.recipients else {
            return;
        };
        if update.replaces_all {
            self.recipients.clear();
        }
        self.recipients
            .retain(|known| !update.removed_ids.contains(&known.recipient_id));
        for recipient in &update.changed {
            let id = &recipient.recipient_id;
            match self
                .recipients
                .iter_mut()
                .find(|known| known.recipient_id == *id)
            {
                Some(known) => known.clone_from(recipient),
                None => self.recipients.push(recipient.clone()),
            }
        }
    }

    fn learn(
        &mut self,
        session: Option<&v1::Session>,
        transaction: Option<&v1::Transaction>,
        message: Option<&v1::Message>,
    ) {
        if let Some(session) = session {
            self.session.clone_from(session);
        }
        let envelope = transaction.and_then(|transaction| transaction.envelope.as_ref());
        let envelope = envelope.or(message.and_then(|message| message.envelope.as_ref()));
        if let Some(envelope) = envelope {
            self.sender = String::from_utf8_lossy(&envelope.reverse_path).into_owned();
        }
        if let Some(transaction) = transaction {
            self.transaction = Some(transaction.clone());
            self.message.clone_from(&transaction.properties);
            self.skipped_on_message
                .clone_from(&transaction.skipped_bindings);
        }
        if let Some(message) = message {
            self.message.clone_from(&message.properties);
            self.skipped_on_message
                .clone_from(&message.skipped_bindings);
        }
    }

    /// Bindings that failed and were passed over, in the session or on the message.
    fn skipped(&self) -> impl Iterator<Item = &String> {
        self.session
            .skipped_bindings
            .iter()
            .chain(&self.skipped_on_message)
    }

    /// The properties, as `NAMESPACE.KEY=VALUE`, in the order of their names.
    fn properties(&self) -> BTreeMap<String, String> {
        let all = self.session.properties.iter().chain(&self.message);
        let named = all.map(|property| {
            let value = match property.value.as_ref().and_then(|v| v.kind.as_ref()) {
                Some(Held::Text(text)) => text.clone(),
                other => format!("{other:?}"),
            };
            (
                format!("{}.{}", property.namespace_name, property.key),
                value,
            )
        });
        named.collect()
    }
}
