//! The way of frames from the task that owns a link to the network.
//!
//! The network takes frames when HTTP/2's windows let it. What is in between is bounded, so that a link keeps what is
//! not sent yet, and may still drop content that nobody wants any more.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use parking_lot::Mutex;
use postern_attach::Transmit;

#[derive(Default)]
struct State {
    frames: VecDeque<Transmit>,
    octets: usize,
    /// The network has asked for frames: HTTP/2 has opened the stream. Above the number that the server allows it waits,
    /// and what would be fed to it could not be given to another one.
    opened: bool,
    /// No more frames come.
    ended: bool,
    /// Nobody takes frames any more.
    gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The end that takes frames from a link. Dropping it without [`Feeder::end`] leaves the requests open.
pub(crate) struct Feeder {
    state: Arc<Mutex<State>>,
    most: usize,
}

/// The end that the network reads: the requests of one call.
pub(crate) struct Frames {
    state: Arc<Mutex<State>>,
}

/// Makes a pipe that takes frames until `most` octets wait in it.
pub(crate) fn pipe(most: usize) -> (Feeder, Frames) {
    let state = Arc::new(Mutex::new(State::default()));
    let feeder = Feeder {
        state: Arc::clone(&state),
        most,
    };
    (feeder, Frames { state })
}

impl Feeder {
    /// Whether a frame may be fed: not before the network asks for the first. If not, the task is woken when it may.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.state.lock();
        if state.gone {
            return false;
        }
        if state.opened && state.octets < self.most {
            return true;
        }
        state.writer = Some(cx.waker().clone());
        false
    }

    /// Hands over a frame.
    pub(crate) fn feed(&self, frame: Transmit) {
        let reader = {
            let mut state = self.state.lock();
            state.octets += frame.len();
            state.frames.push_back(frame);
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Ends the requests behind the frames that were fed.
    pub(crate) fn end(&self) {
        let reader = {
            let mut state = self.state.lock();
            state.ended = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl Stream for Frames {
    type Item = Transmit;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Transmit>> {
        let mut state = self.state.lock();
        let opens = !std::mem::replace(&mut state.opened, true);
        let Some(frame) = state.frames.pop_front() else {
            if state.ended {
                return Poll::Ready(None);
            }
            state.reader = Some(cx.waker().clone());
            let writer = if opens { state.writer.take() } else { None };
            drop(state);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Pending;
        };
        state.octets = state.octets.saturating_sub(frame.len());
        let writer = state.writer.take();
        drop(state);
        if let Some(writer) = writer {
            writer.wake();
        }
        Poll::Ready(Some(frame))
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let writer = {
            let mut state = self.state.lock();
            state.gone = true;
            state.frames.clear();
            state.writer.take()
        };
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn frame(octets: usize) -> Transmit {
        Transmit {
            head: Bytes::from(vec![0; octets]),
            shared: Bytes::new(),
        }
    }

    #[test]
    fn frames_wait_up_to_a_bound_and_come_in_order() {
        let (feeder, mut frames) = pipe(10);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(!feeder.poll_room(&mut cx), "the stream is not open yet");
        assert!(Pin::new(&mut frames).poll_next(&mut cx).is_pending());
        assert!(feeder.poll_room(&mut cx));
        feeder.feed(frame(6));
        assert!(feeder.poll_room(&mut cx));
        feeder.feed(frame(7));
        assert!(!feeder.poll_room(&mut cx));
        let mut take = || match Pin::new(&mut frames).poll_next(&mut cx) {
            Poll::Ready(frame) => frame.map(|frame| frame.len()),
            Poll::Pending => Some(0),
        };
        assert_eq!(take(), Some(6));
        assert_eq!(take(), Some(7));
        assert_eq!(take(), Some(0), "waits");
        feeder.end();
        assert_eq!(take(), None);
    }

    #[test]
    fn nothing_is_fed_to_a_call_that_is_over() {
        let (feeder, frames) = pipe(10);
        drop(frames);
        assert!(!feeder.poll_room(&mut Context::from_waker(Waker::noop())));
    }
}
