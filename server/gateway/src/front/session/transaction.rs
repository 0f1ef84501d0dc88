//! What a session does about its transaction: content taken or refused, the message judged and committed.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_events::inbound::Reset;
use postern_events::ruling::Ruling;
use postern_smtp::reply::Reply;
use postern_smtp::server::{Answer, QuestionId};

use super::ask::Done;
use super::message::{self, Answered, Judged};
use super::ruling::refusal;
use super::{Flow, Session};
use crate::front::replies;

impl Session {
    /// The content is complete: asks for the verdicts about it.
    pub(super) fn judge(&mut self, id: QuestionId, since: Instant) {
        self.early = None;
        if let Some((reply, by)) = self.refusal.take() {
            return self.answer(id, Answer::Reply(reply), by);
        }
        match self.upload.take() {
            Some(upload) => {
                let shared = Arc::clone(&self.shared);
                self.pending.push(Box::pin(async move {
                    Done::Judged(id, Box::new(message::judge(shared, upload, since).await))
                }));
            }
            // Without an upload there is nothing that could be accepted.
            None => self.answer(
                id,
                Answer::Reply(replies::storage_failed(self.shared.session)),
                None,
            ),
        }
    }

    /// The verdicts are in: unless the client has gone meanwhile, the message is committed.
    pub(super) fn commit(&mut self, id: QuestionId, judged: Judged) -> Flow {
        match judged {
            Judged::Refused(answered) => self.finish_message(id, answered),
            Judged::Ready(ready) => {
                if let Flow::End(reason) = self.look() {
                    self.shared.tell_gone(ready.size());
                    self.message = None;
                    return Flow::End(reason);
                }
                self.committing = true;
                let all_dropped = self.dropped_recipients > 0;
                let shared = Arc::clone(&self.shared);
                self.pending.push(Box::pin(async move {
                    Done::Answered(
                        id,
                        Box::new(message::commit(shared, *ready, all_dropped).await),
                    )
                }));
            }
        }
        Flow::Go
    }

    pub(super) fn finish_message(&mut self, id: QuestionId, answered: Answered) {
        let Answered {
            reply,
            disconnect,
            outcome,
        } = answered;
        let by = outcome.decided_by.clone();
        self.message = None;
        self.shared.scope.tell_outcome(outcome);
        let answer = if disconnect {
            Answer::Disconnect(reply)
        } else {
            Answer::Reply(reply)
        };
        self.answer(id, answer, by);
    }

    pub(super) async fn take_content(&mut self, bytes: Bytes) {
        self.shared.received(bytes.len());
        let Some(upload) = &mut self.upload else {
            return;
        };
        let begun = Instant::now();
        let taken = upload.take(&self.shared, bytes).await;
        // What the disk took is not the client's slowness.
        self.machine.excuse_pause(begun.elapsed());
        match taken {
            Ok(None) => {}
            Ok(Some(early)) => self.early = Some(early),
            Err(reply) => self.refuse_content(reply, None),
        }
    }

    pub(super) fn refuse_early(&mut self, ruling: &Ruling) {
        self.early = None;
        let Some(message) = self.message else { return };
        if let Some(refused) = refusal(ruling, &message) {
            self.close_after_reply = refused.disconnect;
            let by = ruling.by.as_ref().map(|by| by.binding.to_string());
            self.refuse_content(refused.reply, by);
        }
    }

    /// From here on nothing of the content is kept or shown to sinks.
    pub(super) fn refuse_content(&mut self, reply: Reply, by: Option<String>) {
        let in_time = self.machine.refuse_content(reply.clone(), Instant::now());
        self.drop_upload(&reply, by.clone());
        if !in_time {
            // All of it had come in one piece: the question about it is on its way.
            self.refusal = Some((reply, by));
        }
    }

    pub(super) fn drop_upload(&mut self, reply: &Reply, by: Option<String>) {
        self.early = None;
        self.refusal = None;
        let Some(upload) = self.upload.take() else {
            return;
        };
        let size = upload.size();
        upload.give_up();
        self.message = None;
        self.shared.tell_refused(reply, by, size);
    }

    pub(super) fn reset_transaction(&mut self) {
        self.early = None;
        self.refusal = None;
        if let Some(upload) = self.upload.take() {
            upload.give_up();
        }
        if let Some(message) = self.message.take() {
            self.shared.scope.tell_reset(Reset {
                message_id: Some(message),
                reason: self.reset,
            });
        }
    }

    /// The client went away with a message on its way.
    pub(super) fn give_up_message(&mut self) {
        self.pending.clear();
        self.early = None;
        if let Some(upload) = self.upload.take() {
            let size = upload.size();
            upload.give_up();
            self.shared.tell_gone(size);
            self.message = None;
        }
    }
}
