//! The content of one attempt: shown as it is about to be sent, after every conversion, and sent as the sinks edit it.
//!
//! Nothing of it is stored. Another attempt begins with the message as it is in the spool, and the sinks are asked anew.

mod converted;

use std::sync::Arc;

use bytes::Bytes;
use postern_delivery::{CommandReply, ContentReader, Revised, Sending, fit_as_it_is};
use postern_dispatch::content::Content;
use postern_events::budget::Budget;
use postern_events::context::Fit;
use postern_events::outbound::CommandsAnswer;
use postern_events::question::Question;
use postern_events::ruling::Ruling;
use postern_message::Message;
use postern_message::needs::Original;
use postern_smtp::client::{Body, CommandAnswer, Response};
use postern_smtp::reply::EnhancedCode;
use postern_spool::ReadAt;

use self::converted::Converted;
use super::commands;
use crate::envelope::transaction;
use crate::judge::OutgoingCase;
use crate::spooled::Spooled;

/// `outbound.message_start` of one transaction.
pub(super) struct Revising {
    pub(super) case: Arc<dyn OutgoingCase>,
    pub(super) sending: Sending,
    /// The sinks were told of the message before.
    pub(super) told: bool,
}

/// Octets as they are about to be sent: a version, and where its octets are.
struct Base {
    message: Arc<Message>,
    source: Arc<dyn ReadAt>,
    original: Original,
}

impl Revising {
    /// Asks, and makes of the ruling what is sent. `native`: the line of MAIL.
    pub(super) async fn ask(self, event: Question, budget: Budget, native: Bytes) -> CommandReply {
        let Self {
            case,
            sending,
            told,
        } = self;
        let base = match Base::of(&sending).await {
            Ok(base) => base,
            Err(error) => {
                let id = sending.message.id;
                tracing::error!(%id, %error, "content cannot be read");
                return put_off("the message cannot be read just now").into();
            }
        };
        if !told || sending.fitted.is_converted() {
            let fit = Fit {
                way: sending.way,
                original: base.original,
            };
            case.take(super::context_of(&base.message), fit);
        }
        // Digests would be those of the original, and what is sent is another version of it.
        let content = Spooled::undigested(Arc::clone(&base.source));
        let content: Arc<dyn Content> = Arc::new(content);
        let ruling = case.ask(event, &budget, Some(content)).await;
        if ruling.decision.is_refusal() {
            return commands::answer(ruling, false, &native).into();
        }
        match base.edited(case.as_ref()) {
            None => commands::answer(ruling, false, &native).into(),
            Some(edited) => revised(&sending, &base, &edited, ruling, &native).await,
        }
    }
}

/// The message as edited, for this transaction.
async fn revised(
    sending: &Sending,
    base: &Base,
    edited: &Message,
    ruling: Ruling,
    native: &Bytes,
) -> CommandReply {
    let id = edited.id;
    let fitted = match fit_as_it_is(&edited.version, &base.source, sending.way).await {
        Ok(Ok(fitted)) => fitted,
        Ok(Err(unfit)) => {
            tracing::warn!(%id, %unfit, "what the sinks made of it cannot be sent");
            return put_off("a filter made of the message what the next hop does not take").into();
        }
        Err(error) => {
            tracing::error!(%id, %error, "content cannot be read");
            return put_off("the message cannot be read just now").into();
        }
    };
    let (before, after) = (
        (sending.fitted.size, sending.fitted.body),
        (fitted.size, fitted.body),
    );
    let restated = restate(ruling, before, after);
    CommandReply {
        answer: commands::answer(restated, false, native),
        revised: Some(Revised {
            transaction: transaction(edited, &sending.recipients, &fitted),
            content: ContentReader::new(&edited.version, Arc::clone(&base.source)),
        }),
    }
}

impl Base {
    async fn of(sending: &Sending) -> std::io::Result<Self> {
        let fitted = &sending.fitted;
        if !fitted.is_converted() {
            return Ok(Self {
                message: Arc::clone(&sending.message),
                source: Arc::clone(&sending.source),
                original: fitted.original(&sending.source),
            });
        }
        let converted = Converted::new(sending.clone());
        let version = converted.version().await?;
        Ok(Self {
            message: Arc::new(Message {
                version,
                ..Message::clone(&sending.message)
            }),
            source: Arc::new(converted),
            original: Original::UNKNOWN,
        })
    }

    /// What the sinks made of it; `None`: nothing was changed that is sent.
    fn edited(&self, case: &dyn OutgoingCase) -> Option<Message> {
        let draft = case.draft()?;
        let version = draft.version.as_ref()?;
        let message = &self.message;
        let same = *version == message.version
            && draft.envelope == message.envelope
            && draft.recipients == message.recipients;
        (!same).then(|| Message {
            version: version.clone(),
            envelope: draft.envelope.clone(),
            recipients: draft.recipients.clone(),
            ..Message::clone(message)
        })
    }
}

/// Puts the attempt off.
fn put_off(why: &'static str) -> CommandAnswer {
    CommandAnswer::Refuse(Arc::new(Response {
        code: 451,
        enhanced: EnhancedCode::new(4, 3, 0).ok(),
        lines: vec![Bytes::from_static(why.as_bytes())],
    }))
}

/// A sink that puts MAIL in other words repeats size and kind of the content as they were: they are those of what is sent.
fn restate(ruling: Ruling, before: (u64, Body), after: (u64, Body)) -> Ruling {
    if before == after {
        return ruling;
    }
    let typed = ruling.clone().typed::<CommandsAnswer>();
    let Some(mut answer) = typed.answer else {
        return ruling;
    };
    for command in &mut answer.instead {
        if command.line.to_ascii_uppercase().starts_with(b"MAIL FROM:") {
            command.line = restated(&command.line, before, after);
        }
    }
    Ruling {
        answer: Some(postern_events::answer::AnyAnswer::new(answer)),
        ..ruling
    }
}

fn restated(line: &[u8], before: (u64, Body), after: (u64, Body)) -> Bytes {
    let size = |size: u64| format!("SIZE={size}").into_bytes();
    let word = |body: Body| match body {
        Body::SevenBit => None,
        Body::EightBitMime => Some(&b"BODY=8BITMIME"[..]),
        Body::BinaryMime => Some(&b"BODY=BINARYMIME"[..]),
    };
    let (old_size, new_size) = (size(before.0), size(after.0));
    let mut words: Vec<&[u8]> = Vec::new();
    for own in line.split(|octet| *octet == b' ') {
        if own.eq_ignore_ascii_case(&old_size) {
            words.push(&new_size);
        } else if word(before.1).is_some_and(|old| own.eq_ignore_ascii_case(old)) {
            words.extend(word(after.1));
        } else {
            words.push(own);
        }
    }
    words.join(&b' ').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_kind_are_those_of_what_is_sent() {
        let line = b"MAIL FROM:<a@b.test> SIZE=10 BODY=8BITMIME X=SIZE=10";
        let after = restated(line, (10, Body::EightBitMime), (1234, Body::SevenBit));
        assert_eq!(after, "MAIL FROM:<a@b.test> SIZE=1234 X=SIZE=10");
        let same = restated(line, (11, Body::SevenBit), (12, Body::EightBitMime));
        assert_eq!(same, &line[..]);
    }
}
