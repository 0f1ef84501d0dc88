//! Where the answers of one chain arrive.
//!
//! The task of a sink puts answers in; the one task that runs the chain takes them out. One allocation for a whole
//! chain, no channel for each question.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Answers for one waiting task. How many wait is bounded by the questions that were asked.
#[derive(Debug)]
pub(crate) struct Answers<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Answers<T> {
    /// Makes an empty queue.
    pub(crate) const fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                waker: None,
            }),
        }
    }

    /// Adds an answer and wakes the waiting task.
    pub(crate) fn put(&self, answer: T) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.waiting.push_back(answer);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds an answer unless one like it still waits: who repeats itself takes no more room.
    pub(crate) fn put_once(&self, answer: T, like: impl Fn(&T) -> bool) {
        if !self.inner.lock().waiting.iter().any(like) {
            self.put(answer);
        }
    }

    /// Takes the next answer. With none, the task is woken by the next one.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.inner.lock();
        if let Some(answer) = inner.waiting.pop_front() {
            return Poll::Ready(answer);
        }
        let known = inner
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()));
        if !known {
            inner.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for the next answer.
    pub(crate) async fn take(&self) -> T {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_waits_once() {
        let answers = Answers::new();
        for _ in 0..1000 {
            answers.put_once(1, |waiting| *waiting == 1);
        }
        answers.put(2);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(answers.poll_take(&mut cx), Poll::Ready(1));
        answers.put_once(1, |waiting| *waiting == 1);
        assert_eq!(answers.poll_take(&mut cx), Poll::Ready(2));
        assert_eq!(answers.poll_take(&mut cx), Poll::Ready(1));
        assert!(answers.poll_take(&mut cx).is_pending());
    }
}
