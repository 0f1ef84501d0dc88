//! The shell around a [`Link`]: drives one stream and runs its handlers.
//!
//! It is itself the stream of answers, so that a frame, its handler and the answer are one poll where the handler is
//! quick. Handlers that wait or compute become tasks.

mod judge;
mod moving;
mod seat;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::{debug, warn};

use self::judge::Judged;
use self::moving::Moving;
use self::seat::{Seat, Work};
use crate::Fault;
use crate::call::{Call, Context as InstanceContext, Subject};
use crate::check::Grants;
use crate::commands::{Command, Commands};
use crate::event::About;
use crate::link::{Link, LinkEvent, LinkSettings, Opening};
use crate::message::{Feed, INITIAL_CREDIT, Slot};
use crate::picture::Picture;
use crate::sink::Ready;
use crate::v1::{self, FaultKind, event};
use crate::workers::Workers;

/// How long handlers of one-way events may go on when the stream has ended.
const AFTERMATH: Duration = Duration::from_secs(10);

/// Steps that one poll may take before others have their turn.
const STEPS: usize = 256;

/// What a driver is told from outside: that the sink drains, and how long that may take.
pub(crate) type Drain = watch::Receiver<Option<Duration>>;

/// How a stream is driven.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    /// Verdicts are checked before they are sent. The test kit checks them itself.
    pub(crate) checks: bool,
}

/// What a binding's properties came to, and what it grants.
type Prepared = Result<(Arc<dyn std::any::Any + Send + Sync>, Arc<Grants>), Fault>;

pub(crate) struct Driver<R> {
    sink: Arc<Ready>,
    workers: Arc<Workers>,
    manner: Manner,
    link: Link,
    requests: Option<R>,
    commands: Commands,
    asked: mpsc::Receiver<(u64, Command)>,
    running: JoinSet<Judged>,
    seats: HashMap<u64, Seat>,
    prepared: HashMap<u64, Prepared>,
    extensions: HashMap<(u64, u64), oneshot::Sender<Duration>>,
    actions: HashMap<(u64, u64), mpsc::Sender<v1::ActionResult>>,
    drained: Option<BoxFuture<'static, Option<Duration>>>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Until when leftovers may run.
    last: Option<Instant>,
    /// Instances whose next event may be able to start.
    startable: Vec<u64>,
    next_token: u64,
}

impl<R, E> Driver<R>
where
    R: Stream<Item = Result<v1::AttachRequest, E>> + Unpin,
    E: std::fmt::Display,
{
    pub(crate) fn new(
        sink: Arc<Ready>,
        workers: Arc<Workers>,
        manner: Manner,
        requests: R,
        drain: Drain,
    ) -> Self {
        let (commands, asked) = Commands::new();
        let settings = LinkSettings {
            initial_credit: INITIAL_CREDIT.into(),
            ..LinkSettings::default()
        };
        Self {
            sink,
            workers,
            manner,
            link: Link::new(settings),
            requests: Some(requests),
            commands,
            asked,
            running: JoinSet::new(),
            seats: HashMap::new(),
            prepared: HashMap::new(),
            extensions: HashMap::new(),
            actions: HashMap::new(),
            drained: Some(Box::pin(drained(drain))),
            timer: None,
            last: None,
            startable: Vec::new(),
            next_token: 0,
        }
    }

    /// Does one thing. False: there is nothing to do.
    fn step(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(event) = self.link.poll_event() {
            self.happened(event, context);
            return true;
        }
        if let Some(instance_id) = self.startable.pop() {
            self.start(instance_id, context);
            return true;
        }
        if let Poll::Ready(Some(joined)) = self.running.poll_join_next(context) {
            // An error is a handler that was cancelled: its seat knows already.
            if let Ok(judged) = joined {
                self.judged(judged);
            }
            return true;
        }
        if let Poll::Ready(Some((instance_id, command))) = self.asked.poll_recv(context) {
            self.command(instance_id, command);
            return true;
        }
        if let Some(requests) = &mut self.requests
            && let Poll::Ready(frame) = Pin::new(requests).poll_next(context)
        {
            match frame {
                Some(Ok(frame)) => self.link.handle_frame(Instant::now().into_std(), frame),
                end => self.stream_ended(end.and_then(Result::err)),
            }
            return true;
        }
        if let Some(drained) = &mut self.drained
            && let Poll::Ready(drain) = drained.as_mut().poll(context)
        {
            self.drained = None;
            if drain.is_some() {
                let reason = "the sink shuts down";
                self.link.go_away(Instant::now().into_std(), drain, reason);
            }
            return true;
        }
        self.time(context)
    }

    fn time(&mut self, context: &mut Context<'_>) -> bool {
        let due = match self.last {
            Some(last) => Some(last),
            None => self.link.poll_timeout().map(Instant::from_std),
        };
        let Some(due) = due else {
            self.timer = None;
            return false;
        };
        if self.timer.as_ref().is_none_or(|(at, _)| *at != due) {
            self.timer = Some((due, Box::pin(sleep_until(due))));
        }
        let Some((_, sleep)) = &mut self.timer else {
            return false;
        };
        if sleep.as_mut().poll(context).is_pending() {
            return false;
        }
        self.timer = None;
        if self.last.take().is_some() {
            warn!(
                count = self.running.len(),
                "handlers that outlived their stream are dropped"
            );
            self.running.abort_all();
            self.seats.clear();
        }
        self.link.handle_timeout(Instant::now().into_std());
        true
    }

    fn stream_ended(&mut self, error: Option<E>) {
        if let Some(status) = error {
            debug!(%status, "the gateway broke the stream off");
        }
        self.requests = None;
        self.link.handle_end();
        self.last = Some(Instant::now() + AFTERMATH);
    }

    /// Whether all is said and done.
    fn is_over(&self) -> bool {
        let idle = self.running.is_empty() && self.seats.values().all(Seat::is_idle);
        self.link.is_finished() && (idle || self.requests.is_some())
    }

    fn happened(&mut self, happened: LinkEvent, context: &mut Context<'_>) {
        match happened {
            LinkEvent::Opened {
                instance_id,
                opening,
            } => self.open(instance_id, opening),
            LinkEvent::Event {
                instance_id,
                event,
                picture,
                awaited,
                message_ended,
            } => {
                if let Some(seat) = self.seats.get_mut(&instance_id) {
                    if message_ended {
                        seat.message_states = Arc::default();
                    }
                    self.event(instance_id, event, picture, awaited);
                    self.start(instance_id, context);
                }
            }
            LinkEvent::Content {
                instance_id,
                content,
            } => {
                let seat = self.seats.get(&instance_id);
                if let Some(feed) = seat.and_then(|seat| seat.feeds.get(&content.event_id)) {
                    feed.push(content);
                }
            }
            LinkEvent::Cancelled {
                instance_id,
                event_id,
                ..
            } => {
                self.extensions.remove(&(instance_id, event_id));
                if let Some(seat) = self.seats.get_mut(&instance_id) {
                    seat.cancel(event_id);
                    self.start(instance_id, context);
                }
            }
            LinkEvent::Settled {
                instance_id,
                settled,
                picture,
            } => {
                self.settled(instance_id, settled, picture);
                self.start(instance_id, context);
            }
            LinkEvent::Extended {
                instance_id,
                event_id,
                remaining,
            } => {
                if let Some(granted) = self.extensions.remove(&(instance_id, event_id)) {
                    // The handler may have stopped waiting.
                    _ = granted.send(remaining);
                }
            }
            LinkEvent::UploadCredit {
                instance_id,
                upload_id,
                credit_bytes,
            } => {
                if let Some(seat) = self.seats.get(&instance_id) {
                    judge::credit(&seat.context, upload_id, credit_bytes);
                }
            }
            LinkEvent::UploadStopped {
                instance_id,
                upload_id,
                detail,
            } => {
                warn!(
                    instance_id,
                    upload_id, detail, "the gateway does not take an upload"
                );
                if let Some(seat) = self.seats.get(&instance_id) {
                    judge::stop_upload(&seat.context, upload_id);
                }
            }
            LinkEvent::ActionResult {
                instance_id,
                result,
            } => self.action_result(instance_id, *result),
            LinkEvent::Closed {
                instance_id,
                reason,
                detail,
            } => {
                if reason == v1::CloseReason::ProtocolError {
                    warn!(
                        instance_id,
                        detail, "the gateway says that this sink broke the protocol"
                    );
                }
                self.close(instance_id);
                self.start(instance_id, context);
            }
            LinkEvent::Broken {
                instance_id,
                detail,
            } => {
                warn!(instance_id, detail, "the gateway broke the protocol");
                self.close(instance_id);
            }
            LinkEvent::GoingAway { reason } => debug!(reason, "the gateway wants to stop"),
        }
    }

    fn open(&mut self, instance_id: u64, opening: Box<Opening>) {
        let sink = &self.sink;
        let prepared = self
            .prepared
            .entry(opening.binding.revision)
            .or_insert_with(|| prepare(sink, &opening));
        let (properties, grants) = match prepared {
            Ok(prepared) => prepared.clone(),
            Err(fault) => {
                warn!(?fault, "an instance cannot be opened");
                let fault = fault.clone().into_proto(0);
                self.link
                    .fault(Instant::now().into_std(), instance_id, fault);
                return;
            }
        };
        let context = InstanceContext {
            instance_id,
            sink_name: opening.binding.binding.sink.as_str().into(),
            opening,
            grants,
            properties,
            states: Default::default(),
            commands: self.commands.clone(),
            uploads: Default::default(),
            carried: Arc::clone(&self.sink.carried),
        };
        self.seats.insert(instance_id, Seat::new(context));
    }

    fn event(
        &mut self,
        instance_id: u64,
        mut event: Box<v1::Event>,
        picture: Picture,
        awaited: bool,
    ) {
        let Some(seat) = self.seats.get_mut(&instance_id) else {
            return;
        };
        let about = About::of(&event);
        let event_id = event.event_id;
        let refused =
            |detail: &str| Fault::new(FaultKind::UnknownEvent, detail).into_proto(event_id);
        let Some(kind) = event.kind.take() else {
            if awaited {
                let fault = refused("an event of a later protocol version");
                self.link
                    .fault(Instant::now().into_std(), instance_id, fault);
            }
            return;
        };
        let happened = postern_proto::rules::event_kind(&kind);
        let Some(registered) = self.sink.handlers.get(&happened) else {
            if awaited {
                let fault = refused("the sink did not ask for this event");
                self.link
                    .fault(Instant::now().into_std(), instance_id, fault);
            }
            return;
        };
        let depth = event.content.take().and_then(|depth| depth.kind);
        let content = depth.map(|depth| (Feed::new(), depth));
        if let Some((feed, _)) = &content
            && awaited
        {
            seat.feeds.insert(event_id, Arc::clone(feed));
        }
        let mut group = (1, 1);
        let subject = match kind {
            event::Kind::InboundRcpt(rcpt) if registered.grouped => {
                if !about.replayed {
                    group = (rcpt.group_position.max(1), rcpt.group_size.max(1));
                }
                Subject::Group(vec![(about.clone(), *rcpt)])
            }
            kind => Subject::Event(Box::new(kind)),
        };
        let call = Call {
            context: Arc::clone(&seat.context),
            message_states: Arc::clone(&seat.message_states),
            picture,
            about,
            attributes: std::mem::take(&mut event.attributes),
            subject,
            content,
            slot: Arc::<Slot>::default(),
        };
        let work = Work {
            call,
            event: Some(happened),
            registered: Arc::clone(registered),
            event_ids: vec![event_id],
            awaited,
        };
        if let Err(overload) = seat.take(work, group) {
            warn!(instance_id, "too many events of one instance wait");
            for event_id in overload {
                let fault =
                    Fault::overload("too many events of this instance wait").into_proto(event_id);
                self.link
                    .fault(Instant::now().into_std(), instance_id, fault);
            }
        }
    }

    fn settled(&mut self, instance_id: u64, settled: v1::Settled, picture: Picture) {
        let (Some(seat), Some(registered)) = (self.seats.get_mut(&instance_id), &self.sink.settled)
        else {
            return;
        };
        let call = Call {
            context: Arc::clone(&seat.context),
            message_states: Arc::clone(&seat.message_states),
            picture,
            about: About {
                event_id: settled.event_id,
                ..About::default()
            },
            attributes: Vec::new(),
            subject: Subject::Settled(settled),
            content: None,
            slot: Arc::default(),
        };
        let work = Work {
            call,
            event: None,
            registered: Arc::clone(registered),
            event_ids: Vec::new(),
            awaited: false,
        };
        if seat.take(work, (1, 1)).is_err() {
            warn!(
                instance_id,
                "what became of a verdict was dropped: too many events of its instance wait"
            );
        }
    }

    /// Starts what an instance has to do and may do now.
    fn start(&mut self, instance_id: u64, context: &mut Context<'_>) {
        loop {
            let Some(seat) = self.seats.get_mut(&instance_id) else {
                return;
            };
            let Some(work) = seat.next() else {
                if seat.is_over() {
                    self.seats.remove(&instance_id);
                }
                return;
            };
            self.next_token += 1;
            let token = self.next_token;
            let (event_ids, awaited) = (work.event_ids.clone(), work.awaited);
            let (pace, body) = (Arc::clone(&work.registered.pace), work.body());
            let judging = judge::run(work, Arc::clone(&self.sink), self.manner, token);
            let elsewhere = match pace.is_quick() {
                true => None,
                false => self.workers.handle(),
            };
            let task = match elsewhere {
                Some(threads) => self.running.spawn_on(judging, threads),
                None => {
                    let mut judging = Moving::new(judging, body, &self.workers);
                    match judging.poll_unpin(context) {
                        Poll::Ready(judged) => {
                            seat.began(token, event_ids, awaited, None);
                            self.judged(judged);
                            continue;
                        }
                        Poll::Pending => self.running.spawn(judging),
                    }
                }
            };
            if let Some(seat) = self.seats.get_mut(&instance_id) {
                seat.began(token, event_ids, awaited, Some(task));
            }
        }
    }

    fn judged(&mut self, judged: Judged) {
        // What the handler asked for before it ended goes before its answer: uploads above all.
        while let Ok((instance_id, command)) = self.asked.try_recv() {
            self.command(instance_id, command);
        }
        let Judged {
            instance_id,
            token,
            answers,
        } = judged;
        let Some(seat) = self.seats.get_mut(&instance_id) else {
            return;
        };
        if !seat.ended(token) {
            // It was cancelled while its answer was on the way.
            return;
        }
        let now = Instant::now().into_std();
        for (event_id, answer) in answers {
            seat.feeds.remove(&event_id);
            self.extensions.remove(&(instance_id, event_id));
            match answer {
                Ok(verdict) => self.link.verdict(now, instance_id, verdict),
                Err(fault) => self
                    .link
                    .fault(now, instance_id, fault.into_proto(event_id)),
            };
        }
        self.startable.push(instance_id);
    }

    fn command(&mut self, instance_id: u64, command: Command) {
        match command {
            Command::Progress(progress, granted) => {
                if let Some(granted) = granted
                    && self.link.is_open(instance_id, progress.event_id)
                {
                    self.extensions
                        .insert((instance_id, progress.event_id), granted);
                }
                self.link.progress(instance_id, progress);
            }
            Command::Ready(ready) => self.link.ready(instance_id, ready),
            Command::Done(done) => self.link.done(instance_id, done),
            Command::WantContent(want) => self.link.want_content(instance_id, want),
            Command::StopContent(stop) => self.link.stop_content(instance_id, stop),
            Command::ReadContent(read) => self.link.read_content(instance_id, read),
            Command::Upload(upload) => self.link.upload(instance_id, upload),
            Command::Act(action, results) => {
                let action_id = action.action_id;
                if self.link.act(instance_id, action) {
                    self.actions.insert((instance_id, action_id), results);
                }
            }
        }
    }

    fn action_result(&mut self, instance_id: u64, result: v1::ActionResult) {
        let key = (instance_id, result.action_id);
        let more = result.more_follows;
        if let Some(results) = self.actions.get(&key) {
            // One that does not read its results has no use for them.
            drop(results.try_send(result));
        }
        if !more {
            self.actions.remove(&key);
        }
    }

    fn close(&mut self, instance_id: u64) {
        self.extensions.retain(|(of, _), _| *of != instance_id);
        self.actions.retain(|(of, _), _| *of != instance_id);
        if let Some(seat) = self.seats.get_mut(&instance_id) {
            seat.close();
            if seat.is_over() {
                self.seats.remove(&instance_id);
            }
        }
    }
}

impl<R, E> Stream for Driver<R>
where
    R: Stream<Item = Result<v1::AttachRequest, E>> + Unpin,
    E: std::fmt::Display,
{
    type Item = v1::AttachResponse;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<v1::AttachResponse>> {
        let this = &mut *self;
        for _ in 0..STEPS {
            if let Some(frame) = this.link.poll_transmit() {
                return Poll::Ready(Some(frame));
            }
            if this.is_over() {
                return Poll::Ready(None);
            }
            if !this.step(context) {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R> Drop for Driver<R> {
    /// The gateway is gone without an end of the stream: nobody waits for answers, but what was told is heard out.
    fn drop(&mut self) {
        for seat in self.seats.values_mut() {
            seat.close();
        }
        if self.running.is_empty() {
            return;
        }
        let mut running = std::mem::take(&mut self.running);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move {
                let rest = async { while running.join_next().await.is_some() {} };
                if tokio::time::timeout(AFTERMATH, rest).await.is_err() {
                    warn!("handlers that outlived their stream are dropped");
                }
            }));
        }
    }
}

/// Resolves when the sink drains. None: it never will.
async fn drained(mut drain: Drain) -> Option<Duration> {
    if drain.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
    *drain.borrow()
}

fn prepare(sink: &Ready, opening: &Opening) -> Prepared {
    let binding = &opening.binding.binding;
    let grants = Arc::new(Grants::of(&binding.grants));
    let properties = sink.needs.read_properties(&binding.properties_json);
    match properties {
        Ok(properties) => Ok((properties, grants)),
        Err(problem) => Err(Fault::properties(format!(
            "binding {}: {problem}",
            binding.name
        ))),
    }
}
