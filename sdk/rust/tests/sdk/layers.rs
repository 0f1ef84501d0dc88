//! Tower layers around handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use postern_sdk::testing::Session;
use postern_sdk::{EventKind, Fault, Question, Verdict, inbound, sink, v1};
use tower::timeout::TimeoutLayer;
use tower::{Layer, Service};

/// Counts questions by event.
#[derive(Clone)]
struct Count(Arc<AtomicUsize>);

#[derive(Clone)]
struct Counted<S>(S, Arc<AtomicUsize>);

impl<S> Layer<S> for Count {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted(inner, Arc::clone(&self.0))
    }
}

impl<S: Service<Question>> Service<Question> for Counted<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, question: Question) -> S::Future {
        if question.name() == "inbound.mail" && question.binding().name == "test" {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        self.0.call(question)
    }
}

#[test]
fn layers_see_every_question_and_may_end_it() {
    let count = Arc::new(AtomicUsize::new(0));
    let sink = sink!()
        .on(inbound::MAIL, async || Verdict::proceed())
        .on(inbound::RCPT, async || -> Verdict {
            std::future::pending().await
        })
        .on(inbound::HELO, async || -> Result<Verdict, Fault> {
            Err(Fault::overload("busy"))
        })
        .layer(TimeoutLayer::new(Duration::from_secs(2)))
        .layer(Count(Arc::clone(&count)));
    let transcript = Session::connect(sink, "192.0.2.1")
        .ehlo("client.example.test")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .play();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    let fault = transcript.fault(EventKind::InboundRcpt);
    assert!(fault.detail().contains("timed out"), "{fault:?}");
    // A fault of the handler keeps its kind.
    assert_eq!(
        transcript.fault(EventKind::InboundHelo).kind(),
        v1::FaultKind::Overload
    );
}
