//! A binding in one scope: its instance at the sink, what that was told, and what is put to it next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use postern_attach::{BodyDepth, Ending, MessageId, News, Opening, WireBinding};
use postern_events::context::Context;
use postern_events::encode::EncodedEvent;
use postern_events::event::EventKind;
use postern_events::fault::Fault;
use postern_events::judge;
use postern_events::picture::{Encodings, Picture, Place};
use postern_events::plan::Binding;
use postern_events::question::Question;
use postern_proto::v1 as pb;
use prost::Message as _;

use crate::attached::Attached;
use crate::sink::{Begin, Command, SinkHandle};

/// Numbers for instances and questions. None is used twice in a process.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// The next number for an instance or a question.
pub(crate) fn next_number() -> u64 {
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// What is the same for all instances of a scope.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) scope: pb::Scope,
    /// The session or message, for logs.
    pub(crate) name: Arc<str>,
    /// What names the trace: the id of the session or message.
    pub(crate) trace: Option<[u8; 16]>,
}

/// One binding in one scope.
pub(crate) struct Attachment {
    binding: Arc<Binding>,
    wire: Arc<WireBinding>,
    limits: Arc<pb::Limits>,
    sink: Arc<SinkHandle>,
    picture: Picture,
    current: Option<Arc<Attached>>,
    /// The sink needs nothing further of this session or message.
    done: bool,
    /// Questions that are asked and not answered.
    open: Vec<Question>,
}

/// Something that is ready to be put to an instance.
pub(crate) struct Prepared {
    pub(crate) attached: Arc<Attached>,
    /// Set if the instance is new.
    pub(crate) begin: Option<Box<Begin>>,
    /// What is told in front.
    pub(crate) told: Vec<News>,
    pub(crate) events: Vec<EncodedEvent>,
}

/// Why nothing is put to the sink.
pub(crate) enum Unasked {
    /// The sink does not want the event.
    Declined,
    /// It cannot be asked.
    Fault(Fault),
}

impl Attachment {
    pub(crate) fn new(
        binding: Arc<Binding>,
        wire: Arc<WireBinding>,
        limits: Arc<pb::Limits>,
        sink: Arc<SinkHandle>,
    ) -> Self {
        Self {
            binding,
            wire,
            limits,
            sink,
            picture: Picture::new(),
            current: None,
            done: false,
            open: Vec::new(),
        }
    }

    pub(crate) const fn binding(&self) -> &Arc<Binding> {
        &self.binding
    }

    pub(crate) const fn sink(&self) -> &Arc<SinkHandle> {
        &self.sink
    }

    /// Encodes questions for the instance, a group if there are several, and what opens a new one if there is none.
    pub(crate) fn prepare(
        &mut self,
        questions: &[&Question],
        context: &Context,
        subject: &Subject,
        encodings: &mut Encodings,
    ) -> Result<Prepared, Unasked> {
        let message = context.message_id().map(|id| *id.as_bytes());
        let kind = questions.first().map(|question| question.kind());
        if !kind.is_some_and(|kind| self.wants(kind, message)) {
            return Err(Unasked::Declined);
        }
        let (attached, begin) = self
            .attach(questions, context, subject, message, encodings)
            .map_err(Unasked::Fault)?;
        let told = self
            .waiting(context, subject, encodings)
            .map_err(Unasked::Fault)?;
        // RCPTs that go in one go are a group; the questions before them are not of it.
        let of_group = |question: &Question| question.kind() == EventKind::InboundRcpt;
        let size = questions.iter().filter(|one| of_group(one)).count();
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        let mut position = 0;
        let mut events = Vec::with_capacity(questions.len());
        for question in questions {
            let place = if of_group(question) {
                position += 1;
                Place { position, size }
            } else {
                Place::ALONE
            };
            let event = self
                .picture
                .event(question, context, &self.binding, place, encodings);
            events.push(event.map_err(Unasked::Fault)?);
        }
        Ok(Prepared {
            attached,
            begin,
            told,
            events,
        })
    }

    /// Encodes an event that is told at once.
    pub(crate) fn prepare_news(
        &mut self,
        question: &Question,
        context: &Context,
        subject: &Subject,
        encodings: &mut Encodings,
    ) -> Result<(Prepared, News), Unasked> {
        let mut prepared = self.prepare(&[question], context, subject, encodings)?;
        let message = context.message_id().map(|id| *id.as_bytes());
        match prepared.events.pop() {
            Some(event) => {
                let news = self.news(event, false, message, subject);
                Ok((prepared, news))
            }
            None => Err(Unasked::Declined),
        }
    }

    /// Encodes what waits to be told.
    fn waiting(
        &mut self,
        context: &Context,
        subject: &Subject,
        encodings: &mut Encodings,
    ) -> Result<Vec<News>, Fault> {
        if !self.picture.has_waiting() {
            return Ok(Vec::new());
        }
        let message = context.message_id().map(|id| *id.as_bytes());
        let waiting = self.picture.waiting(context, &self.binding, encodings)?;
        let news = waiting
            .into_iter()
            .map(|event| self.news(event, false, message, subject));
        Ok(news.collect())
    }

    /// The transaction is over.
    pub(crate) fn transaction_ended(&mut self) {
        self.picture.transaction_ended();
    }

    /// Keeps an event that is to be told with the next question.
    pub(crate) fn wait(&mut self, question: &Question) {
        if !self.done {
            self.picture.wait(question);
        }
    }

    /// The instance, or a new one.
    fn attach(
        &mut self,
        questions: &[&Question],
        context: &Context,
        subject: &Subject,
        message: Option<MessageId>,
        encodings: &mut Encodings,
    ) -> Result<(Arc<Attached>, Option<Box<Begin>>), Fault> {
        if let Some(current) = &self.current
            && current.ending().is_none()
        {
            return Ok((Arc::clone(current), None));
        }
        let open: Vec<&Question> = self.open.iter().chain(questions.iter().copied()).collect();
        let opening = self
            .picture
            .open(context, &self.binding, &open, encodings)?;
        let attached = Arc::new(Attached::new(next_number(), Arc::clone(&self.binding)));
        let begin = Begin {
            bulky: self.is_bulky(),
            avoid: self.current.as_ref().and_then(|before| before.avoid()),
            opening: Opening {
                scope: subject.scope,
                binding: Arc::clone(&self.wire),
                limits: Arc::clone(&self.limits),
                snapshot: opening.snapshot,
                reopened_count: opening.reopened_count,
                trace_parent: subject.trace_parent(),
                trace_state: String::new(),
                message,
                subject: Arc::clone(&subject.name),
                tag: attached.key,
            },
            replayed: opening
                .replayed
                .into_iter()
                .map(|event| self.news(event, true, message, subject))
                .collect(),
        };
        self.current = Some(Arc::clone(&attached));
        Ok((attached, Some(Box::new(begin))))
    }

    fn news(
        &self,
        event: EncodedEvent,
        replayed: bool,
        message: Option<MessageId>,
        subject: &Subject,
    ) -> News {
        News {
            event,
            replayed,
            ask_reason: pb::AskReason::Happened,
            attributes: Bytes::new(),
            trace_parent: subject.trace_parent(),
            message,
        }
    }

    /// The attributes that the operator shows with a question, encoded.
    pub(crate) fn attributes(
        &self,
        context: &Context,
        question: &Question,
    ) -> Result<Bytes, Fault> {
        if self.binding.attributes.is_empty() {
            return Ok(Bytes::new());
        }
        let attributes = judge::attributes(&self.binding.attributes, context, question)?;
        let event = pb::Event {
            attributes,
            ..pb::Event::default()
        };
        Ok(event.encode_to_vec().into())
    }

    /// Whether the sink wants the event, as far as is known.
    fn wants(&mut self, event: EventKind, message: Option<MessageId>) -> bool {
        if let Some(current) = &self.current {
            self.done |= current.ending() == Some(Ending::Done);
            return !self.done && current.wants(event, message);
        }
        !self.done
    }

    /// A question is open.
    pub(crate) fn asked(&mut self, question: &Question) {
        self.open.push(question.clone());
    }

    /// A question is not open any more.
    pub(crate) fn over(&mut self, question: &Question) {
        self.open.retain(|open| !open.is_same_as(question));
    }

    /// Other questions than this one are open.
    pub(crate) fn has_others(&self, question: &Question) -> bool {
        self.open.iter().any(|open| !open.is_same_as(question))
    }

    /// Gives this instance up, so that the next question opens another one elsewhere, unless that has been done.
    pub(crate) fn detach(&mut self, from: &Arc<Attached>) {
        if let Some(current) = self.current.take_if(|current| Arc::ptr_eq(current, from))
            && current.ending().is_none()
        {
            self.send_close(&current, Vec::new(), pb::CloseReason::Parked);
        }
    }

    /// The scope is over: what waits to be told is told, and the instance ends.
    pub(crate) fn close(
        &mut self,
        context: &Context,
        subject: &Subject,
        encodings: &mut Encodings,
    ) {
        if let Some(current) = self.current.take()
            && current.ending().is_none()
        {
            // What does not fit into a frame is not told.
            let told = self
                .waiting(context, subject, encodings)
                .unwrap_or_default();
            self.send_close(&current, told, pb::CloseReason::Finished);
        }
    }

    fn send_close(&self, attached: &Attached, told: Vec<News>, reason: pb::CloseReason) {
        let key = attached.key;
        // A task that is so far behind that it takes no command ends the instance with its stream.
        let _stuck = self
            .sink
            .send(Command::Close { key, told, reason })
            .is_err();
    }

    /// How much of the content the binding is shown at an event.
    pub(crate) fn depth(&self, event: EventKind) -> Option<BodyDepth> {
        use postern_events::plan::BodyDepth as Own;
        match self.binding.depth(event) {
            Own::None => None,
            Own::Headers => Some(BodyDepth::Headers),
            Own::Prefix(octets) => Some(BodyDepth::Prefix(octets)),
            Own::Full => Some(BodyDepth::Full),
            Own::OnDemand => Some(BodyDepth::OnDemand),
        }
    }

    /// Whether the instance may be shown whole bodies, now or later.
    fn is_bulky(&self) -> bool {
        let deep = |depth| !matches!(depth, None | Some(BodyDepth::Headers));
        let mut events = self.binding.events.iter();
        events.any(|bound| deep(self.depth(bound.event)))
    }
}

impl Subject {
    /// A `traceparent` for a new span of the subject's trace. Empty: it has none.
    pub(crate) fn trace_parent(&self) -> String {
        self.trace
            .as_ref()
            .map_or_else(String::new, crate::trace_context::trace_parent)
    }
}
