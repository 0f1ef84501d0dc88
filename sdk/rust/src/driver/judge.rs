//! One handler's run: from the call to what is sent.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tracing::error;

use super::Manner;
use super::seat::Work;
use crate::call::{Answer, Context, Subject};
use crate::check::{self, Question};
use crate::commands::Command;
use crate::layer;
use crate::message::Slot;
use crate::pace::{Began, Step};
use crate::picture::Picture;
use crate::sink::{Ready, name_of};
use crate::v1::{self, EventKind, data, edit, event};
use crate::{Fault, Verdict};

/// Octets that a verdict may hold in itself, unless the gateway says otherwise.
const LITERAL_MAX: usize = 512 * 1024;

/// Octets above which an insertion is uploaded, if the verdict is too large.
const UPLOAD_ABOVE: usize = 16 * 1024;

/// Octets of one frame of an upload.
const UPLOAD_FRAME: usize = 64 * 1024;

/// A handler's run that is over.
pub(super) struct Judged {
    pub(super) instance_id: u64,
    pub(super) token: u64,
    /// What is to be sent for each event that is awaited.
    pub(super) answers: Vec<(u64, Result<v1::Verdict, Fault>)>,
}

/// Runs a handler to its end. Whatever happens in there, each awaited event is answered.
pub(super) async fn run(work: Work, sink: Arc<Ready>, manner: Manner, token: u64) -> Judged {
    let Work {
        call,
        event,
        registered,
        event_ids,
        awaited,
    } = work;
    let context = Arc::clone(&call.context);
    let after = After {
        context: Arc::clone(&context),
        picture: call.picture.clone(),
        body: of_interest(&call.subject),
        slot: Arc::clone(&call.slot),
        event,
        manner,
    };
    let pace = Arc::clone(&registered.pace);
    let handled = async {
        match &sink.judge {
            Some(judge) => {
                let run = Arc::clone(&registered.run);
                judge(layer::Question { event, call, run }).await
            }
            None => (registered.run)(call).await,
        }
    };
    let mut timed = Timed {
        handled: Box::pin(AssertUnwindSafe(handled).catch_unwind()),
        longest: Step::default(),
    };
    let outcome = (&mut timed).await;
    match &outcome {
        Ok(_) => pace.note(timed.longest),
        Err(_) => pace.note_panic(),
    }
    drop(timed);
    let answer = outcome
        .unwrap_or_else(|panic| Answer::Verdict(Err(Fault::error(panic_text(panic.as_ref())))));
    let answers = match after.answers(answer, event_ids, awaited).await {
        answers if awaited => answers,
        _ => Vec::new(),
    };
    Judged {
        instance_id: context.instance_id,
        token,
        answers,
    }
}

/// What of the event the check of its verdict needs.
fn of_interest(subject: &Subject) -> Option<event::Kind> {
    match subject {
        Subject::Event(kind) => match &**kind {
            event::Kind::InboundRcpt(_)
            | event::Kind::InboundCommand(_)
            | event::Kind::InboundResponse(_) => Some((**kind).clone()),
            _ => None,
        },
        _ => None,
    }
}

/// What is done with an answer before it is sent.
struct After {
    context: Arc<Context>,
    picture: Picture,
    body: Option<event::Kind>,
    slot: Arc<Slot>,
    event: Option<EventKind>,
    manner: Manner,
}

impl After {
    async fn answers(
        &self,
        answer: Answer,
        event_ids: Vec<u64>,
        awaited: bool,
    ) -> Vec<(u64, Result<v1::Verdict, Fault>)> {
        // What became of a verdict has no event of its own.
        if let (true, Answer::Verdict(Err(fault)) | Answer::Heard(Err(fault))) =
            (event_ids.is_empty(), &answer)
        {
            self.log(0, fault);
        }
        let verdicts: Vec<Result<Verdict, Fault>> = match answer {
            Answer::Verdict(verdict) => event_ids.iter().map(|_| verdict.clone()).collect(),
            Answer::Verdicts(Ok(verdicts)) if verdicts.len() == event_ids.len() => {
                verdicts.into_iter().map(Ok).collect()
            }
            Answer::Verdicts(Ok(verdicts)) => {
                let detail = format!(
                    "{} verdicts for a group of {}",
                    verdicts.len(),
                    event_ids.len()
                );
                event_ids
                    .iter()
                    .map(|_| Err(Fault::error(detail.clone())))
                    .collect()
            }
            Answer::Verdicts(Err(fault)) => event_ids.iter().map(|_| Err(fault.clone())).collect(),
            // Where an event that tells has a deadline, it wants to be acknowledged.
            Answer::Heard(heard) => event_ids
                .iter()
                .map(|_| heard.clone().map(|()| Verdict::proceed()))
                .collect(),
        };
        let mut answers = Vec::with_capacity(verdicts.len());
        for (event_id, verdict) in event_ids.into_iter().zip(verdicts) {
            let answer = match verdict {
                Ok(verdict) if awaited => self.complete(event_id, verdict).await,
                Ok(verdict) => Ok(verdict.into_proto()),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = &answer {
                self.log(event_id, fault);
            }
            answers.push((event_id, answer));
        }
        answers
    }

    /// Adds the message's edits to a verdict, uploads what is long, and checks the whole.
    async fn complete(&self, event_id: u64, mut verdict: Verdict) -> Result<v1::Verdict, Fault> {
        let Some((edits, content_bytes)) = self.slot.edits() else {
            return Err(Fault::error(
                "the message is still held elsewhere, so its edits are not known: drop it before the handler returns",
            ));
        };
        if verdict.keeps_the_message() {
            verdict.add_edits(edits);
        }
        let proto = verdict.proto_mut();
        proto.event_id = event_id;
        if !self.context.opening.has("cache") {
            proto.cache_for = None;
            proto.cache_keys.clear();
        }
        if !proto.edits.is_empty() {
            upload_long_parts(&self.context, event_id, proto).await?;
        }
        if self.manner.checks
            && let Some(event) = self.event
        {
            let question = Question {
                event,
                body: self.body.as_ref(),
                grants: &self.context.grants,
                limits: &self.context.opening.limits,
                picture: &self.picture,
                content_bytes,
            };
            let name = name_of(event);
            check::verdict(proto, &question).map_err(|refusal| {
                Fault::error(format!("the verdict on {name} is not sent: {refusal}"))
            })?;
        }
        Ok(verdict.into_proto())
    }

    fn log(&self, event_id: u64, fault: &Fault) {
        let binding = &self.context.opening.binding.binding.name;
        let event = self.event.map_or("settled", name_of);
        let instance = self.context.instance_id;
        error!(
            binding,
            event,
            instance,
            event_id,
            ?fault,
            "a handler failed"
        );
    }
}

/// Measures the longest step of a handler.
struct Timed<F> {
    handled: Pin<Box<F>>,
    longest: Step,
}

impl<F: Future> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<F::Output> {
        let began = Began::now();
        let polled = self.handled.as_mut().poll(context);
        self.longest = self.longest.max(began.step());
        polled
    }
}

/// Sends long insertions ahead, where the verdict would be too large with them.
async fn upload_long_parts(
    context: &Context,
    event_id: u64,
    verdict: &mut v1::Verdict,
) -> Result<(), Fault> {
    let limits = &context.opening.limits;
    let most = match limits.literal_bytes {
        0 => LITERAL_MAX,
        most => most as usize,
    };
    let in_all: usize = verdict
        .edits
        .iter_mut()
        .filter_map(literal_of)
        .map(|octets| octets.len())
        .sum();
    if in_all <= most {
        return Ok(());
    }
    if !context.opening.has("uploads") || limits.upload_credit_bytes == 0 {
        return Err(Fault::error(format!(
            "the edits insert {in_all} octets, and this gateway takes {most} in a verdict"
        )));
    }
    let mut upload_id = event_id << 16;
    for edit in &mut verdict.edits {
        let Some(octets) = literal_of(edit).filter(|octets| octets.len() > UPLOAD_ABOVE) else {
            continue;
        };
        let octets = std::mem::take(octets);
        upload_id += 1;
        upload(context, event_id, upload_id, octets).await?;
        if let Some(data) = data_of(edit) {
            data.kind = Some(data::Kind::UploadId(upload_id));
        }
    }
    Ok(())
}

async fn upload(
    context: &Context,
    event_id: u64,
    upload_id: u64,
    mut octets: Bytes,
) -> Result<(), Fault> {
    let first = context.opening.limits.upload_credit_bytes as usize;
    let credit = Arc::new(Semaphore::new(first.min(Semaphore::MAX_PERMITS)));
    let uploads = || {
        context
            .uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    uploads().insert(upload_id, Arc::clone(&credit));
    let frame = match context.opening.limits.chunk_bytes {
        0 => UPLOAD_FRAME,
        most => most as usize,
    };
    while !octets.is_empty() {
        let piece = octets.split_to(octets.len().min(frame));
        // Fits: a frame is small.
        let permits = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        match credit.acquire_many(permits).await {
            Ok(granted) => granted.forget(),
            Err(_) => {
                return Err(Fault::error(
                    "the gateway does not take an upload that the verdict needs",
                ));
            }
        }
        let frame = v1::Upload {
            upload_id,
            event_id,
            octets: piece,
            finished: octets.is_empty(),
            abandoned: false,
        };
        context
            .commands
            .send(context.instance_id, Command::Upload(frame))
            .await;
    }
    uploads().remove(&upload_id);
    Ok(())
}

/// The gateway takes more of an upload.
pub(super) fn credit(context: &Context, upload_id: u64, octets: u64) {
    let uploads = context
        .uploads
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(credit) = uploads.get(&upload_id) {
        let room = Semaphore::MAX_PERMITS - credit.available_permits();
        credit.add_permits(usize::try_from(octets).unwrap_or(room).min(room));
    }
}

/// The gateway takes no more of an upload.
pub(super) fn stop_upload(context: &Context, upload_id: u64) {
    let mut uploads = context
        .uploads
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(credit) = uploads.remove(&upload_id) {
        credit.close();
    }
}

fn literal_of(edit: &mut v1::Edit) -> Option<&mut Bytes> {
    match data_of(edit)?.kind.as_mut()? {
        data::Kind::Literal(octets) => Some(octets),
        data::Kind::UploadId(_) => None,
    }
}

fn data_of(edit: &mut v1::Edit) -> Option<&mut v1::Data> {
    match edit.kind.as_mut()? {
        edit::Kind::SpliceBody(splice) => splice.insert.as_mut(),
        edit::Kind::ReplaceBody(replace) => replace.body.as_mut(),
        edit::Kind::Inject(inject) => inject.content.as_mut(),
        _ => None,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    format!("the handler panicked: {text}")
}
