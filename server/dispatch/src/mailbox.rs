//! Where the answers of one chain arrive.
//!
//! The task that reads a stream drops notes into it; the one task that drives the chain takes them out. One
//! allocation for a whole chain, no task and no channel for each question.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// Notes for one waiting task. What may be put in is bounded by the questions that were asked.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    notes: VecDeque<T>,
    waker: Option<Waker>,
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    pub(crate) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                notes: VecDeque::new(),
                waker: None,
            }),
        }
    }

    /// Adds a note and wakes the waiting task.
    pub(crate) fn put(&self, note: T) {
        let waker = {
            let mut inner = self.inner.lock();
            inner.notes.push_back(note);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds a note unless one like it is still waiting: a sender who repeats itself takes no more room.
    pub(crate) fn put_once(&self, note: T, like: impl Fn(&T) -> bool) {
        if !self.inner.lock().notes.iter().any(like) {
            self.put(note);
        }
    }

    /// The next note; with none the task is woken by the next one.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<T> {
        let mut inner = self.inner.lock();
        if let Some(note) = inner.notes.pop_front() {
            return Poll::Ready(note);
        }
        if !inner
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            inner.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// The next note, waiting for it.
    pub(crate) async fn take(&self) -> T {
        std::future::poll_fn(|cx| self.poll_take(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_waits_once() {
        let mailbox = Mailbox::new();
        for _ in 0..1000 {
            mailbox.put_once(1, |waiting| *waiting == 1);
        }
        mailbox.put(2);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(mailbox.poll_take(&mut cx), Poll::Ready(1));
        mailbox.put_once(1, |waiting| *waiting == 1);
        assert_eq!(mailbox.poll_take(&mut cx), Poll::Ready(2));
        assert_eq!(mailbox.poll_take(&mut cx), Poll::Ready(1));
        assert!(mailbox.poll_take(&mut cx).is_pending());
    }
}
