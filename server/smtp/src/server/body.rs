//! Content of a message: DATA and BDAT, taken or thrown away.

use std::time::Instant;

use bytes::BytesMut;

use super::action::{Action, CloseReason, ReplyTo, ResetCause};
use super::config::{EarlyRefusal, Protocol};
use super::exchange::{Effect, Transaction};
use super::question::{Ask, MessageEnd, Prospect, Question, QuestionId};
use super::replies;
use super::session::{Session, State};
use crate::bdat::BdatDecoder;
use crate::command::{Chunk, Verb};
use crate::content::{ContentCheck, ContentFault, ContentLimits};
use crate::data::DotDecoder;
use crate::parameters::Body;
use crate::reply::Reply;

/// Chunks that a client may have sent when it hears that one before them was refused. More of them count as errors.
const EXCUSED_CHUNKS: u32 = 1000;

/// Why a message whose content is arriving is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentRefusal {
    /// The reply. One that is no refusal becomes 451.
    pub reply: Reply,
    /// The session closes after the reply, as it does after any 421.
    pub disconnect: bool,
}

impl ContentRefusal {
    /// What can be sent: a refusal.
    fn checked(self) -> Self {
        let refuses = self.reply.code().is_transient() || self.reply.code().is_permanent();
        Self {
            reply: if refuses {
                self.reply.with_some_enhanced()
            } else {
                replies::local_error()
            },
            ..self
        }
    }

    pub(super) fn close(&self) -> Option<CloseReason> {
        let ends = self.disconnect || self.reply.code().value() == 421;
        ends.then_some(CloseReason::Disconnected)
    }
}

impl From<Reply> for ContentRefusal {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            disconnect: false,
        }
    }
}

/// Awaits DATA content up to its end.
#[derive(Debug)]
pub(super) struct ExpectBody {
    decoder: DotDecoder,
    check: ContentCheck,
    refusal: Option<Refusal>,
    /// Octets thrown away.
    drained: u64,
}

/// The reply for when the client is done, and whether the session may go on.
#[derive(Debug)]
struct Refusal {
    reply: Reply,
    close: Option<CloseReason>,
}

impl ExpectBody {
    pub(super) const fn new(limits: ContentLimits) -> Self {
        // DATA with BODY=BINARYMIME does not get here: all of it is text.
        Self {
            decoder: DotDecoder::new(),
            check: ContentCheck::new(limits, false),
            refusal: None,
            drained: 0,
        }
    }
}

/// Awaits the octets of a chunk.
#[derive(Debug)]
pub(super) struct ExpectChunk {
    id: QuestionId,
    chunk: Chunk,
    decoder: BdatDecoder,
    /// For the end of the chunk.
    reply: Reply,
    refused: Refused,
    /// Close after the reply.
    close: Option<CloseReason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    No,
    /// The command was: bad order, a limit, the caller's answer.
    Command,
    /// The content was, while it arrived.
    Content,
}

impl ExpectChunk {
    pub(super) const fn new(id: QuestionId, chunk: Chunk, reply: Reply, refused: bool) -> Self {
        let refused = if refused {
            Refused::Command
        } else {
            Refused::No
        };
        Self {
            id,
            chunk,
            decoder: BdatDecoder::new(chunk.size),
            reply,
            refused,
            close: None,
        }
    }
}

impl Transaction {
    pub(super) fn begin_chunks(&mut self, limits: ContentLimits) {
        let binary = self.body == Body::BinaryMime;
        self.chunks
            .get_or_insert_with(|| ContentCheck::new(limits, binary));
    }
}

impl Session {
    /// Refuses the message whose content is arriving: nothing of it is given out any more. A BDAT chunk is answered at
    /// its end (between two chunks: at the end of the next one), a DATA body at its own or as `early_refusal` says.
    /// Returns false, and does nothing, if no content is arriving or it is refused already.
    pub fn refuse_content(&mut self, refusal: impl Into<ContentRefusal>, now: Instant) -> bool {
        let refusal = refusal.into().checked();
        let close = refusal.close();
        match &mut self.state {
            State::ExpectBody(body) if body.refusal.is_none() => {
                let reply = refusal.reply;
                body.refusal = Some(Refusal { reply, close });
                if self.config.early_refusal == EarlyRefusal::Close {
                    self.end_refused_body(Some(CloseReason::RefusedBody), now);
                }
                true
            }
            State::ExpectChunk(expect) if expect.refused == Refused::No => {
                expect.reply = refusal.reply;
                expect.refused = Refused::Content;
                expect.close = close;
                if expect.decoder.remaining() > self.limits.drain {
                    self.end_refused_chunk(Some(CloseReason::RefusedBody), now);
                }
                true
            }
            State::ExpectCommand => self.refuse_next_chunk(refusal),
            _ => false,
        }
    }

    fn refuse_next_chunk(&mut self, refusal: ContentRefusal) -> bool {
        let begun = self
            .transaction
            .as_mut()
            .filter(|transaction| transaction.chunks.is_some());
        let Some(transaction) = begun.filter(|transaction| transaction.refusal.is_none()) else {
            return false;
        };
        if let Some(exchange) = self.exchanges.back_mut()
            && matches!(exchange.effect, Effect::Chunk(_))
        {
            exchange.acceptable = false;
            exchange.own = refusal.reply.clone();
            exchange.close = refusal.close();
        }
        transaction.refusal = Some(refusal);
        true
    }

    pub(super) fn take_body(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let State::ExpectBody(body) = &mut self.state else {
            return false;
        };
        let before = input.len();
        let decoded = body.decoder.decode(input);
        let taken = (before - input.len()) as u64;
        if taken == 0 {
            return false;
        }
        self.counters.content_octets += taken;
        self.clock.note_content(taken, now);
        if body.refusal.is_none() {
            match body.check.check(&decoded.content) {
                Ok(()) if decoded.content.is_empty() => {}
                Ok(()) => self.actions.push_back(Action::Content(decoded.content)),
                Err(fault) => {
                    let reply = replies::content_fault(fault);
                    self.actions
                        .push_back(Action::ContentRefused(reply.clone()));
                    body.refusal = Some(Refusal {
                        reply,
                        close: smuggling(fault),
                    });
                }
            }
        } else {
            body.drained += taken;
        }
        if decoded.end {
            self.end_body(now);
        } else if body.drained > self.limits.drain {
            self.end_refused_body(Some(CloseReason::RefusedBody), now);
        }
        true
    }

    pub(super) fn take_chunk(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        let State::ExpectChunk(expect) = &mut self.state else {
            return false;
        };
        let octets = expect.decoder.decode(input);
        if octets.is_empty() {
            return false;
        }
        self.counters.content_octets += octets.len() as u64;
        self.clock.note_content(octets.len() as u64, now);
        let check = self
            .transaction
            .as_mut()
            .and_then(|transaction| transaction.chunks.as_mut());
        if expect.refused == Refused::No
            && let Some(check) = check
        {
            match check.check(&octets) {
                Ok(()) => self.actions.push_back(Action::Content(octets)),
                Err(fault) => self.refuse_faulty_chunk(fault),
            }
        }
        self.end_chunk_if_done(now);
        true
    }

    /// Replies to the chunk if all of it was taken.
    pub(super) fn end_chunk_if_done(&mut self, now: Instant) {
        let State::ExpectChunk(expect) = &self.state else {
            return;
        };
        if !expect.decoder.is_done() {
            return;
        }
        let (chunk, id) = (expect.chunk, expect.id);
        let check = self
            .transaction
            .as_ref()
            .and_then(|transaction| transaction.chunks.as_ref());
        if expect.refused == Refused::No
            && chunk.last
            && let Some(Err(fault)) = check.map(ContentCheck::finish)
        {
            self.refuse_faulty_chunk(fault);
        }
        let State::ExpectChunk(expect) = &self.state else {
            return;
        };
        if expect.refused != Refused::No {
            self.end_refused_chunk(None, now);
        } else if chunk.last {
            self.ask_about_message();
        } else {
            let reply = expect.reply.clone();
            self.push_reply(ReplyTo::Command(Some(id), Verb::Bdat), reply);
            self.state = State::ExpectCommand;
            self.clock.await_command(now);
        }
    }

    fn refuse_faulty_chunk(&mut self, fault: ContentFault) {
        let reply = replies::content_fault(fault);
        if let State::ExpectChunk(expect) = &mut self.state {
            expect.reply = reply.clone();
            expect.refused = Refused::Content;
            self.actions.push_back(Action::ContentRefused(reply));
        }
    }

    /// A refused chunk ends the transaction: no later one may pass for the beginning of the message. Those that the
    /// client has sent already are answered 503. Over LMTP the last chunk is answered for each recipient.
    fn end_refused_chunk(&mut self, close: Option<CloseReason>, now: Instant) {
        let State::ExpectChunk(expect) = std::mem::replace(&mut self.state, State::ExpectCommand)
        else {
            return;
        };
        let close = close.or(expect.close);
        let transaction = self.transaction.take();
        let recipients = transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients);
        let each = self.config.protocol == Protocol::Lmtp && expect.chunk.last && recipients > 0;
        let count = if each { recipients } else { 1 };
        if transaction.is_some() {
            self.excused_chunks = EXCUSED_CHUNKS;
        }
        if expect.refused == Refused::Content {
            self.counters.messages_refused += 1;
            self.push_refusals(count, each, &expect.reply);
        } else {
            if transaction.is_some() {
                let cause = ResetCause::Chunk(expect.id, expect.reply.clone());
                self.actions.push_back(Action::TransactionReset(cause));
            }
            for _ in 0..count {
                self.push_reply(
                    ReplyTo::Command(Some(expect.id), Verb::Bdat),
                    expect.reply.clone(),
                );
            }
        }
        self.after_chunk(close, now);
    }

    fn after_chunk(&mut self, close: Option<CloseReason>, now: Instant) {
        self.clock.await_command(now);
        match close {
            Some(reason) => self.close(reason),
            None if self.shutting_down && self.transaction.is_none() => self.announce_shutdown(),
            None => {}
        }
    }

    fn end_body(&mut self, now: Instant) {
        let State::ExpectBody(body) = &self.state else {
            return;
        };
        if body.refusal.is_some() {
            self.end_refused_body(None, now);
        } else {
            self.ask_about_message();
        }
    }

    /// Replies to a refused DATA body; over LMTP for each recipient.
    fn end_refused_body(&mut self, close: Option<CloseReason>, now: Instant) {
        let State::ExpectBody(body) = std::mem::replace(&mut self.state, State::ExpectCommand)
        else {
            return;
        };
        let Some(refusal) = body.refusal else { return };
        self.counters.messages_refused += 1;
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let recipients = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients);
        self.push_refusals(if lmtp { recipients } else { 1 }, lmtp, &refusal.reply);
        self.end_message(close.or(refusal.close), now);
    }

    fn push_refusals(&mut self, count: u32, each: bool, reply: &Reply) {
        for index in 0..count {
            self.push_reply(ReplyTo::Message(None, each.then_some(index)), reply.clone());
        }
    }

    fn ask_about_message(&mut self) {
        let Some(transaction) = &self.transaction else {
            return;
        };
        let (check, chunked) = match (&self.state, &transaction.chunks) {
            (State::ExpectBody(body), _) => (&body.check, false),
            (_, Some(check)) => (check, true),
            _ => return,
        };
        let end = MessageEnd {
            size: check.size(),
            recipients: transaction.recipients,
            eight_bit: check.eight_bit(),
            body: transaction.body,
            chunked,
        };
        let id = self.next_question();
        self.state = State::ExpectMessageVerdict { id };
        self.actions.push_back(Action::ContentEnd);
        let prospect = Prospect::Accept(Ask::MessageEnd(end));
        self.actions.push_back(Action::Ask(Question {
            id,
            line: None,
            prospect,
        }));
    }
}

/// What follows text with a bare CR or LF may be what some other server took for commands: nothing more is read.
const fn smuggling(fault: ContentFault) -> Option<CloseReason> {
    match fault {
        ContentFault::BareCr | ContentFault::BareLf => Some(CloseReason::Smuggling),
        ContentFault::LineTooLong | ContentFault::TooLarge => None,
    }
}
