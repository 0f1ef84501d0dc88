//! The kit's end of the stream: asks, pushes content under credit, answers reads, waits for verdicts.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::mail::Mail;
use crate::router::{Frames, Outbox, Router};
use crate::v1::{self, attach_request, attach_response, body_depth};
use crate::{Fault, Result, Sink, Verdict};

/// Frames that may wait for the router. It takes them as they come.
const FRAMES_MAX: usize = 1024;

pub(super) struct Wire {
    requests: mpsc::Sender<Result<v1::AttachRequest, Status>>,
    frames: Frames,
    router: JoinHandle<()>,
    deadline: Duration,
    chunk: usize,
    next_event_id: u64,
    next_instance_id: u64,
    pub(super) uploads: HashMap<u64, Vec<u8>>,
    pub(super) activities: Vec<String>,
}

/// The content that goes with an event.
pub(super) struct Push {
    depth: body_depth::Kind,
    whole: Vec<u8>,
    body: Bytes,
    offset: usize,
    credit: u64,
    stopped: bool,
    ended: bool,
}

impl Push {
    pub(super) fn new(mail: &Mail, depth: body_depth::Kind, credit: u32) -> Self {
        let body = Bytes::copy_from_slice(mail.body());
        Self {
            depth,
            whole: mail.raw(),
            body,
            offset: 0,
            credit: credit.into(),
            stopped: false,
            ended: false,
        }
    }

    /// The next frame that may be sent now.
    fn next(&mut self, event_id: u64, chunk: usize) -> Option<v1::Content> {
        if self.ended || matches!(self.depth, body_depth::Kind::Nothing(_)) {
            return None;
        }
        let shown = match self.depth {
            body_depth::Kind::Full(_) => self.body.len(),
            body_depth::Kind::Prefix(prefix) => self.body.len().min(prefix.size_bytes as usize),
            _ => 0,
        };
        let mut content = v1::Content {
            event_id,
            offset: self.offset as u64,
            ..Default::default()
        };
        if !self.stopped && self.offset < shown {
            let length = chunk.min(shown - self.offset).min(self.credit as usize);
            if length == 0 {
                return None;
            }
            content.data = self.body.slice(self.offset..self.offset + length);
            self.offset += length;
            self.credit -= length as u64;
        }
        if self.stopped || self.offset >= shown {
            self.ended = true;
            content.ended = Some(self.end(v1::ContentState::Complete));
        }
        Some(content)
    }

    fn end(&self, state: v1::ContentState) -> v1::ContentEnd {
        v1::ContentEnd {
            state: state.into(),
            body_size_bytes: self.body.len() as u64,
            size_bytes: self.whole.len() as u64,
            sha256: digest(&self.whole),
            body_sha256: digest(&self.body),
        }
    }

    fn read(&self, read: &v1::ReadContent) -> Vec<v1::Content> {
        let from = self.body.len().min(read.offset as usize);
        let to = self.body.len().min(from + read.length_bytes as usize);
        let state = match from < self.body.len() || self.body.is_empty() {
            true => v1::ContentState::Complete,
            false => v1::ContentState::OutOfRange,
        };
        let range = self.body.slice(from..to);
        let mut frames: Vec<_> = range
            .chunks(64 * 1024)
            .scan(from as u64, |offset, chunk| {
                let data = Bytes::copy_from_slice(chunk);
                let frame = v1::Content {
                    event_id: read.event_id,
                    read_id: read.read_id,
                    offset: *offset,
                    data,
                    ended: None,
                };
                *offset += chunk.len() as u64;
                Some(frame)
            })
            .collect();
        if frames.is_empty() {
            frames.push(v1::Content {
                event_id: read.event_id,
                read_id: read.read_id,
                ..Default::default()
            });
        }
        if let Some(last) = frames.last_mut() {
            last.ended = Some(self.end(state));
        }
        frames
    }
}

impl Wire {
    pub(super) fn new<S, P, T>(sink: Arc<S>, deadline: Duration, chunk: usize) -> Self
    where
        S: Sink<P, T>,
        P: DeserializeOwned + Send + Sync + 'static,
        T: Default + Send + 'static,
    {
        let (requests, receiver) = mpsc::channel(FRAMES_MAX);
        let (outbox, frames) = Outbox::new();
        let (_, never) = watch::channel(None);
        let router = Router::new(sink, outbox, never);
        Self {
            requests,
            frames,
            router: tokio::spawn(router.run(ReceiverStream::new(receiver))),
            deadline,
            chunk,
            next_event_id: 1,
            next_instance_id: 1,
            uploads: HashMap::new(),
            activities: Vec::new(),
        }
    }

    pub(super) async fn open(&mut self, open: v1::Open) -> u64 {
        let instance_id = self.next_instance_id;
        self.next_instance_id += 1;
        self.send(instance_id, attach_request::Kind::Open(open))
            .await;
        instance_id
    }

    pub(super) async fn close(&mut self, instance_id: u64) {
        let close = v1::Close {
            reason: v1::CloseReason::Finished.into(),
        };
        self.send(instance_id, attach_request::Kind::Close(close))
            .await;
    }

    pub(super) async fn tell(&mut self, instance_id: u64, mut event: v1::Event) {
        event.event_id = self.event_id();
        self.send(instance_id, attach_request::Kind::Event(event))
            .await;
    }

    /// Asks several events at once and returns the answers in their order.
    pub(super) async fn ask(
        &mut self,
        instance_id: u64,
        events: Vec<v1::Event>,
        mut push: Option<Push>,
    ) -> Vec<Result> {
        let mut answers: HashMap<u64, Result> = HashMap::new();
        let mut asked = Vec::new();
        for mut event in events {
            event.event_id = self.event_id();
            event.deadline = self.deadline.try_into().ok();
            asked.push(event.event_id);
            self.send(instance_id, attach_request::Kind::Event(event))
                .await;
        }
        let until = Instant::now() + self.deadline;
        while asked.iter().any(|event_id| !answers.contains_key(event_id)) {
            if let (Some(push), Some(event_id)) = (&mut push, asked.first()) {
                while let Some(content) = push.next(*event_id, self.chunk) {
                    self.send(instance_id, attach_request::Kind::Content(content))
                        .await;
                }
            }
            match timeout_at(until, self.frames.recv()).await {
                Ok(Some(Ok(frame))) => {
                    self.take(frame, instance_id, &asked, &mut answers, &mut push)
                        .await
                }
                Ok(_) => break,
                Err(_) => {
                    for event_id in asked
                        .iter()
                        .filter(|event_id| !answers.contains_key(event_id))
                    {
                        let reason = v1::CancelReason::Deadline.into();
                        let cancel = v1::Cancel {
                            event_id: *event_id,
                            reason,
                        };
                        self.send(instance_id, attach_request::Kind::Cancel(cancel))
                            .await;
                    }
                    break;
                }
            }
        }
        let none = || Err(Fault::internal("no verdict within the deadline"));
        asked
            .iter()
            .map(|event_id| answers.remove(event_id).unwrap_or_else(none))
            .collect()
    }

    async fn take(
        &mut self,
        frame: v1::AttachResponse,
        instance_id: u64,
        asked: &[u64],
        answers: &mut HashMap<u64, Result>,
        push: &mut Option<Push>,
    ) {
        use attach_response::Kind;
        match frame.kind {
            Some(Kind::Verdict(verdict)) => {
                answers.insert(verdict.event_id, Ok(Verdict::from_proto(verdict)));
            }
            Some(Kind::Fault(fault)) => {
                let events = if fault.event_id == 0 {
                    asked.to_vec()
                } else {
                    vec![fault.event_id]
                };
                for event_id in events {
                    answers.insert(
                        event_id,
                        Err(Fault::new(fault.kind(), fault.detail.clone())),
                    );
                }
            }
            Some(Kind::WantContent(want)) => {
                if let Some(push) = push {
                    push.credit += want.credit_bytes;
                }
            }
            Some(Kind::StopContent(_)) => {
                if let Some(push) = push {
                    push.stopped = true;
                }
            }
            Some(Kind::ReadContent(read)) => {
                let frames = push
                    .as_ref()
                    .map(|push| push.read(&read))
                    .unwrap_or_default();
                for content in frames {
                    self.send(instance_id, attach_request::Kind::Content(content))
                        .await;
                }
            }
            Some(Kind::Upload(upload)) => {
                let want = v1::WantUpload {
                    upload_id: upload.upload_id,
                    credit_bytes: upload.data.len() as u64,
                };
                self.uploads
                    .entry(upload.upload_id)
                    .or_default()
                    .extend_from_slice(&upload.data);
                self.send(instance_id, attach_request::Kind::WantUpload(want))
                    .await;
            }
            Some(Kind::Progress(progress)) => self.activities.push(progress.activity),
            // Nothing that a script acts on.
            Some(Kind::Ready(_) | Kind::Done(_) | Kind::Heartbeat(_) | Kind::GoAway(_)) | None => {}
        }
    }

    /// Ends the stream and waits for what still runs.
    pub(super) async fn finish(mut self) -> Vec<String> {
        drop(self.requests);
        while let Some(frame) = self.frames.recv().await {
            if let Ok(v1::AttachResponse {
                kind: Some(attach_response::Kind::Progress(progress)),
                ..
            }) = frame
            {
                self.activities.push(progress.activity);
            }
        }
        if let Err(error) = self.router.await {
            panic!("the router failed: {error}");
        }
        self.activities
    }

    async fn send(&self, instance_id: u64, kind: attach_request::Kind) {
        let frame = v1::AttachRequest {
            instance_id,
            kind: Some(kind),
        };
        if self.requests.send(Ok(frame)).await.is_err() {
            panic!("the router ended before the script");
        }
    }

    fn event_id(&mut self) -> u64 {
        let event_id = self.next_event_id;
        self.next_event_id += 1;
        event_id
    }
}

fn digest(octets: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(octets))
}
