//! Tower layers around handlers.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

use crate::Fault;
use crate::call::{Answer, Call};
use crate::sink::{Run, name_of};
use crate::v1::{self, EventKind};

/// An event on its way to its handler.
pub struct Question {
    pub(crate) event: Option<EventKind>,
    pub(crate) call: Call,
    pub(crate) run: Run,
}

impl Question {
    /// The event. None: what became of a verdict.
    pub fn event(&self) -> Option<EventKind> {
        self.event
    }

    /// The event's dotted name, `inbound.rcpt`; `settled` for what became of a verdict.
    pub fn name(&self) -> &'static str {
        self.event.map_or("settled", name_of)
    }

    /// The binding that is asked.
    pub fn binding(&self) -> &v1::Binding {
        self.call.binding()
    }

    /// The call: what is known, and what goes with the event.
    pub fn call(&self) -> &Call {
        &self.call
    }
}

/// Why a handler or a layer around it has no answer.
pub struct Failure(pub(crate) Fault);

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.detail())
    }
}

impl Error for Failure {}

/// The service inside all layers: it calls the handler. A fault of the handler is its error.
#[derive(Clone)]
pub struct Judging {
    inner: Option<Judge>,
}

/// The layers that a sink has so far.
pub(crate) type Judge = Arc<dyn Fn(Question) -> BoxFuture<'static, Answer> + Send + Sync>;

impl Service<Question> for Judging {
    type Response = Answer;
    type Error = Failure;
    type Future = BoxFuture<'static, Result<Answer, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, question: Question) -> Self::Future {
        let answer = match &self.inner {
            Some(judge) => judge(question),
            None => (question.run)(question.call),
        };
        Box::pin(async move {
            match answer.await {
                Answer::Verdict(Err(fault))
                | Answer::Verdicts(Err(fault))
                | Answer::Heard(Err(fault)) => Err(Failure(fault)),
                answer => Ok(answer),
            }
        })
    }
}

/// A layer put around what there is so far.
pub(crate) fn layered<L>(layer: L, inner: Option<Judge>) -> Judge
where
    L: Layer<Judging>,
    L::Service: Service<Question, Response = Answer> + Clone + Send + Sync + 'static,
    <L::Service as Service<Question>>::Error: Into<Box<dyn Error + Send + Sync>>,
    <L::Service as Service<Question>>::Future: Send + 'static,
{
    let service = layer.layer(Judging { inner });
    Arc::new(move |question| {
        let mut service = service.clone();
        Box::pin(async move {
            let answered = async {
                poll_fn(|context| service.poll_ready(context)).await?;
                service.call(question).await
            };
            answered
                .await
                .unwrap_or_else(|error| Answer::from(failure(error.into())))
        })
    })
}

/// A layer may wrap the handler's own fault, which keeps its kind, or fail by itself.
fn failure(error: Box<dyn Error + Send + Sync>) -> Failure {
    match error.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(error) => Failure(Fault::error(error.to_string())),
    }
}
