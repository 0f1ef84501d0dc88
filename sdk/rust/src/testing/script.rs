//! Plays a script as the gateway would.

mod opening;

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::mail::{Mail, new_id};
use super::wire::{Push, Wire};
use super::{Setup, Transcript};
use crate::event::kind_of;
use crate::v1::{self, EventKind, decision, event};
use crate::{Result, Sink, Verdict};

pub(super) enum Step {
    Ehlo(String),
    Mail(String),
    Rcpts(Vec<String>),
    Message(Vec<u8>),
    Reset,
    Event(Box<event::Kind>),
    Quit,
}

/// How the service goes on after a verdict.
#[derive(PartialEq)]
enum Onward {
    Go,
    Refused,
    Dropped,
    Disconnected,
}

pub(super) struct Player {
    wire: Wire,
    description: v1::DescribeResponse,
    setup: Setup,
    transcript: Transcript,
    session: v1::Session,
    session_told: bool,
    instance_id: Option<u64>,
    conduct: v1::Conduct,
    mail: Option<Mail>,
    transaction_number: u32,
    headers_told: bool,
    over: Option<v1::DisconnectReason>,
}

impl Player {
    pub(super) async fn play<S, P, T>(sink: Arc<S>, setup: Setup, steps: Vec<Step>) -> Transcript
    where
        S: Sink<P, T>,
        P: DeserializeOwned + Send + Sync + 'static,
        T: Default + Send + 'static,
    {
        let description = sink.describe().into_proto();
        let session = v1::Session {
            session_id: new_id(),
            server: "test".to_owned(),
            hostname: "mx.example.test".to_owned(),
            protocol: "smtp".to_owned(),
            client: Some(v1::Client {
                address: setup.client.clone(),
                port: 40_000,
                address_source: v1::AddressSource::Connection.into(),
                ..Default::default()
            }),
            may_relay: Some(false),
            ..Default::default()
        };
        let player = Self {
            wire: Wire::new(sink, setup.deadline, setup.chunk),
            description,
            setup,
            transcript: Transcript::default(),
            session,
            session_told: false,
            instance_id: None,
            conduct: v1::Conduct::default(),
            mail: None,
            transaction_number: 0,
            headers_told: false,
            over: None,
        };
        player.run(steps).await
    }

    async fn run(mut self, steps: Vec<Step>) -> Transcript {
        if self
            .question(event::Kind::InboundConnect(v1::InboundConnect {}))
            .await
            != Onward::Go
        {
            self.over = Some(v1::DisconnectReason::Verdict);
        }
        for step in steps {
            if self.over.is_some() {
                break;
            }
            self.conduct.command_count += 1;
            match step {
                Step::Ehlo(name) => self.ehlo(name).await,
                Step::Mail(sender) => self.mail(sender).await,
                Step::Rcpts(addresses) => self.rcpts(addresses).await,
                Step::Message(raw) => self.message(raw).await,
                Step::Reset => self.reset(v1::ResetReason::Command).await,
                Step::Event(body) => {
                    self.question(*body).await;
                }
                Step::Quit => self.over = Some(v1::DisconnectReason::Quit),
            }
        }
        let reason = self.over.unwrap_or(v1::DisconnectReason::ClientGone).into();
        let ended = v1::InboundDisconnect {
            reason,
            ..Default::default()
        };
        self.tell(event::Kind::InboundDisconnect(ended)).await;
        if let Some(instance_id) = self.instance_id {
            self.wire.close(instance_id).await;
        }
        self.transcript.activities = self.wire.finish().await;
        self.transcript
    }

    async fn ehlo(&mut self, name: String) {
        self.reset(v1::ResetReason::Greeting).await;
        let helo = v1::Helo {
            verb: Bytes::from_static(b"EHLO"),
            name: name.clone().into(),
        };
        let command = command("EHLO", format!("EHLO {name}"), false);
        let body = v1::InboundHelo {
            command: Some(command),
            helo: Some(helo.clone()),
        };
        if self.question(event::Kind::InboundHelo(body)).await == Onward::Go {
            self.session.helo = Some(helo);
            self.session_told = false;
        }
    }

    async fn mail(&mut self, sender: String) {
        let mail = Mail::begin(new_id(), sender.clone().into());
        let body = v1::InboundMail {
            command: Some(command("MAIL", format!("MAIL FROM:<{sender}>"), false)),
            transaction_id: mail.id.clone(),
            envelope: Some(mail.envelope()),
        };
        if self.question(event::Kind::InboundMail(body)).await == Onward::Go {
            self.mail = Some(mail);
            self.transaction_number += 1;
        }
    }

    async fn rcpts(&mut self, addresses: Vec<String>) {
        if self.mail.is_none() {
            return;
        }
        let pipelined = addresses.len() > 1;
        let recipient = |address: &String| v1::Recipient {
            recipient_id: new_id(),
            address: address.clone().into(),
            state: v1::RecipientState::Pending.into(),
            ..Default::default()
        };
        let recipients: Vec<_> = addresses.iter().map(recipient).collect();
        let bodies = recipients
            .iter()
            .zip(&addresses)
            .map(|(recipient, address)| {
                let others = recipients
                    .iter()
                    .filter(|other| other.recipient_id != recipient.recipient_id);
                event::Kind::InboundRcpt(v1::InboundRcpt {
                    command: Some(command("RCPT", format!("RCPT TO:<{address}>"), pipelined)),
                    recipient: Some(recipient.clone()),
                    pending: others.cloned().collect(),
                    local_domain: true,
                })
            });
        let onward = self.questions(bodies.collect(), None).await;
        for (mut recipient, onward) in recipients.into_iter().zip(onward) {
            recipient.state = v1::RecipientState::Accepted.into();
            if let (Onward::Go, Some(mail)) = (onward, &mut self.mail) {
                mail.add_recipient(recipient);
            }
        }
    }

    async fn message(&mut self, raw: Vec<u8>) {
        if self
            .mail
            .as_ref()
            .is_none_or(|mail| mail.recipients().is_empty())
        {
            return;
        }
        let data = v1::InboundData {
            command: Some(command("DATA", "DATA".to_owned(), false)),
        };
        if self.question(event::Kind::InboundData(data)).await != Onward::Go {
            return;
        }
        let Some(mail) = &mut self.mail else { return };
        mail.set_content(&raw);
        let message_id = mail.id.clone();
        let headers = mail.headers();
        let asked = v1::InboundHeaders {
            message_id: message_id.clone(),
            headers: Some(headers),
        };
        self.headers_told = self.wants(EventKind::InboundHeaders);
        let mut onward = self.question(event::Kind::InboundHeaders(asked)).await;
        if onward == Onward::Go {
            onward = self.judge_content(message_id.clone()).await;
        }
        let outcome = match onward {
            Onward::Go => v1::Outcome::Accepted,
            Onward::Dropped => v1::Outcome::Discarded,
            Onward::Refused | Onward::Disconnected => v1::Outcome::Rejected,
        };
        let mail = self.mail.take();
        let told = v1::InboundOutcome {
            message_id,
            outcome: outcome.into(),
            ..Default::default()
        };
        self.tell(event::Kind::InboundOutcome(told)).await;
        if let (Onward::Go, Some(mail)) = (onward, mail) {
            self.submit(mail).await;
        }
    }

    async fn judge_content(&mut self, message_id: Bytes) -> Onward {
        let Some(mail) = &self.mail else {
            return Onward::Refused;
        };
        let headers = (!self.headers_told).then(|| mail.headers());
        let push = Push::new(
            mail,
            self.depth_at(EventKind::InboundMessage),
            self.description.initial_credit_bytes,
        );
        let body = event::Kind::InboundMessage(v1::InboundMessage {
            message_id,
            headers,
        });
        self.questions(vec![body], Some(push))
            .await
            .pop()
            .unwrap_or(Onward::Refused)
    }

    /// `transport.submit`, in an instance of its own.
    async fn submit(&mut self, mut mail: Mail) {
        if self.wants(EventKind::TransportSubmit) {
            let open = v1::Open {
                scope: v1::Scope::Transport.into(),
                ..self.open(2, v1::Snapshot::default())
            };
            let instance_id = self.wire.open(open).await;
            let message = v1::Message {
                message_id: mail.id.clone(),
                origin: v1::Origin::Smtp.into(),
                envelope: Some(mail.envelope()),
                recipients: mail.recipient_list(),
                headers: Some(mail.headers()),
                size_bytes: mail.raw().len() as u64,
                session_id: self.session.session_id.clone(),
                server: self.session.server.clone(),
                ..Default::default()
            };
            let event = v1::Event {
                message: Some(Box::new(message)),
                content: Some(self.shown(EventKind::TransportSubmit)),
                kind: Some(event::Kind::TransportSubmit(v1::TransportSubmit {})),
                ..Default::default()
            };
            let push = Push::new(
                &mail,
                self.depth_at(EventKind::TransportSubmit),
                self.description.initial_credit_bytes,
            );
            let answers = self.wire.ask(instance_id, vec![event], Some(push)).await;
            self.wire.close(instance_id).await;
            for answer in answers {
                let onward = onward(&answer);
                if let Ok(verdict) = &answer {
                    apply(&mut mail, verdict, &self.wire);
                }
                self.transcript
                    .answers
                    .push((EventKind::TransportSubmit, answer));
                if onward != Onward::Go {
                    return;
                }
            }
        }
        self.transcript.mails.push(mail);
    }

    async fn reset(&mut self, reason: v1::ResetReason) {
        if let Some(mail) = self.mail.take() {
            let told = v1::InboundReset {
                transaction_id: mail.id,
                reason: reason.into(),
            };
            self.tell(event::Kind::InboundReset(told)).await;
        }
    }

    async fn question(&mut self, body: event::Kind) -> Onward {
        if crate::router::is_one_way(&body) {
            self.tell(body).await;
            return Onward::Go;
        }
        self.questions(vec![body], None)
            .await
            .pop()
            .unwrap_or(Onward::Go)
    }

    /// Asks, if the sink wants to be; takes in what its verdicts change.
    async fn questions(&mut self, bodies: Vec<event::Kind>, push: Option<Push>) -> Vec<Onward> {
        let Some(kind) = bodies.first().map(kind_of).filter(|kind| self.wants(*kind)) else {
            return bodies.iter().map(|_| Onward::Go).collect();
        };
        let instance_id = self.instance().await;
        let content = push.as_ref().map(|_| self.shown(kind));
        let asked = |body| v1::Event {
            content,
            ..self.event_of(body)
        };
        let events = bodies.into_iter().map(asked).collect();
        let answers = self.wire.ask(instance_id, events, push).await;
        let mut onwards = Vec::new();
        for answer in answers {
            let onward = onward(&answer);
            if onward == Onward::Disconnected {
                self.over = Some(v1::DisconnectReason::Verdict);
            }
            if let (Ok(verdict), Some(mail)) = (&answer, &mut self.mail) {
                apply(mail, verdict, &self.wire);
            }
            self.transcript.answers.push((kind, answer));
            onwards.push(onward);
        }
        onwards
    }

    async fn tell(&mut self, body: event::Kind) {
        if self.wants(kind_of(&body)) {
            let instance_id = self.instance().await;
            let event = self.event_of(body);
            self.wire.tell(instance_id, event).await;
        }
    }

    fn event_of(&mut self, body: event::Kind) -> v1::Event {
        let session = (!self.session_told).then(|| Box::new(self.session.clone()));
        self.session_told = true;
        let transaction = self.mail.as_ref().map(|mail| {
            Box::new(v1::Transaction {
                transaction_id: mail.id.clone(),
                envelope: Some(mail.envelope()),
                recipients: mail.recipient_list(),
                properties: Vec::new(),
                transaction_number: self.transaction_number,
            })
        });
        v1::Event {
            session,
            transaction,
            conduct: Some(self.conduct),
            kind: Some(body),
            ..Default::default()
        }
    }

    /// The session's instance, opened when it is first needed.
    async fn instance(&mut self) -> u64 {
        match self.instance_id {
            Some(instance_id) => instance_id,
            None => {
                let snapshot = v1::Snapshot {
                    session: Some(self.session.clone()),
                    ..Default::default()
                };
                self.session_told = true;
                let open = self.open(1, snapshot);
                *self.instance_id.insert(self.wire.open(open).await)
            }
        }
    }
}

fn onward(answer: &Result) -> Onward {
    use decision::Kind;
    match answer.as_ref().ok().and_then(Verdict::decision) {
        Some(Kind::Proceed(_) | Kind::Finish(_)) => Onward::Go,
        Some(Kind::Disconnect(_)) => Onward::Disconnected,
        Some(Kind::Discard(_) | Kind::Quarantine(_) | Kind::Hold(_) | Kind::Defer(_)) => {
            Onward::Dropped
        }
        // The failure policy of the kit is tempfail, as the gateway's is.
        Some(Kind::Reject(_) | Kind::Tempfail(_) | Kind::Respond(_)) | None => Onward::Refused,
    }
}

/// Applies edits. What the gateway would refuse fails the test.
#[track_caller]
fn apply(mail: &mut Mail, verdict: &Verdict, wire: &Wire) {
    if let Err(problem) = mail.apply(&verdict.as_proto().edits, &wire.uploads) {
        panic!(
            "the gateway would refuse these edits: {problem}: {:?}",
            verdict.as_proto().edits
        );
    }
}

fn command(verb: &'static str, line: String, pipelined: bool) -> v1::Command {
    v1::Command {
        verb: Bytes::from_static(verb.as_bytes()),
        line: line.into(),
        pipelined,
    }
}
