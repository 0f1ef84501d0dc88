//! One message on its way in: its questions, and its content on the way to the sinks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use postern_events::budget::Budget;
use postern_events::context::Context;
use postern_events::event::EventKind;
use postern_events::inbound::{Headers, Message};
use postern_events::order::Orders;
use postern_events::plan::Stage;
use postern_events::question::Question;
use postern_events::ruling::{Decision, FinishScope, Ruling};
use postern_message::{Draft, Envelope, HeaderSection, MessageId, Properties, Version};
use postern_smtp::address::ReversePath;
use postern_smtp::reply::Reply;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::content::Content;
use crate::run::{Begin, Run};
use crate::scope::Scope;

/// A message whose header section is complete.
pub struct IncomingMessage {
    /// Its id: that of MAIL.
    pub message_id: MessageId,
    /// Its header section.
    pub headers: HeaderSection,
    /// Its octets, header section included, as they arrive. [`Content::end`] must be known before
    /// [`MessageExchange::finish`] is called.
    pub content: Arc<dyn Content>,
}

/// What the bindings made of a message.
#[derive(Clone, Debug)]
pub struct MessageRuling {
    /// What was decided. For `Hold`, `Quarantine` and `Postpone`, `event` and `by` name where to ask from again. Branches
    /// that fare differently are in it.
    pub ruling: Ruling,
    /// Envelope, recipients, properties and content with all applied edits. Its version is closed if the content
    /// has ended.
    pub draft: Draft,
    /// What sinks ordered beside edits.
    pub orders: Orders,
    /// Bindings that failed on it and were passed over.
    pub skipped: Vec<String>,
    /// Where the message is to be judged again, by itself or when it is released: the bindings that have had their say at
    /// that event.
    pub passed: Vec<String>,
}

impl MessageRuling {
    /// What a scope's message has become.
    pub(crate) fn of(scope: &Scope, ruling: Ruling) -> Self {
        let passed = Self::passed(scope, &ruling);
        let state = scope.state();
        match state.context.working() {
            Some(working) => Self {
                ruling,
                draft: working.piece().draft.clone(),
                orders: working.piece().orders.clone(),
                skipped: working.skipped.clone(),
                passed,
            },
            None => Self::empty(ruling),
        }
    }

    fn empty(ruling: Ruling) -> Self {
        Self {
            ruling,
            draft: Draft {
                envelope: Envelope::new(ReversePath::Null),
                recipients: Vec::new(),
                properties: Properties::new(),
                session_properties: Properties::new(),
                version: None,
            },
            orders: Orders::default(),
            skipped: Vec::new(),
            passed: Vec::new(),
        }
    }

    fn passed(scope: &Scope, ruling: &Ruling) -> Vec<String> {
        let (true, Some(by), Some(stage)) = (
            ruling.decision.goes_on_here(),
            &ruling.by,
            scope.stage(ruling.event),
        ) else {
            return Vec::new();
        };
        let before = stage.members.iter().take(by.member);
        before
            .map(|member| member.binding.name.to_string())
            .collect()
    }
}

/// The questions about one incoming message. Dropping it cancels them and ends its content.
pub struct MessageExchange {
    /// Time for the chain about the reply.
    reserved: Duration,
    ending: Option<oneshot::Sender<Budget>>,
    early: watch::Receiver<Option<Ruling>>,
    task: Task,
}

/// A task that ends with its owner.
struct Task(JoinHandle<MessageRuling>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MessageExchange {
    pub(crate) fn begin(scope: &Arc<Scope>, incoming: IncomingMessage, budget: &Budget) -> Self {
        if let Context::Inbound(own) = &mut scope.state().context {
            own.content(Version::original(&incoming.headers, None));
        }
        let (ending, ended) = oneshot::channel();
        let (hasty, early) = watch::channel(None);
        let judging = Judging {
            scope: Arc::clone(scope),
            message: incoming.message_id,
            content: incoming.content,
            ended: Some(ended),
            hasty,
        };
        let reserve = |event| scope.plan.reserve(&scope.server, event, b"", false);
        let budget = budget.reserving(reserve(EventKind::InboundHeaders));
        let task = Task(tokio::spawn(judging.ruling(budget)));
        Self {
            reserved: reserve(EventKind::InboundMessage),
            ending: Some(ending),
            early,
            task,
        }
    }

    /// Resolves when a refusal is to be applied before the content is complete. Pending for ever otherwise.
    /// May be called again after being dropped.
    pub fn early(&self) -> impl Future<Output = Ruling> + Send + use<> {
        let mut early = self.early.clone();
        async move {
            loop {
                if let Some(ruling) = early.borrow_and_update().clone() {
                    return ruling;
                }
                if early.changed().await.is_err() {
                    // Decided without haste.
                    return std::future::pending().await;
                }
            }
        }
    }

    /// The content is complete: waits for the verdicts within the budget.
    pub fn finish(mut self, budget: &Budget) -> impl Future<Output = MessageRuling> + Send + use<> {
        let budget = budget.reserving(self.reserved);
        async move {
            if let Some(ending) = self.ending.take() {
                // Nobody listens where an early refusal has ended the questions.
                let _decided = ending.send(budget).is_err();
            }
            match (&mut self.task.0).await {
                Ok(ruling) => ruling,
                // The runtime is shutting down.
                Err(_) => MessageRuling::empty(interrupted()),
            }
        }
    }

    /// Gives up: the client is gone, or the content broke a limit.
    pub fn cancel(self) {
        drop(self);
    }
}

fn interrupted() -> Ruling {
    let reply = Reply::parse(451, Some("4.3.0"), "Service shutting down, try again later");
    let held = Decision::Hold { at_most: None };
    let decision = reply.map_or(held, Decision::Tempfail);
    Ruling {
        decision,
        ..Ruling::proceed(EventKind::InboundMessage)
    }
}

/// The task of an exchange.
struct Judging {
    scope: Arc<Scope>,
    message: MessageId,
    content: Arc<dyn Content>,
    ended: Option<oneshot::Receiver<Budget>>,
    hasty: watch::Sender<Option<Ruling>>,
}

impl Judging {
    async fn ruling(mut self, budget: Budget) -> MessageRuling {
        let mut ruling = Ruling::proceed(EventKind::InboundMessage);
        if let Some(stage) = self.stage(EventKind::InboundHeaders) {
            let question = Question::new(Headers {
                message_id: self.message,
            });
            let begin = Begin {
                budget: Some(budget),
                content: Some(Arc::clone(&self.content)),
                ..Begin::default()
            };
            let run = Run::new(&self.scope, stage, vec![question], begin);
            ruling = run.ruling(None).await;
        }
        if goes_on(&ruling.decision) {
            ruling = self.message(ruling).await;
        }
        if ruling.decision.is_refusal() {
            // Nothing more is sent to anybody; the front end may stop the upload.
            let _nobody_listens = self.hasty.send(Some(ruling.clone())).is_err();
        } else {
            self.wait_for_end().await;
        }
        MessageRuling::of(&self.scope, ruling)
    }

    async fn message(&mut self, before: Ruling) -> Ruling {
        let begin = Begin {
            content: Some(Arc::clone(&self.content)),
            ..Begin::default()
        };
        let Some(stage) = self.stage(EventKind::InboundMessage) else {
            return Ruling {
                event: EventKind::InboundMessage,
                ..before
            };
        };
        let question = Question::new(Message {
            message_id: self.message,
        });
        let run = Run::new(&self.scope, stage, vec![question], begin);
        let mut ended = self.ended.take();
        let ruling = run.ruling(ended.as_mut()).await;
        // Put back where the chain ended before the content.
        self.ended = ended.filter(|ended| !ended.is_terminated());
        before.then(ruling)
    }

    async fn wait_for_end(&mut self) {
        if let Some(ended) = self.ended.take()
            && ended.await.is_err()
        {
            // Given up: the task is aborted with its owner.
            std::future::pending::<()>().await;
        }
        if let Some(end) = self.content.end() {
            self.scope.close_content(end.size_bytes);
        }
    }

    /// Who is asked at an event, unless a binding has finished the message.
    fn stage(&self, event: EventKind) -> Option<Arc<Stage>> {
        self.scope
            .stage(event)
            .filter(|_| !self.scope.is_finished())
    }
}

/// The remaining inbound events of the message are asked.
fn goes_on(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Proceed | Decision::Finish(FinishScope::Event)
    )
}
