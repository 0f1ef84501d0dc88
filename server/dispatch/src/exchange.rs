//! One message on its way in: its questions, and its content on the way to the sinks.

use std::future::Future;
use std::sync::Arc;

use postern_message::{Draft, HeaderSection, MessageId, Version};
use postern_smtp::reply::Reply;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::budget::Budget;
use crate::content::Content;
use crate::event::EventKind;
use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::verdict::{Decision, FinishScope, Ruling};
use crate::wire::Happening;

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
    /// What was decided. For `Hold`, `Quarantine` and `Defer`, `event` and `by` name where to ask from again.
    pub ruling: Ruling,
    /// Envelope, recipients, properties and content with all applied edits. Its version is closed if the content
    /// has ended.
    pub draft: Draft,
}

/// The questions about one incoming message. Dropping it cancels them and ends its content.
pub struct MessageExchange {
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
        scope
            .facts
            .lock()
            .content(Version::original(&incoming.headers, None));
        let (ending, ended) = oneshot::channel();
        let (hasty, early) = watch::channel(None);
        let judging = Judging {
            scope: Arc::clone(scope),
            message: incoming.message_id,
            content: incoming.content,
            ended: Some(ended),
            hasty,
        };
        let task = Task(tokio::spawn(judging.ruling(*budget)));
        Self {
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
        let budget = *budget;
        async move {
            if let Some(ending) = self.ending.take() {
                // Nobody listens where an early refusal has ended the questions.
                let _decided = ending.send(budget).is_err();
            }
            match (&mut self.task.0).await {
                Ok(ruling) => ruling,
                // The runtime is shutting down.
                Err(_) => MessageRuling {
                    ruling: interrupted(),
                    draft: empty(),
                },
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
    let decision = reply.map_or(Decision::Hold, Decision::Tempfail);
    Ruling {
        decision,
        ..Ruling::proceed(EventKind::InboundMessage)
    }
}

fn empty() -> Draft {
    crate::facts::Facts::nothing().draft
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
        let headers = Arc::new(Happening::Headers(self.message));
        if let Some(run) = Run::begin(
            &self.scope,
            headers,
            Begin {
                budget: Some(budget),
                ..Begin::default()
            },
        ) {
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
        let draft = self.scope.facts.lock().draft.clone();
        MessageRuling { ruling, draft }
    }

    async fn message(&mut self, before: Ruling) -> Ruling {
        let happening = Arc::new(Happening::Message(self.message));
        let begin = Begin {
            content: Some(Arc::clone(&self.content)),
            ..Begin::default()
        };
        let Some(run) = Run::begin(&self.scope, happening, begin) else {
            return Ruling {
                event: EventKind::InboundMessage,
                ..before
            };
        };
        let mut ended = self.ended.take();
        let ruling = run.ruling(ended.as_mut()).await;
        // Put back where the chain ended before the content.
        self.ended = ended.filter(|ended| !ended.is_terminated());
        merge(before, ruling)
    }

    async fn wait_for_end(&mut self) {
        if let Some(ended) = self.ended.take()
            && ended.await.is_err()
        {
            // Given up: the task is aborted with its owner.
            std::future::pending::<()>().await;
        }
        if let Some(end) = self.content.end() {
            self.scope.facts.lock().close_content(end.size_bytes);
        }
    }
}

/// The remaining inbound events of the message are asked.
fn goes_on(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Proceed | Decision::Finish(FinishScope::Event)
    )
}

/// What both chains came to: the later one decides; delays and failures of both count.
pub(crate) fn merge(before: Ruling, after: Ruling) -> Ruling {
    let mut failures = before.failures;
    failures.extend(after.failures);
    Ruling {
        delay: before.delay.max(after.delay),
        failures,
        ..after
    }
}
