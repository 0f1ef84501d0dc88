//! Messages that sinks put in: made ready to be committed together with what caused them.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_events::order::Injection;
use postern_message::recipient::without_duplicates;
use postern_message::{
    EditError, Envelope, Handling, Injected, Message, MessageId, Origin, Properties, Version,
};
use postern_smtp::address::ForwardPath;
use postern_spool::{
    Batch, Due, NewMessage, Purpose, SpoolError, Stage, Store, StoredBody, StoredMessage, UsedKey,
};

use super::report::date;

/// What messages are put in by.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// The message that caused them; `None`: none did.
    pub parent: Option<MessageId>,
    /// They are put in by verdicts about the parent, and their keys are of those.
    pub by_verdict: bool,
    /// Its virtual server, or the one that an action names.
    pub server: &'a str,
    /// How many injections led to it.
    pub depth: u8,
}

/// Why messages cannot be put in.
#[derive(Debug, thiserror::Error)]
pub enum InjectionError {
    /// The spool does not take one.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Our own trace field was refused.
    #[error("the trace field of an injected message was refused: {0}")]
    Trace(#[from] EditError),
}

/// Messages that are to be committed with what caused them.
#[derive(Default)]
pub struct Injections {
    made: Vec<Made>,
}

struct Made {
    message: Arc<Message>,
    body: StoredBody,
    key: UsedKey,
}

impl Made {
    fn stage() -> Stage {
        Stage::submit()
    }

    fn due(&self) -> Due {
        Due::At(self.message.received_at)
    }
}

impl Injections {
    /// Writes the contents of what was not put in before under the same key. `hostname` is that of a virtual server,
    /// `hosted` tells which domains are ours.
    ///
    /// # Errors
    /// The spool does not take one of them: none is put in.
    pub async fn prepare(
        store: &dyn Store,
        injections: &[Injection],
        cause: Cause<'_>,
        hostname: impl Fn(&str) -> String,
        hosted: impl Fn(&ForwardPath) -> bool,
        now: SystemTime,
    ) -> Result<Self, InjectionError> {
        let mut made = Vec::with_capacity(injections.len());
        for injection in injections {
            let about = cause.parent.filter(|_| cause.by_verdict);
            let key = key(about, &injection.idempotency_key);
            if store.used(&injection.sink, &key).await?.is_some() {
                tracing::debug!(
                    sink = injection.sink,
                    key = injection.idempotency_key,
                    "put in before under this key"
                );
                continue;
            }
            let server = match injection.server.as_str() {
                "" => cause.server,
                server => server,
            };
            let mut incoming = store.receive(Purpose::Mail)?;
            incoming.write(injection.content.clone()).await?;
            let body = incoming.finish().await?;
            let message = message(injection, cause, server, &hostname(server), &hosted, now)?;
            made.push(Made {
                key: UsedKey {
                    owner: injection.sink.clone(),
                    key,
                    messages: cause.parent.into_iter().chain([message.id]).collect(),
                    at: now,
                },
                message: Arc::new(message),
                body,
            });
        }
        Ok(Self { made })
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.made.is_empty()
    }

    /// Their ids.
    #[must_use]
    pub fn ids(&self) -> Vec<MessageId> {
        self.made.iter().map(|made| made.message.id).collect()
    }

    /// Puts them into a batch of changes.
    pub fn join(&self, batch: &mut Batch) {
        for made in &self.made {
            batch.keys.push(made.key.clone());
            batch.insert.push(NewMessage {
                message: Arc::clone(&made.message),
                body: made.body.clone(),
                stage: Made::stage(),
                due: made.due(),
            });
        }
    }

    /// As the store has them once they are committed. Each is on record.
    pub fn committed(&self) -> impl Iterator<Item = StoredMessage> {
        self.made.iter().map(|made| {
            let message = &made.message;
            let injected = message.injected.as_ref();
            tracing::info!(
                id = %message.id,
                sink = injected.map_or("", |own| own.sink.as_str()),
                binding = injected.map_or("", |own| own.binding.as_str()),
                parent = %injected.and_then(|own| own.parent).map_or_else(String::new, |id| id.to_string()),
                depth = injected.map_or(0, |own| own.depth),
                server = message.server,
                "message put in by a sink"
            );
            StoredMessage {
                message: Arc::clone(message),
                stage: Made::stage(),
                due: made.due(),
                content: made.body.reader(),
            }
        })
    }
}

/// A sink's key in the spool: of an action, or of the verdicts about one message.
pub(crate) fn key(about: Option<MessageId>, key: &str) -> Vec<u8> {
    match about {
        Some(message) => [b"v", message.as_bytes().as_slice(), key.as_bytes()].concat(),
        None => [b"a", key.as_bytes()].concat(),
    }
}

fn message(
    injection: &Injection,
    cause: Cause<'_>,
    server: &str,
    hostname: &str,
    hosted: impl Fn(&ForwardPath) -> bool,
    now: SystemTime,
) -> Result<Message, EditError> {
    let id = injection.message_id;
    let mut envelope = Envelope::new(injection.sender.clone());
    envelope.smtp_utf8 = injection.smtp_utf8;
    envelope.body = injection.body;
    let mut recipients = injection.recipients.clone();
    without_duplicates(&mut recipients, hosted);
    let section = &injection.section;
    let trace = format!(
        "Received: by {hostname} (Postern, put in by the sink {}) id {id};\r\n\t{}\r\n",
        injection.sink,
        date(now)
    );
    let version = Version::original(section, Some(injection.content.len() as u64));
    Ok(Message {
        id,
        session: None,
        context: Bytes::new(),
        server: server.to_owned(),
        origin: Origin::Sink,
        received_at: now,
        envelope,
        recipients,
        properties: Properties::new(),
        skipped: Vec::new(),
        passed: Vec::new(),
        version: version.put_trace(trace.into(), section.fields().len())?,
        handling: Handling::default(),
        injected: Some(Injected {
            sink: injection.sink.clone(),
            binding: injection.binding.clone(),
            depth: cause.depth.saturating_add(1),
            parent: cause.parent,
        }),
        walked: false,
    })
}
