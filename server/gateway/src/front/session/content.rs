//! What a session does about its transaction: content taken or refused, the message judged and committed, and the end of
//! it all told.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_events::inbound::{DisconnectReason, Reset, ResetReason};
use postern_events::ruling::Ruling;
use postern_smtp::reply::Reply;
use postern_smtp::server::{Answer, CloseReason, ContentRefusal, QuestionId, ResetCause};

use super::phase::{Arriving, Committing, Judging, Phase, Step};
use super::{Flow, Session, answer_of};
use crate::front::reception::message::{self, Answered, Judged};
use crate::front::reception::ruling::{Refused, refusal};
use crate::front::reception::transaction::{Ended, Transaction};
use crate::front::replies;

impl Session {
    /// A phase has what it waited for.
    pub(super) fn step(&mut self, step: Step) -> Flow {
        match step {
            Step::Early(ruling) => self.refuse_early(&ruling),
            Step::Judged(judged) => return self.commit(judged),
            Step::Answered(answered) => self.finish_message(answered),
        }
        Flow::Go
    }

    /// The content is complete: asks for the verdicts about it.
    pub(super) fn judge(&mut self, question: QuestionId, since: Instant) {
        match self.phase.take() {
            Phase::Arriving(arriving) => {
                let Arriving {
                    transaction,
                    upload,
                    ..
                } = *arriving;
                let size = upload.size();
                let reception = Arc::clone(&self.reception);
                self.phase = Phase::Judging(Judging {
                    transaction,
                    question,
                    size,
                    judged: Box::pin(message::judge(reception, upload, since)),
                });
            }
            Phase::Refused(refused) => {
                let (answer, by) = answer_of(refused);
                self.answer(question, answer, by);
            }
            // Without content there is nothing that could be accepted.
            other => {
                self.phase = other;
                let reply = replies::storage_failed(self.reception.session);
                self.answer(question, Answer::Reply(reply), None);
            }
        }
    }

    /// The verdicts are in: unless the client has gone meanwhile, the message is committed.
    fn commit(&mut self, judged: Judged) -> Flow {
        let ready = match judged {
            Judged::Refused(answered) => {
                self.finish_message(answered);
                return Flow::Go;
            }
            Judged::Ready(ready) => ready,
        };
        if let Flow::End(reason) = self.look() {
            return Flow::End(reason);
        }
        if let Phase::Judging(Judging {
            transaction,
            question,
            size,
            ..
        }) = self.phase.take()
        {
            let reception = Arc::clone(&self.reception);
            let dropped = transaction.has_dropped();
            self.phase = Phase::Committing(Committing {
                transaction,
                question,
                size,
                answered: Box::pin(message::commit(reception, *ready, dropped)),
            });
        }
        Flow::Go
    }

    fn finish_message(&mut self, answered: Answered) {
        let (Phase::Judging(Judging {
            transaction,
            question,
            ..
        })
        | Phase::Committing(Committing {
            transaction,
            question,
            ..
        })) = self.phase.take()
        else {
            return;
        };
        let Answered {
            reply,
            disconnect,
            ended,
        } = answered;
        let by = ended.by.clone();
        let answer = if disconnect {
            Answer::Disconnect(reply)
        } else {
            Answer::Reply(reply)
        };
        // First the answer: what it counts is told with the outcome.
        self.answer(question, answer, by);
        self.end(transaction, ended);
    }

    pub(super) async fn take_content(&mut self, bytes: Bytes) {
        self.reception.received(bytes.len());
        let Phase::Arriving(arriving) = &mut self.phase else {
            return;
        };
        let begun = Instant::now();
        let taken = arriving.upload.take(&self.reception, bytes).await;
        // What the disk took is not the client's slowness.
        self.machine.excuse_pause(begun.elapsed());
        match taken {
            Ok(None) => {}
            Ok(early) => arriving.early = early,
            Err(reply) => return self.refuse_content(Refused::by_service(reply)),
        }
        self.follow_content().await;
    }

    fn refuse_early(&mut self, ruling: &Ruling) {
        let Some(message) = self.phase.message_id() else {
            return;
        };
        match refusal(ruling, &message) {
            Some(refused) => self.refuse_content(refused),
            None => {
                if let Phase::Arriving(arriving) = &mut self.phase {
                    arriving.early = None;
                }
            }
        }
    }

    /// From here on nothing of the content is kept or shown to sinks.
    pub(super) fn refuse_content(&mut self, refused: Refused) {
        let refusal = ContentRefusal {
            reply: refused.reply.clone(),
            disconnect: refused.disconnect,
        };
        let in_time = self.machine.refuse_content(refusal, Instant::now());
        self.end_refused(refused.reply.clone(), refused.by.clone());
        if !in_time {
            // All of it had come in one piece: the question about it is on its way.
            self.phase = Phase::Refused(refused);
        }
    }

    /// The machine has refused the content.
    pub(super) fn content_refused(&mut self, reply: Reply) {
        self.end_refused(reply, None);
    }

    fn end_refused(&mut self, reply: Reply, by: Option<String>) {
        if let Some((transaction, size)) = self.phase.give_up() {
            self.end(transaction, Ended::refused(reply, by, size));
        }
    }

    /// The machine has no transaction any more.
    pub(super) fn reset_transaction(&mut self, cause: ResetCause) {
        let Some((transaction, size)) = self.phase.give_up() else {
            return;
        };
        let reason = match cause {
            ResetCause::Rset => ResetReason::Command,
            ResetCause::Greeting => ResetReason::Greeting,
            ResetCause::Chunk(id, reply) => {
                let by = self.asked.get(&id).and_then(|asked| asked.by.clone());
                return self.end(transaction, Ended::refused(reply, by, size));
            }
        };
        self.reception.scope.tell_reset(Reset {
            message_id: Some(transaction.id()),
            reason,
        });
        self.end(transaction, Ended::given_up(size));
    }

    /// The machine closes: so ends the transaction, if there is one.
    pub(super) fn end_by_close(&mut self, reason: CloseReason) {
        let Some((transaction, size)) = self.phase.give_up() else {
            return;
        };
        let ended = match (reason, self.last_refusal.take()) {
            (CloseReason::Quit, _) => Ended::given_up(size),
            (CloseReason::ClientGone, _) | (_, None) => Ended::gone(size),
            (_, Some((reply, by))) => Ended::refused(reply, by, size),
        };
        self.end(transaction, ended);
    }

    /// The session is over without the machine: nobody is asked any more, and a transaction ends with it.
    pub(super) fn end_by_force(&mut self, reason: DisconnectReason) {
        self.pending.clear();
        let Some((transaction, size)) = self.phase.give_up() else {
            return;
        };
        let ended = match reason {
            DisconnectReason::Shutdown => Ended::cut(size),
            _ => Ended::gone(size),
        };
        self.end(transaction, ended);
    }

    fn end(&mut self, transaction: Transaction, ended: Ended) {
        self.note_conduct();
        self.forget_message();
        transaction.end(ended);
    }
}
