//! Plays a script as the gateway would.

use bytes::Bytes;

use super::apply::{rewritten, set_property};
use super::content::Push;
use super::hub::Hub;
use super::mail::{Mail, new_id};
use super::opening::{World, depth, interest};
use super::questions::{Asking, Came, Instance};
use super::{Setup, Transcript};
use crate::check::{self, Grants, Question};
use crate::picture::Told;
use crate::v1::{self, AskMode, EventKind, body_depth, decision, edit, event};
use crate::{Fault, Verdict, name_of};

#[derive(Clone)]
pub(super) enum Step {
    Ehlo(String),
    Mail(String),
    Rcpts(Vec<String>),
    Message(Vec<u8>, Option<usize>),
    Reset,
    Event(Box<event::Kind>),
    Park,
    Move,
    Quit,
}

/// How the service goes on after a verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Onward {
    Go,
    Refused,
    Dropped,
    Disconnected,
    Gone,
}

pub(super) struct Player {
    hub: Hub,
    description: v1::DescribeResponse,
    setup: Setup,
    grants: Grants,
    transcript: Transcript,
    session: v1::Session,
    conduct: v1::Conduct,
    instance: Option<Instance>,
    reopened: u32,
    /// What the running transaction was asked and told, to be told again.
    history: Vec<event::Kind>,
    /// What waits to be asked at RCPT (true) or to be told.
    waiting: Vec<(bool, Asking)>,
    refused_session: bool,
    refused_transaction: bool,
    mail: Option<Mail>,
    headers: bool,
    transaction_number: u32,
    moves: bool,
    over: Option<v1::DisconnectReason>,
}

impl Player {
    pub(super) fn new(
        hub: Hub,
        description: v1::DescribeResponse,
        setup: Setup,
        number: usize,
    ) -> Self {
        let session = v1::Session {
            session_id: new_id(),
            server: "test".to_owned(),
            hostname: "mx.example.test".to_owned(),
            protocol_name: "smtp".to_owned(),
            client: Some(v1::Client {
                address: setup.client.clone(),
                port: 40_000 + u32::try_from(number).unwrap_or_default(),
                address_source: v1::AddressSource::Connection.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let grants = Grants::of(setup.grants.as_ref().unwrap_or(&description.grants));
        Self {
            hub,
            description,
            setup,
            grants,
            transcript: Transcript::default(),
            session,
            conduct: v1::Conduct::default(),
            instance: None,
            reopened: 0,
            history: Vec::new(),
            waiting: Vec::new(),
            refused_session: false,
            refused_transaction: false,
            mail: None,
            headers: false,
            transaction_number: 0,
            moves: false,
            over: None,
        }
    }

    pub(super) async fn run(mut self, steps: Vec<Step>) -> Transcript {
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
                Step::Message(raw, cut) => self.message(raw, cut).await,
                Step::Reset => self.reset(v1::ResetReason::Command).await,
                Step::Event(body) => {
                    self.question(*body).await;
                }
                Step::Park => self.park().await,
                Step::Move => self.moves = true,
                Step::Quit => self.over = Some(v1::DisconnectReason::Quit),
            }
        }
        let reason = self.over.unwrap_or(v1::DisconnectReason::ClientGone).into();
        let ended = v1::InboundDisconnect {
            reason,
            ..Default::default()
        };
        self.tell(event::Kind::InboundDisconnect(ended)).await;
        if self.instance.is_some() {
            self.tell_waiting().await;
        }
        if let Some(instance) = self.instance.take() {
            instance.close(v1::CloseReason::Finished).await;
        }
        self.transcript
    }

    async fn park(&mut self) {
        if let Some(instance) = self.instance.take() {
            instance.close(v1::CloseReason::Parked).await;
            self.reopened += 1;
        }
    }

    async fn ehlo(&mut self, name: String) {
        self.reset(v1::ResetReason::Greeting).await;
        let helo = v1::Helo {
            verb: Bytes::from_static(b"EHLO"),
            name: name.clone().into(),
        };
        let body = v1::InboundHelo {
            command: Some(command("EHLO", format!("EHLO {name}"), false)),
            helo: Some(helo.clone()),
        };
        // One that has not been asked about is replaced by this greeting.
        self.waiting
            .retain(|(_, asking)| asking.kind != EventKind::InboundHelo);
        if self.question(event::Kind::InboundHelo(body)).await == Onward::Go {
            self.session.helo = Some(helo);
        }
    }

    async fn mail(&mut self, sender: String) {
        if self.mail.is_some() {
            return;
        }
        self.refused_transaction = false;
        self.headers = false;
        self.history.clear();
        self.waiting
            .retain(|(_, asking)| asking.kind != EventKind::InboundMail);
        let mut mail = Mail::begin(new_id(), sender.clone().into());
        let body = v1::InboundMail {
            command: Some(command("MAIL", format!("MAIL FROM:<{sender}>"), false)),
            transaction_id: mail.id.clone(),
            envelope: Some(mail.envelope()),
        };
        let (onward, verdict) = self
            .judged(event::Kind::InboundMail(Box::new(body)), None)
            .await;
        if onward != Onward::Go {
            return;
        }
        self.transaction_number += 1;
        if let Some(verdict) = verdict {
            self.apply(&mut mail, &verdict);
        }
        self.mail = Some(mail);
    }

    async fn rcpts(&mut self, addresses: Vec<String>) {
        if self.mail.is_none() {
            return;
        }
        let count = addresses.len();
        let accepted = self.mail.as_ref().map(Mail::recipients).unwrap_or_default();
        let known: Vec<(String, Bytes)> = accepted
            .into_iter()
            .zip(self.mail.iter().flat_map(|mail| &mail.recipients))
            .map(|(address, recipient)| (address, recipient.recipient_id.clone()))
            .collect();
        let recipients: Vec<v1::Recipient> = addresses
            .iter()
            .map(|address| v1::Recipient {
                recipient_id: new_id(),
                address: address.clone().into(),
                state: v1::RecipientState::Pending.into(),
                ..Default::default()
            })
            .collect();
        let mut questions: Vec<Asking> = Vec::new();
        let held = std::mem::take(&mut self.waiting);
        for (place, recipient) in recipients.iter().enumerate() {
            let address = &addresses[place];
            let earlier = recipients[..place]
                .iter()
                .find(|other| other.address == recipient.address);
            let duplicate = known
                .iter()
                .find(|(of, _)| of == address)
                .map(|(_, id)| id.clone());
            let body = v1::InboundRcpt {
                command: Some(command(
                    "RCPT",
                    format!("RCPT TO:<{address}>"),
                    place + 1 < count,
                )),
                recipient: Some(recipient.clone()),
                recipient_kind: v1::RecipientKind::Hosted.into(),
                group_position: u32::try_from(place + 1).unwrap_or_default(),
                group_size: u32::try_from(count).unwrap_or_default(),
                duplicate_of_recipient_id: duplicate
                    .or(earlier.map(|other| other.recipient_id.clone()))
                    .unwrap_or_default(),
            };
            questions.push(Asking {
                kind: EventKind::InboundRcpt,
                body: event::Kind::InboundRcpt(Box::new(body)),
                attempt: 0,
            });
        }
        self.waiting = held;
        let mode = self.mode(EventKind::InboundRcpt);
        if mode == Some(AskMode::Told) {
            self.waiting
                .extend(questions.iter().cloned().map(|asking| (false, asking)));
        }
        if mode != Some(AskMode::AtOnce) {
            questions.clear();
        }
        let (before, answers) = self.ask_with_waiting(questions, true).await;
        for (kind, onward) in before {
            match kind {
                EventKind::InboundMail => self.refused_transaction |= onward != Onward::Go,
                _ => self.refused_session |= onward != Onward::Go,
            }
        }
        let refused = self.refused_session || self.refused_transaction;
        let mut answers = answers.into_iter();
        for mut recipient in recipients {
            let (onward, verdict) = answers.next().unwrap_or((Onward::Go, None));
            if refused || onward != Onward::Go {
                continue;
            }
            recipient.state = v1::RecipientState::Accepted.into();
            if let Some(verdict) = &verdict {
                for edit in &verdict.edits {
                    if let Some(edit::Kind::RewriteRecipient(rewrite)) = &edit.kind {
                        rewritten(&mut recipient, &rewrite.address);
                    }
                }
                for property in verdict
                    .properties
                    .iter()
                    .filter(|p| !p.recipient_id.is_empty())
                {
                    set_property(&mut recipient.properties, property, &self.description.name);
                }
            }
            if let Some(mail) = &mut self.mail
                && !mail
                    .recipients
                    .iter()
                    .any(|known| known.address == recipient.address)
            {
                mail.recipients.push(recipient);
            }
        }
    }

    async fn message(&mut self, raw: Vec<u8>, cut: Option<usize>) {
        if self
            .mail
            .as_ref()
            .is_none_or(|mail| mail.recipients.is_empty())
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
        self.headers = true;
        let message_id = mail.id.clone();
        let headers = v1::InboundHeaders {
            message_id: message_id.clone(),
            recipient_ids: Vec::new(),
        };
        let mut onward = self.judge(event::Kind::InboundHeaders(headers), None).await;
        if onward == Onward::Go {
            let message = v1::InboundMessage {
                message_id: message_id.clone(),
                recipient_ids: Vec::new(),
            };
            onward = self.judge(event::Kind::InboundMessage(message), cut).await;
        }
        if cut.is_some() {
            onward = Onward::Gone;
        }
        let outcome = match onward {
            Onward::Go => v1::Outcome::Accepted,
            Onward::Dropped => v1::Outcome::Discarded,
            Onward::Refused | Onward::Disconnected => v1::Outcome::Rejected,
            Onward::Gone => v1::Outcome::ClientGone,
        };
        let told = v1::InboundOutcome {
            message_id,
            outcome: outcome.into(),
            ..Default::default()
        };
        self.tell(event::Kind::InboundOutcome(Box::new(told))).await;
        let mail = self.mail.take();
        self.history.clear();
        match (onward, mail) {
            (Onward::Go, Some(mail)) => self.submit(mail).await,
            (Onward::Gone, _) => self.over = Some(v1::DisconnectReason::ClientGone),
            _ => {}
        }
    }

    /// A question about the message with its content.
    async fn judge(&mut self, body: event::Kind, cut: Option<usize>) -> Onward {
        let (onward, verdict) = self.judged(body, cut).await;
        if let Some(verdict) = verdict
            && let Some(mut mail) = self.mail.take()
        {
            self.apply(&mut mail, &verdict);
            self.mail = Some(mail);
        }
        onward
    }

    /// `transport.submit`, in an instance of its own.
    async fn submit(&mut self, mut mail: Mail) {
        let kind = EventKind::TransportSubmit;
        if self.mode(kind).is_some() {
            let message = v1::Message {
                message_id: mail.id.clone(),
                origin: v1::Origin::Smtp.into(),
                envelope: Some(mail.envelope()),
                size_bytes: mail.raw().len() as u64,
                session_id: self.session.session_id.clone(),
                server: self.session.server.clone(),
                properties: mail.properties.clone(),
                revision: 1,
                ..Default::default()
            };
            let world = World {
                session: Some(self.session.clone()),
                conduct: Some(self.conduct),
                transaction: None,
                message: Some(message),
                headers: Some(mail.headers()),
                recipients: mail.recipients.clone(),
            };
            let mut instance = self.open(v1::Scope::Transport, &world, &[], 0).await;
            let question = Asking {
                kind,
                body: event::Kind::TransportSubmit(v1::TransportSubmit {}),
                attempt: 0,
            };
            let push = self.push(&mail, kind, None);
            let size = push.size_bytes();
            let came = instance
                .ask(
                    std::slice::from_ref(&question),
                    Some(push),
                    &world,
                    &self.setup,
                    &mut self.transcript,
                )
                .await;
            for (event_id, came) in came {
                let (onward, verdict) = self
                    .note(&question, event_id, came, &world, Some(size), &instance)
                    .await;
                if let Some(verdict) = verdict {
                    self.apply_uploads(&mut mail, &verdict, &instance);
                }
                if onward != Onward::Go {
                    instance.close(v1::CloseReason::Finished).await;
                    return;
                }
            }
            instance.close(v1::CloseReason::Finished).await;
        }
        self.transcript.mails.push(mail);
    }

    async fn reset(&mut self, reason: v1::ResetReason) {
        self.history.clear();
        if let Some(mail) = self.mail.as_ref() {
            let told = v1::InboundReset {
                transaction_id: mail.id.clone(),
                reason: reason.into(),
            };
            self.tell(event::Kind::InboundReset(told)).await;
            self.mail = None;
        }
    }

    async fn question(&mut self, body: event::Kind) -> Onward {
        self.judged(body, None).await.0
    }

    /// Asks, tells or keeps an event, as the sink wants it.
    async fn judged(
        &mut self,
        body: event::Kind,
        cut: Option<usize>,
    ) -> (Onward, Option<v1::Verdict>) {
        let kind = postern_proto::rules::event_kind(&body);
        if postern_proto::rules::event(kind).is_some_and(|rule| !rule.asked) {
            self.tell(body).await;
            return (Onward::Go, None);
        }
        let asking = Asking {
            kind,
            body,
            attempt: 0,
        };
        match self.mode(kind) {
            None => (Onward::Go, None),
            Some(AskMode::AtOnce | AskMode::Unspecified) => {
                let (_, mut answers) = self.ask_about(vec![asking], false, cut).await;
                answers.pop().unwrap_or((Onward::Go, None))
            }
            Some(AskMode::AtRcpt) => {
                self.waiting.push((true, asking));
                (Onward::Go, None)
            }
            Some(AskMode::Told) => {
                self.waiting.push((false, asking));
                (Onward::Go, None)
            }
        }
    }

    async fn ask_with_waiting(
        &mut self,
        questions: Vec<Asking>,
        at_rcpt: bool,
    ) -> (Vec<(EventKind, Onward)>, Vec<(Onward, Option<v1::Verdict>)>) {
        self.ask_about(questions, at_rcpt, None).await
    }

    /// Asks what waits for RCPT, then these, in one write. Before them goes what waits to be told.
    async fn ask_about(
        &mut self,
        questions: Vec<Asking>,
        at_rcpt: bool,
        cut: Option<usize>,
    ) -> (Vec<(EventKind, Onward)>, Vec<(Onward, Option<v1::Verdict>)>) {
        let held = std::mem::take(&mut self.waiting);
        let asks = !questions.is_empty() || (at_rcpt && held.iter().any(|(asked, _)| *asked));
        if !asks || self.instance.as_ref().is_some_and(|instance| instance.done) {
            self.waiting = held;
            return (Vec::new(), Vec::new());
        }
        let world = self.world();
        let mut instance = self.take_instance(&world).await;
        let mut asked = Vec::new();
        for (is_asked, asking) in held {
            match is_asked {
                true => asked.push(asking),
                false => {
                    self.remember(&asking.body);
                    instance.tell(asking.body, &world, &self.setup).await;
                }
            }
        }
        let before = asked.len();
        asked.extend(questions);
        if std::mem::take(&mut self.moves) {
            instance.ask_in_vain(&asked, &world, &self.setup).await;
            instance.close(v1::CloseReason::Parked).await;
            self.reopened += 1;
            instance = self.take_instance(&world).await;
            for asking in &mut asked {
                asking.attempt = 1;
            }
        }
        let last = asked.last().map(|asking| asking.kind);
        let push = match (last, &self.mail) {
            (Some(EventKind::InboundHeaders | EventKind::InboundMessage), Some(mail)) => {
                last.map(|kind| self.push(mail, kind, cut))
            }
            _ => None,
        };
        let size = push.as_ref().map(Push::size_bytes);
        let came = instance
            .ask(&asked, push, &world, &self.setup, &mut self.transcript)
            .await;
        let mut noted = Vec::new();
        for (asking, (event_id, came)) in asked.iter().zip(came) {
            self.remember(&asking.body);
            let (onward, verdict) = self
                .note(asking, event_id, came, &world, size, &instance)
                .await;
            if onward == Onward::Disconnected {
                self.over = Some(v1::DisconnectReason::Verdict);
            }
            noted.push((asking.kind, onward, verdict));
        }
        self.uploads_of(&instance);
        self.instance = Some(instance);
        let after = noted.split_off(before);
        (
            noted
                .into_iter()
                .map(|(kind, onward, _)| (kind, onward))
                .collect(),
            after
                .into_iter()
                .map(|(_, onward, verdict)| (onward, verdict))
                .collect(),
        )
    }

    /// Holds an answer to the contract and notes it. Some: the verdict is in force.
    async fn note(
        &mut self,
        asking: &Asking,
        event_id: u64,
        came: Came,
        world: &World,
        content_bytes: Option<u64>,
        instance: &Instance,
    ) -> (Onward, Option<v1::Verdict>) {
        let answer = match came {
            Came::Verdict(verdict) => *verdict,
            Came::Fault(fault) => {
                self.transcript.answers.push((asking.kind, Err(fault)));
                return (Onward::Refused, None);
            }
            Came::Gone => return (Onward::Gone, None),
        };
        let mut told = Told::open(world.snapshot(), false);
        told.update(&mut v1::Event {
            headers: world.headers.clone(),
            ..Default::default()
        });
        let question = Question {
            event: asking.kind,
            body: Some(&asking.body),
            grants: &self.grants,
            limits: &self.setup.limits,
            picture: &told.picture(),
            content_bytes,
        };
        if let Err(refusal) = check::verdict(&answer, &question) {
            let name = name_of(asking.kind);
            let refusal = format!("the gateway would refuse the verdict on {name}: {refusal}");
            assert!(self.setup.tolerant, "{refusal}\n{answer:#?}");
            instance
                .settle(event_id, v1::Settlement::Refused, &refusal)
                .await;
            self.transcript.refusals.push(refusal.clone());
            self.transcript
                .answers
                .push((asking.kind, Err(Fault::error(refusal))));
            return (Onward::Refused, None);
        }
        for property in &answer.properties {
            if property.scope() == v1::PropertyScope::Session {
                set_property(
                    &mut self.session.properties,
                    property,
                    &self.description.name,
                );
            }
        }
        instance.settle(event_id, v1::Settlement::Applied, "").await;
        let onward = onward(&answer);
        let verdict = Verdict::from_proto(answer.clone());
        self.transcript.answers.push((asking.kind, Ok(verdict)));
        (onward, Some(answer))
    }

    async fn tell(&mut self, body: event::Kind) {
        let kind = postern_proto::rules::event_kind(&body);
        if interest(&self.description, kind).is_none()
            || self.instance.as_ref().is_some_and(|i| i.done)
        {
            return;
        }
        let world = self.world();
        let instance = self.take_instance(&world).await;
        self.instance = Some(instance);
        self.tell_waiting().await;
        if let Some(instance) = &mut self.instance {
            instance.tell(body, &world, &self.setup).await;
        }
    }

    /// What waits to be told goes in front of whatever comes next.
    async fn tell_waiting(&mut self) {
        let world = self.world();
        let held = std::mem::take(&mut self.waiting);
        for (is_asked, asking) in held {
            match (is_asked && self.over.is_none(), &mut self.instance) {
                (false, Some(instance)) => instance.tell(asking.body, &world, &self.setup).await,
                _ => self.waiting.push((is_asked, asking)),
            }
        }
    }

    /// The session's instance, opened when it is first needed.
    async fn take_instance(&mut self, world: &World) -> Instance {
        match self.instance.take() {
            Some(instance) => instance,
            None => {
                let history = self.history.clone();
                self.open(v1::Scope::InboundSession, world, &history, self.reopened)
                    .await
            }
        }
    }

    async fn open(
        &self,
        scope: v1::Scope,
        world: &World,
        history: &[event::Kind],
        reopened: u32,
    ) -> Instance {
        let about = (&self.description, &self.setup);
        Instance::open(&self.hub, scope, world, history, reopened, about).await
    }

    fn world(&self) -> World {
        let transaction = self.mail.as_ref().map(|mail| v1::Transaction {
            transaction_id: mail.id.clone(),
            envelope: Some(mail.envelope()),
            properties: mail.properties.clone(),
            transaction_number: self.transaction_number,
            ..Default::default()
        });
        World {
            session: Some(self.session.clone()),
            conduct: Some(self.conduct),
            transaction,
            message: None,
            headers: self
                .mail
                .as_ref()
                .filter(|_| self.headers)
                .map(Mail::headers),
            recipients: self
                .mail
                .as_ref()
                .map(|mail| mail.recipients.clone())
                .unwrap_or_default(),
        }
    }

    fn push(&self, mail: &Mail, kind: EventKind, cut: Option<usize>) -> Push {
        let depth = depth(&self.description, kind);
        let depth = depth.unwrap_or(body_depth::Kind::Nothing(v1::NoContent {}));
        let digests = self.description.reads.iter().any(|word| word == "digest");
        Push::new(
            mail,
            depth,
            self.description.initial_credit_bytes,
            cut,
            digests,
        )
    }

    /// Keeps what the running transaction was asked, to be told again in another instance.
    fn remember(&mut self, body: &event::Kind) {
        if matches!(
            body,
            event::Kind::InboundMail(_)
                | event::Kind::InboundRcpt(_)
                | event::Kind::InboundData(_)
                | event::Kind::InboundHeaders(_)
        ) {
            let mut body = body.clone();
            if let event::Kind::InboundRcpt(rcpt) = &mut body {
                (rcpt.group_position, rcpt.group_size) = (0, 0);
            }
            self.history.push(body);
        }
    }

    fn apply(&mut self, mail: &mut Mail, verdict: &v1::Verdict) {
        let uploads = std::mem::take(&mut self.transcript.uploads);
        let applied = mail.apply(verdict, &self.description.name, &uploads);
        self.refused_edits(applied, verdict);
    }

    fn apply_uploads(&mut self, mail: &mut Mail, verdict: &v1::Verdict, instance: &Instance) {
        let applied = mail.apply(verdict, &self.description.name, &instance.uploads);
        self.refused_edits(applied, verdict);
    }

    fn uploads_of(&mut self, instance: &Instance) {
        self.transcript.uploads.clone_from(&instance.uploads);
    }

    /// What the gateway would refuse fails the test.
    fn refused_edits(&mut self, applied: Result<(), String>, verdict: &v1::Verdict) {
        if let Err(problem) = applied {
            let refusal = format!("the gateway would refuse these edits: {problem}");
            assert!(self.setup.tolerant, "{refusal}\n{:#?}", verdict.edits);
            self.transcript.refusals.push(refusal);
        }
    }

    fn mode(&self, kind: EventKind) -> Option<AskMode> {
        let ask = interest(&self.description, kind)?.ask();
        Some(match ask {
            AskMode::Unspecified => AskMode::AtOnce,
            ask => ask,
        })
    }
}

fn onward(verdict: &v1::Verdict) -> Onward {
    use decision::Kind;
    match verdict
        .decision
        .as_ref()
        .and_then(|decision| decision.kind.as_ref())
    {
        Some(Kind::Proceed(_) | Kind::Finish(_)) => Onward::Go,
        Some(Kind::Disconnect(_)) => Onward::Disconnected,
        Some(Kind::Discard(_) | Kind::Quarantine(_) | Kind::Hold(_) | Kind::Postpone(_)) => {
            Onward::Dropped
        }
        // The failure policy of the kit is tempfail, as the gateway's is.
        Some(Kind::Reject(_) | Kind::Tempfail(_) | Kind::Respond(_)) | None => Onward::Refused,
    }
}

fn command(verb: &'static str, line: String, pipelined: bool) -> v1::Command {
    v1::Command {
        verb: Bytes::from_static(verb.as_bytes()),
        line: line.into(),
        pipelined,
    }
}
