//! One instance: a session or a message as one binding sees it, open on one stream.
//!
//! The instance numbers its events and knows which are open. What the sink says is matched here: the first
//! verdict for an open event counts; one for an event that was given up is dropped and counted; a second one, or
//! one for an event never asked, is the sink's failure and ends the instance.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use postern_message::MessageId;
use postern_proto::v1::attach_request::Kind as Outbound;
use postern_proto::v1::attach_response::Kind as Inbound;
use postern_proto::v1::{
    AttachRequest, BodyDepth, Cancel, CancelReason, Close, CloseReason, Done, EventKind,
    Fault as WireFault, FaultKind as WireKind, Ready, Verdict,
};

use crate::fault::{Fault, FaultKind};
use crate::feed::Feed;
use crate::mailbox::Mailbox;
use crate::stream::SinkStream;

/// Answered events that are remembered, to tell a second verdict from a late one.
const REMEMBERED: usize = 64;

/// A note to the task that drives a chain.
#[derive(Debug)]
pub(crate) struct Note {
    /// Which question of the chain it is about.
    pub(crate) ticket: Ticket,
    /// What the sink said, or what became of the stream.
    pub(crate) heard: Heard,
}

/// Names a question within its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// The member of the chain.
    pub(crate) member: usize,
    /// How often it was asked before.
    pub(crate) attempt: u32,
}

/// What became of a question.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A verdict, not checked yet.
    Verdict(Box<Verdict>),
    /// The sink is still at work.
    Progress,
    /// The sink failed, and said or showed so.
    Failed(Fault),
    /// The stream or its replica was lost: another one may be asked.
    Lost(Fault),
}

/// Who waits for the verdict of an event.
pub(crate) struct Question {
    /// Its name in the chain.
    pub(crate) ticket: Ticket,
    /// Where the answer goes.
    pub(crate) mailbox: Arc<Mailbox<Note>>,
    /// How the sink steers the content that belongs to it.
    pub(crate) feed: Option<Arc<Feed>>,
}

/// An open instance.
pub(crate) struct Instance {
    id: u64,
    stream: Arc<SinkStream>,
    state: parking_lot::Mutex<State>,
}

struct State {
    last_event: u64,
    open: Vec<(u64, Question)>,
    answered: VecDeque<u64>,
    given_up: u64,
    closed: bool,
    done: bool,
    done_with: Option<MessageId>,
    events: Option<Vec<i32>>,
    depth: Option<BodyDepth>,
    last_active: Instant,
}

impl Instance {
    pub(crate) fn new(id: u64, stream: Arc<SinkStream>) -> Self {
        let state = State {
            last_event: 0,
            open: Vec::new(),
            answered: VecDeque::new(),
            given_up: 0,
            closed: false,
            done: false,
            done_with: None,
            events: None,
            depth: None,
            last_active: Instant::now(),
        };
        Self {
            id,
            stream,
            state: parking_lot::Mutex::new(state),
        }
    }

    /// Its number on its stream.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The stream that carries it.
    pub(crate) fn stream(&self) -> &Arc<SinkStream> {
        &self.stream
    }

    /// It can be asked further.
    pub(crate) fn is_open(&self) -> bool {
        !self.state.lock().closed
    }

    /// No question is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().open.is_empty()
    }

    /// No question is open, and none was since `instant`.
    pub(crate) fn is_idle_since(&self, instant: Instant) -> bool {
        let state = self.state.lock();
        state.open.is_empty() && state.last_active <= instant
    }

    /// The sink said that it needs no event of this kind, or nothing further of this message or at all.
    pub(crate) fn declines(&self, kind: i32, message: Option<MessageId>) -> bool {
        let state = self.state.lock();
        state.done
            || (state.done_with.is_some() && state.done_with == message)
            || state
                .events
                .as_ref()
                .is_some_and(|events| !events.contains(&kind))
    }

    /// The depth of content to which the sink narrowed the binding's.
    pub(crate) fn narrowed_depth(&self) -> Option<BodyDepth> {
        self.state.lock().depth
    }

    /// Numbers the next event, and opens it if somebody waits for its verdict.
    pub(crate) fn next_event(&self, question: Option<Question>) -> u64 {
        let mut state = self.state.lock();
        state.last_event += 1;
        state.last_active = Instant::now();
        let id = state.last_event;
        if let Some(question) = question {
            state.open.push((id, question));
            self.stream.count_questions(1);
        }
        id
    }

    /// Nobody waits for this event any more. True if it was still open; the sink is told then.
    pub(crate) fn give_up(&self, event_id: u64, reason: CancelReason) -> bool {
        let taken = {
            let mut state = self.state.lock();
            let place = state.open.iter().position(|(id, _)| *id == event_id);
            if place.is_some() {
                state.given_up += 1;
            }
            place.map(|place| state.open.swap_remove(place).1)
        };
        let Some(question) = taken else { return false };
        self.stream.count_questions(-1);
        end_feed(&question);
        self.send(Outbound::Cancel(Cancel {
            event_id,
            reason: reason.into(),
        }));
        true
    }

    /// Ends the instance. Open questions are dropped without an answer.
    pub(crate) fn close(&self, reason: CloseReason) {
        let (open, clean, known) = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            state.closed = true;
            (
                std::mem::take(&mut state.open),
                state.given_up == 0,
                state.last_event > 0,
            )
        };
        let clean = clean && open.is_empty();
        for (_, question) in &open {
            end_feed(question);
        }
        self.stream.count_questions(-(open.len() as isize));
        // Open goes with the first event: without one the sink has never heard of the instance.
        if known {
            let close = Outbound::Close(Close {
                reason: reason.into(),
            });
            self.stream.send_at_leisure(AttachRequest {
                instance_id: self.id,
                kind: Some(close),
            });
        }
        self.stream.forget(self.id, clean);
    }

    /// The stream was lost, with everything on it.
    pub(crate) fn lost(&self, fault: &Fault) {
        self.state.lock().closed = true;
        self.answer_all(|| Heard::Lost(fault.clone()));
    }

    /// Takes in one frame of the sink. False if it broke the protocol: the instance has ended then.
    pub(crate) fn receive(&self, kind: Option<Inbound>) -> Reception {
        match kind {
            Some(Inbound::Verdict(verdict)) => self.verdict(verdict),
            Some(Inbound::Fault(fault)) => self.fault(&fault),
            Some(Inbound::Progress(progress)) => {
                self.with_open(progress.event_id, |question| {
                    let ticket = question.ticket;
                    let like = |note: &Note| {
                        note.ticket == ticket && matches!(note.heard, Heard::Progress)
                    };
                    question.mailbox.put_once(
                        Note {
                            ticket,
                            heard: Heard::Progress,
                        },
                        like,
                    );
                });
                Reception::Fine
            }
            Some(Inbound::WantContent(want)) => {
                self.steer(want.event_id, |feed| feed.grant(want.credit_bytes));
                Reception::Fine
            }
            Some(Inbound::StopContent(stop)) => {
                self.steer(stop.event_id, Feed::stop);
                Reception::Fine
            }
            Some(Inbound::ReadContent(read)) => {
                let mut taken = true;
                self.steer(read.event_id, |feed| taken = feed.ask(read));
                if taken {
                    Reception::Fine
                } else {
                    self.broken("too many reads of content are open")
                }
            }
            Some(Inbound::Ready(ready)) => {
                self.ready(ready);
                Reception::Fine
            }
            Some(Inbound::Done(done)) => {
                self.done(&done);
                Reception::Fine
            }
            Some(Inbound::Heartbeat(_)) => Reception::Fine,
            Some(Inbound::Upload(_)) => {
                self.broken("uploads are not in this version; put the octets into the verdict")
            }
            Some(Inbound::GoAway(_)) => {
                self.broken("GoAway is about a stream, and has instance_id 0")
            }
            None => self.broken("a frame of a kind that this version does not know"),
        }
    }

    fn verdict(&self, verdict: Verdict) -> Reception {
        let event_id = verdict.event_id;
        let question = {
            let mut state = self.state.lock();
            state.last_active = Instant::now();
            match state.open.iter().position(|(id, _)| *id == event_id) {
                Some(place) => {
                    if state.answered.len() == REMEMBERED {
                        state.answered.pop_front();
                    }
                    state.answered.push_back(event_id);
                    Ok(state.open.swap_remove(place).1)
                }
                None if state.answered.contains(&event_id) => {
                    Err(Some("a second verdict for one event"))
                }
                None if event_id == 0 || event_id > state.last_event => {
                    Err(Some("a verdict for an event that was never asked"))
                }
                None => {
                    state.given_up = state.given_up.saturating_sub(1);
                    Err(None)
                }
            }
        };
        match question {
            Ok(question) => {
                self.stream.count_questions(-1);
                self.stream.replica().heard();
                end_feed(&question);
                question.mailbox.put(Note {
                    ticket: question.ticket,
                    heard: Heard::Verdict(Box::new(verdict)),
                });
                Reception::Fine
            }
            Err(None) => Reception::Late,
            Err(Some(broken)) => self.broken(broken),
        }
    }

    fn fault(&self, fault: &WireFault) -> Reception {
        let kind = match WireKind::try_from(fault.kind) {
            Ok(WireKind::Overload) => FaultKind::Overload,
            Ok(WireKind::Unavailable) => FaultKind::Unreachable,
            _ => FaultKind::Fault,
        };
        let detail: String = fault
            .detail
            .chars()
            .filter(|c| !c.is_control())
            .take(4096)
            .collect();
        let said = Fault::new(kind, format!("the sink says: {detail}"));
        if fault.event_id == 0 {
            self.end(&said, CloseReason::BySink);
            return Reception::Fine;
        }
        let question = {
            let mut state = self.state.lock();
            let place = state.open.iter().position(|(id, _)| *id == fault.event_id);
            place.map(|place| state.open.swap_remove(place).1)
        };
        let Some(question) = question else {
            return Reception::Late;
        };
        self.stream.count_questions(-1);
        self.stream.replica().heard();
        end_feed(&question);
        question.mailbox.put(Note {
            ticket: question.ticket,
            heard: Heard::Failed(said),
        });
        Reception::Fine
    }

    fn ready(&self, ready: Ready) {
        let mut state = self.state.lock();
        if !ready.events.is_empty() {
            // What it names twice or does not exist is not kept.
            let mut events: Vec<i32> = ready
                .events
                .into_iter()
                .filter(|kind| EventKind::try_from(*kind).is_ok())
                .collect();
            events.sort_unstable();
            events.dedup();
            events.shrink_to_fit();
            state.events = Some(events);
        }
        if ready.body.is_some() {
            state.depth = ready.body;
        }
    }

    fn done(&self, done: &Done) {
        let mut state = self.state.lock();
        match <[u8; 16]>::try_from(done.message_id.as_ref()) {
            Ok(id) => state.done_with = Some(MessageId::from_bytes(id)),
            Err(_) => state.done = true,
        }
    }

    fn broken(&self, detail: &str) -> Reception {
        let fault = Fault::protocol(detail);
        self.end(&fault, CloseReason::Protocol);
        Reception::Broken(fault)
    }

    /// Ends the instance with every open question answered by this fault.
    fn end(&self, fault: &Fault, reason: CloseReason) {
        self.answer_all(|| Heard::Failed(fault.clone()));
        self.close(reason);
    }

    fn answer_all(&self, heard: impl Fn() -> Heard) {
        let open = std::mem::take(&mut self.state.lock().open);
        self.stream.count_questions(-(open.len() as isize));
        for (_, question) in open {
            end_feed(&question);
            question.mailbox.put(Note {
                ticket: question.ticket,
                heard: heard(),
            });
        }
    }

    fn with_open(&self, event_id: u64, act: impl FnOnce(&Question)) {
        let state = self.state.lock();
        if let Some((_, question)) = state.open.iter().find(|(id, _)| *id == event_id) {
            act(question);
        }
    }

    fn steer(&self, event_id: u64, act: impl FnOnce(&Feed)) {
        self.with_open(event_id, |question| {
            if let Some(feed) = &question.feed {
                act(feed);
            }
        });
    }

    fn send(&self, kind: Outbound) {
        self.stream.send_in_any_case(AttachRequest {
            instance_id: self.id,
            kind: Some(kind),
        });
    }
}

/// What became of a frame.
#[derive(Debug)]
pub(crate) enum Reception {
    /// It was taken.
    Fine,
    /// It was about something that nobody waits for any more.
    Late,
    /// It broke the protocol.
    Broken(Fault),
}

fn end_feed(question: &Question) {
    if let Some(feed) = &question.feed {
        feed.end();
    }
}
