//! Makes reports of failures into messages of their own.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::{
    BodyKind, Envelope, HeaderLimits, HeaderParser, HeaderSection, Message, MessageId, Notify,
    Origin, Properties, Recipient, RecipientState, Return, Version,
};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_spool::{
    Due, NewMessage, Purpose, ReadAt, SpoolError, Stage, StoredBody, StoredMessage,
};

use super::core::Core;
use super::report::{
    Built, Failure, RETURNED_HEADERS, RETURNED_MESSAGE, Report, Returned, is_plain,
};
use super::settle::wants_report;
use postern_delivery::ContentReader;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("the message cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the report is malformed: {0}")]
    Malformed(String),
}

/// A report that is to be committed with the failures that it tells of.
pub(crate) struct Made {
    message: Arc<Message>,
    body: StoredBody,
    due: Due,
}

impl Made {
    pub(crate) fn new_message(&self) -> NewMessage {
        NewMessage {
            message: Arc::clone(&self.message),
            body: self.body.clone(),
            stage: Stage::submit(),
            due: self.due,
        }
    }

    /// The report as the store has it once it is committed.
    pub(crate) fn stored(&self) -> StoredMessage {
        StoredMessage {
            message: Arc::clone(&self.message),
            stage: Stage::submit(),
            due: self.due,
            content: self.body.reader(),
        }
    }
}

/// Makes a report of the failures among `changes`. `None`: there are none, or nobody is to be told: a message with the
/// null path is never answered (RFC 5321 6.1), and recipients may have said `NOTIFY=NEVER`.
pub(crate) async fn make(
    core: &Core,
    message: &Arc<Message>,
    content: &Arc<dyn ReadAt>,
    changes: &[(usize, RecipientState)],
    now: SystemTime,
) -> Result<Option<Made>, ReportError> {
    let failures: Vec<_> = changes
        .iter()
        .filter_map(|change| failure(message, change))
        .collect();
    if failures.is_empty() {
        return Ok(None);
    }
    let ReversePath::Mailbox(sender) = &message.envelope.sender else {
        return Ok(None);
    };
    let hostname = core.hostname(&message.server);
    let id = MessageId::new();
    let returned = returned(message, content).await?;
    let built = Report {
        id,
        hostname,
        message,
        failures,
        returned,
        now,
    }
    .build();
    let body = store(core, &built.content).await?;
    let mut recipient = Recipient::new(ForwardPath::Mailbox(sender.clone()));
    recipient.notify = Some(Notify::NEVER);
    tracing::info!(id = %message.id, report = %id, "message bounced");
    Ok(Some(Made {
        message: Arc::new(report_message(id, message, recipient, &built, now)?),
        body,
        due: Due::At(now),
    }))
}

fn failure<'a>(
    message: &'a Message,
    (index, state): &'a (usize, RecipientState),
) -> Option<Failure<'a>> {
    let (status, expired) = match state {
        RecipientState::Failed(status) => (status, false),
        RecipientState::Expired(status) => (status, true),
        _ => return None,
    };
    let recipient = message
        .recipients
        .get(*index)
        .filter(|recipient| wants_report(recipient))?;
    Some(Failure {
        recipient,
        status,
        expired,
    })
}

/// What of the message goes back: its header section, bounded; all of it if that was asked for and it is small and plain.
async fn returned(message: &Message, content: &Arc<dyn ReadAt>) -> Result<Returned, ReportError> {
    let version = &message.version;
    let small = version.size().is_some_and(|size| size <= RETURNED_MESSAGE);
    let text = message.envelope.body != BodyKind::BinaryMime;
    if message.envelope.ret == Some(Return::Full) && small && text {
        let all = ContentReader::new(version, Arc::clone(content))
            .read_to_end()
            .await?;
        // The way back may be one of seven bits, and a message within a message cannot be encoded.
        if is_plain(&all) && all.is_ascii() {
            return Ok(Returned::Message(all));
        }
    }
    let most = RETURNED_HEADERS as u64;
    let end = version.header_size().min(most);
    let mut headers = ContentReader::range(version, 0..end, Arc::clone(content))
        .read_to_end()
        .await?;
    if version.header_size() > most {
        // Cut at the end of a line.
        let whole = headers
            .windows(2)
            .rposition(|pair| pair == b"\r\n")
            .map_or(0, |at| at + 2);
        headers.truncate(whole);
    }
    Ok(Returned::Headers(headers))
}

async fn store(core: &Core, content: &Bytes) -> Result<StoredBody, ReportError> {
    let mut incoming = core.store.receive(Purpose::Notification)?;
    incoming.write(content.clone()).await?;
    Ok(incoming.finish().await?)
}

fn report_message(
    id: MessageId,
    cause: &Message,
    recipient: Recipient,
    built: &Built,
    now: SystemTime,
) -> Result<Message, ReportError> {
    let section = header_section(&built.content)?;
    let mut envelope = Envelope::new(ReversePath::Null);
    envelope.smtp_utf8 = built.smtp_utf8;
    if built.eight_bit {
        envelope.body = BodyKind::EightBitMime;
    }
    Ok(Message {
        id,
        session: None,
        context: Bytes::new(),
        skipped: Vec::new(),
        passed: Vec::new(),
        server: cause.server.clone(),
        origin: Origin::Dsn,
        received_at: now,
        envelope,
        recipients: vec![recipient],
        properties: Properties::new(),
        version: Version::original(&section, Some(built.content.len() as u64)),
    })
}

fn header_section(content: &Bytes) -> Result<HeaderSection, ReportError> {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let malformed = |what: &dyn std::fmt::Display| ReportError::Malformed(what.to_string());
    match parser.feed(content) {
        Ok(Some(section)) => Ok(section),
        Ok(None) => Err(malformed(&"no end of the header section")),
        Err(error) => Err(malformed(&error)),
    }
}
