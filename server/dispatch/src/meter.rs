//! How much of a call's requests has left for the socket.
//!
//! HTTP/2 keeps what its windows have no room for, out of sight: it takes octets in that nobody reads. Here they are
//! counted when it lets go of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use postern_attach::Progress;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::transport::Channel;

/// Octets that are counted at once: of a larger frame each such piece is progress.
const PIECE: usize = 64 << 10;

/// The count of one call.
#[derive(Clone, Debug)]
pub(crate) struct Meter(Arc<Mutex<Progress>>);

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(Progress { octets: 0, at: now })))
    }

    /// What has left so far.
    pub(crate) fn progress(&self) -> Progress {
        *self.0.lock()
    }

    fn count(&self, octets: usize) {
        let mut progress = self.0.lock();
        progress.octets += octets as u64;
        progress.at = Instant::now();
    }
}

/// A channel for one call, whose requests are counted.
#[derive(Clone)]
pub(crate) struct Metered {
    channel: Channel,
    meter: Meter,
}

impl Metered {
    pub(crate) const fn new(channel: Channel, meter: Meter) -> Self {
        Self { channel, meter }
    }
}

impl tower::Service<http::Request<Body>> for Metered {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as tower::Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let meter = self.meter.clone();
        self.channel.call(request.map(|inner| {
            Body::new(MeteredBody {
                inner,
                meter,
                rest: Bytes::new(),
            })
        }))
    }
}

/// Requests in pieces that say when they are let go of.
struct MeteredBody {
    inner: Body,
    meter: Meter,
    rest: Bytes,
}

impl MeteredBody {
    fn piece(&mut self) -> Frame<Bytes> {
        let octets = self.rest.split_to(self.rest.len().min(PIECE));
        let meter = self.meter.clone();
        Frame::data(Bytes::from_owner(Piece { octets, meter }))
    }
}

impl http_body::Body for MeteredBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            other => return Poll::Ready(other),
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(octets) if octets.is_empty() => Frame::data(octets),
            Ok(octets) => {
                self.rest = octets;
                self.piece()
            }
            Err(other) => other,
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

/// Octets that are counted when HTTP/2 has written them, or has given them up with their stream.
struct Piece {
    octets: Bytes,
    meter: Meter,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.meter.count(self.octets.len());
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::Full;

    use super::*;

    #[test]
    fn octets_count_once_they_are_let_go_of() {
        let meter = Meter::new(Instant::now());
        let mut body = MeteredBody {
            inner: Body::new(Full::new(Bytes::from(vec![7; PIECE + 10]))),
            meter: meter.clone(),
            rest: Bytes::new(),
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut next = || match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            _ => Bytes::new(),
        };
        let (first, second) = (next(), next());
        assert_eq!((first.len(), second.len()), (PIECE, 10));
        assert_eq!(meter.progress().octets, 0);
        let rest = first.slice(5..);
        drop(first);
        assert_eq!(meter.progress().octets, 0);
        drop(rest);
        assert_eq!(meter.progress().octets, PIECE as u64);
        drop(second);
        assert_eq!(meter.progress().octets, PIECE as u64 + 10);
        assert!(next().is_empty());
    }
}
