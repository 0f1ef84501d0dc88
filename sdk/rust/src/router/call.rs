//! One event and its handler.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tracing::error;

use crate::event::About;
use crate::instance::Instance;
use crate::message::{Feed, Pipe};
use crate::v1::{self, attach_response, body_depth, data, edit, event};
use crate::{Event, Fault, Message, Result, Sink, Verdict};

/// Octets that a verdict may hold in itself. The protocol takes 512 KiB of them.
const INLINE_MAX: usize = 512 * 1024;

/// Octets above which an insertion is uploaded, if the verdict is too large.
const UPLOAD_ABOVE: usize = 16 * 1024;

/// Octets of one frame of an upload.
const UPLOAD_FRAME: usize = 64 * 1024;

/// An event, and all that its handler needs.
pub(super) struct Call<S, P, T> {
    pub(super) sink: Arc<S>,
    pub(super) instance: Instance<P, T>,
    pub(super) event: v1::Event,
    pub(super) headers: v1::Headers,
    /// Where the content comes in, and how much of it.
    pub(super) feed: Option<(Arc<Feed>, body_depth::Kind)>,
    pub(super) awaited: bool,
}

/// Whether the event tells and does not ask.
pub(crate) fn is_one_way(kind: &event::Kind) -> bool {
    use event::Kind;
    matches!(
        kind,
        Kind::InboundOutcome(_)
            | Kind::InboundReset(_)
            | Kind::InboundDisconnect(_)
            | Kind::DeliveryResult(_)
            | Kind::DeliveryLink(_)
            | Kind::ServiceStart(_)
            | Kind::ServiceStop(_)
            | Kind::ServiceConfig(_)
    )
}

impl<S, P, T> Call<S, P, T>
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    /// Runs the handler and sends what it decides. Whatever happens in there, something is sent.
    pub(super) async fn run(self) {
        let Self {
            sink,
            instance,
            event,
            headers,
            feed,
            awaited,
        } = self;
        let event_id = event.event_id;
        let handled = AssertUnwindSafe(judge(&*sink, &instance, event, headers, feed))
            .catch_unwind()
            .await;
        let outcome =
            handled.unwrap_or_else(|panic| Err(Fault::internal(panic_text(panic.as_ref()))));
        if let Err(fault) = &outcome {
            let binding = &instance.binding().name;
            error!(
                binding,
                instance = instance.shared.instance_id,
                event_id,
                ?fault,
                "a handler failed"
            );
        }
        if !awaited {
            return;
        }
        let kind = match outcome {
            Ok(verdict) => match with_long_parts_uploaded(&instance, verdict).await {
                Ok(verdict) => {
                    let verdict = v1::Verdict {
                        event_id,
                        ..verdict.into_proto()
                    };
                    attach_response::Kind::Verdict(verdict)
                }
                Err(fault) => attach_response::Kind::Fault(fault.into_proto(event_id)),
            },
            Err(fault) => attach_response::Kind::Fault(fault.into_proto(event_id)),
        };
        instance
            .outbox
            .send(instance.shared.instance_id, kind)
            .await;
    }
}

async fn judge<S, P, T>(
    sink: &S,
    instance: &Instance<P, T>,
    mut event: v1::Event,
    headers: v1::Headers,
    feed: Option<(Arc<Feed>, body_depth::Kind)>,
) -> Result
where
    S: Sink<P, T>,
    P: DeserializeOwned + Send + Sync + 'static,
    T: Default + Send + 'static,
{
    use event::Kind;
    sink.on_any(instance, &event);
    let about = about(&mut event);
    match event.kind.take() {
        Some(Kind::InboundConnect(body)) => {
            sink.on_connect(instance, &Event::new(body, about)).await
        }
        Some(Kind::InboundHelo(body)) => sink.on_helo(instance, &Event::new(body, about)).await,
        Some(Kind::InboundTls(body)) => sink.on_tls(instance, &Event::new(body, about)).await,
        Some(Kind::InboundMail(body)) => sink.on_mail(instance, &Event::new(body, about)).await,
        Some(Kind::InboundRcpt(body)) => sink.on_rcpt(instance, &Event::new(body, about)).await,
        Some(Kind::InboundData(body)) => sink.on_data(instance, &Event::new(body, about)).await,
        Some(Kind::InboundCommand(body)) => {
            sink.on_command(instance, &Event::new(body, about)).await
        }
        Some(Kind::InboundResponse(body)) => {
            sink.on_response(instance, &Event::new(body, about)).await
        }
        Some(Kind::InboundHeaders(body)) => {
            let mut message = message(instance, headers, feed);
            let verdict = sink
                .on_headers(instance, &Event::new(body, about), &mut message)
                .await?;
            Ok(with_edits(verdict, message))
        }
        Some(Kind::InboundMessage(_)) => {
            let mut message = message(instance, headers, feed);
            let verdict = sink.on_message(instance, &mut message).await?;
            Ok(with_edits(verdict, message))
        }
        Some(Kind::TransportSubmit(_)) => {
            let mut message = message(instance, headers, feed);
            let verdict = sink.on_submit(instance, &mut message).await?;
            Ok(with_edits(verdict, message))
        }
        Some(Kind::InboundOutcome(body)) => {
            sink.on_outcome(instance, &Event::new(body, about)).await;
            Ok(Verdict::proceed())
        }
        Some(Kind::InboundReset(body)) => {
            sink.on_reset(instance, &Event::new(body, about)).await;
            Ok(Verdict::proceed())
        }
        Some(Kind::InboundDisconnect(body)) => {
            sink.on_disconnect(instance, &Event::new(body, about)).await;
            Ok(Verdict::proceed())
        }
        Some(Kind::DeliveryResult(body)) => {
            sink.on_delivery(instance, &Event::new(body, about)).await;
            Ok(Verdict::proceed())
        }
        other => {
            event.kind = other;
            sink.on_other(instance, &event).await
        }
    }
}

fn about(event: &mut v1::Event) -> About {
    About {
        attempt: event.attempt,
        replayed: event.replayed,
        deadline: event
            .deadline
            .and_then(|deadline| Duration::try_from(deadline).ok()),
        conduct: event.conduct.unwrap_or_default(),
    }
}

fn message<P, T>(
    instance: &Instance<P, T>,
    headers: v1::Headers,
    feed: Option<(Arc<Feed>, body_depth::Kind)>,
) -> Message {
    let (feed, depth) =
        feed.unwrap_or_else(|| (Feed::new(), body_depth::Kind::Nothing(v1::NoContent {})));
    let outbox = instance.outbox.clone();
    let pipe = Pipe::new(
        feed,
        depth,
        outbox,
        instance.shared.instance_id,
        instance.event_id,
    );
    Message::new(headers, instance.known.clone(), pipe)
}

fn with_edits(mut verdict: Verdict, message: Message) -> Verdict {
    if verdict.keeps_the_message() {
        verdict.add_edits(message.into_edits());
    }
    verdict
}

/// The verdict, with long insertions sent ahead where it would be too large with them.
async fn with_long_parts_uploaded<P, T>(instance: &Instance<P, T>, mut verdict: Verdict) -> Result {
    let edits = verdict.edits_mut();
    let in_all: usize = edits.iter_mut().filter_map(inline_of).map(Bytes::len).sum();
    if in_all <= INLINE_MAX {
        return Ok(verdict);
    }
    if instance.limits().upload_credit_bytes == 0 {
        let detail = format!(
            "the edits insert {in_all} octets, and this gateway takes {INLINE_MAX} in a verdict"
        );
        error!(binding = instance.binding().name, detail);
        return Err(Fault::internal(detail));
    }
    let mut upload_id = instance.event_id << 16;
    for edit in edits {
        if inline_of(edit).is_none_or(|octets| octets.len() <= UPLOAD_ABOVE) {
            continue;
        }
        upload_id += 1;
        let kind =
            data_of(edit).and_then(|data| data.kind.replace(data::Kind::UploadId(upload_id)));
        if let Some(data::Kind::Inline(octets)) = kind {
            upload(instance, upload_id, octets).await;
        }
    }
    Ok(verdict)
}

async fn upload<P, T>(instance: &Instance<P, T>, upload_id: u64, mut octets: Bytes) {
    let first = usize::try_from(instance.limits().upload_credit_bytes).unwrap_or(0);
    let credit = Arc::new(Semaphore::new(first));
    let uploads = || {
        instance
            .shared
            .uploads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    uploads().insert(upload_id, Arc::clone(&credit));
    while !octets.is_empty() {
        let data = octets.split_to(octets.len().min(UPLOAD_FRAME));
        // Fits: a frame is small.
        let permits = u32::try_from(data.len()).unwrap_or(u32::MAX);
        match credit.acquire_many(permits).await {
            Ok(granted) => granted.forget(),
            Err(_) => break,
        }
        let frame = v1::Upload {
            upload_id,
            event_id: instance.event_id,
            data,
            finished: octets.is_empty(),
        };
        instance
            .outbox
            .send(
                instance.shared.instance_id,
                attach_response::Kind::Upload(frame),
            )
            .await;
    }
    uploads().remove(&upload_id);
}

fn inline_of(edit: &mut v1::Edit) -> Option<&Bytes> {
    match data_of(edit)?.kind.as_ref()? {
        data::Kind::Inline(octets) => Some(octets),
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
