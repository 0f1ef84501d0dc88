//! Makes reports of failures and of delays into messages of their own.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use postern_message::convert::convert;
use postern_message::{
    BodyKind, Envelope, HeaderLimits, HeaderParser, HeaderSection, Message, MessageId, Notify,
    Origin, Properties, Recipient, RecipientState, Return, Version, Way,
};
use postern_smtp::address::{ForwardPath, Mailbox, ReversePath};
use postern_spool::{
    Due, NewMessage, Purpose, ReadAt, SpoolError, Stage, StoredBody, StoredMessage,
};

use super::core::Core;
use super::report::{Built, Kind, RETURNED_HEADERS, RETURNED_MESSAGE, Report, Returned, Told};
use super::settle::{wants_report, wants_warning};
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

/// A report that is to be committed with what it tells of.
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
/// null path is never answered (RFC 5321 6.1), and recipients may have said `NOTIFY=NEVER`. `withheld`: a sink kept the
/// message, and its content goes nowhere.
pub(crate) async fn make(
    core: &Core,
    message: &Arc<Message>,
    content: &Arc<dyn ReadAt>,
    withheld: bool,
    changes: &[(usize, RecipientState)],
    now: SystemTime,
) -> Result<Option<Made>, ReportError> {
    let failures: Vec<_> = changes
        .iter()
        .filter_map(|change| failure(message, change))
        .collect();
    let Some(sender) = sender(message).filter(|_| !failures.is_empty()) else {
        return Ok(None);
    };
    let returned = match withheld {
        true => headers(message, content).await?,
        false => returned(message, content).await?,
    };
    let made = write(core, message, sender, Kind::Failed, failures, returned, now).await?;
    tracing::info!(id = %message.id, report = %made.message.id, "message bounced");
    Ok(Some(made))
}

/// Makes a report of the delays among `changes`: of recipients that still wait though the message has waited as long as its
/// sender is not told, by the schedule of each. Each is told of once: `before`, its next attempt was due no later than that
/// time. `None`: there are none, or nobody is to be told.
pub(crate) async fn warn(
    core: &Core,
    message: &Arc<Message>,
    content: &Arc<dyn ReadAt>,
    before: &[RecipientState],
    changes: &[(usize, RecipientState)],
    now: SystemTime,
) -> Result<Option<Made>, ReportError> {
    let since = message.received_at;
    let delays: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let (index, _) = change;
            let recipient = message.recipients.get(*index);
            let schedule = core.settings.schedule_of(message, recipient);
            let (warns_at, until) = (schedule.warns_at(since)?, schedule.ends_at(since)?);
            let untold = before.get(*index)?.due().is_none_or(|due| due <= warns_at);
            let told = delay(message, change, until)?;
            (warns_at <= now && untold).then_some(told)
        })
        .collect();
    let Some(sender) = sender(message).filter(|_| !delays.is_empty()) else {
        return Ok(None);
    };
    let returned = headers(message, content).await?;
    let made = write(core, message, sender, Kind::Delayed, delays, returned, now).await?;
    tracing::info!(id = %message.id, report = %made.message.id, "message delayed, its sender is told");
    Ok(Some(made))
}

/// Who is told: nobody, where the path is null.
fn sender(message: &Message) -> Option<&Mailbox> {
    match &message.envelope.sender {
        ReversePath::Mailbox(sender) => Some(sender),
        ReversePath::Null => None,
    }
}

async fn write(
    core: &Core,
    message: &Arc<Message>,
    sender: &Mailbox,
    kind: Kind,
    recipients: Vec<Told<'_>>,
    returned: Returned,
    now: SystemTime,
) -> Result<Made, ReportError> {
    let id = MessageId::new();
    let built = Report {
        id,
        hostname: core.hostname(&message.server),
        message,
        kind,
        recipients,
        returned,
        now,
    }
    .build();
    let body = store(core, &built.content).await?;
    let mut recipient = Recipient::new(ForwardPath::Mailbox(sender.clone()));
    recipient.notify = Some(Notify::NEVER);
    Ok(Made {
        message: Arc::new(report_message(id, message, recipient, &built, now)?),
        body,
        due: Due::At(now),
    })
}

fn failure<'a>(
    message: &'a Message,
    (index, state): &'a (usize, RecipientState),
) -> Option<Told<'a>> {
    let (status, expired) = match state {
        RecipientState::Failed(status) => (status, false),
        RecipientState::Expired(status) => (status, true),
        _ => return None,
    };
    let recipient = message
        .recipients
        .get(*index)
        .filter(|recipient| wants_report(recipient))?;
    Some(Told {
        recipient,
        status,
        expired,
        until: None,
    })
}

fn delay<'a>(
    message: &'a Message,
    (index, state): &'a (usize, RecipientState),
    until: SystemTime,
) -> Option<Told<'a>> {
    let RecipientState::Pending {
        last: Some(status), ..
    } = state
    else {
        return None;
    };
    let recipient = message.recipients.get(*index);
    Some(Told {
        recipient: recipient.filter(|recipient| wants_warning(recipient))?,
        status,
        expired: false,
        until: Some(until),
    })
}

/// What of the message goes back: its header section, bounded; all of it, in seven bits, if that was asked for and it is small.
async fn returned(message: &Message, content: &Arc<dyn ReadAt>) -> Result<Returned, ReportError> {
    let version = &message.version;
    let small = version.size().is_some_and(|size| size <= RETURNED_MESSAGE);
    if message.envelope.ret == Some(Return::Full) && small {
        let all = ContentReader::new(version, Arc::clone(content))
            .read_to_end()
            .await?;
        // The way back may be one of seven bits, and a message within a message cannot be encoded as a whole.
        if let Ok(all) = convert(&all, Way::default())
            && all.len() as u64 <= RETURNED_MESSAGE
        {
            return Ok(Returned::Message(all.into()));
        }
    }
    headers(message, content).await
}

/// The header section of the message, bounded. Of a message that is not given up no more is returned (RFC 3461 4.3).
async fn headers(message: &Message, content: &Arc<dyn ReadAt>) -> Result<Returned, ReportError> {
    let version = &message.version;
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
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
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
