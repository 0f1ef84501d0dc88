//! One Attach call: the requests out of a pipe, what comes back as a stream.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use postern_attach::{Code, FRAME_BYTES, StreamEnd};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

use crate::codec::FrameCodec;
use crate::ending::stream_end;
use crate::meter::{Meter, Metered};
use crate::pipe::Frames;

/// What comes from the sink on one stream.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A frame, encoded.
    Frame(Bytes),
    /// The stream has ended. Nothing follows.
    Ended(StreamEnd),
}

type Opening = Pin<Box<dyn Future<Output = Result<Response<Streaming<Bytes>>, Status>> + Send>>;

/// The response half of a call. Dropping it resets the stream.
pub(crate) struct Call {
    state: State,
}

enum State {
    /// Response headers have not come. The sink may send them with its first frame only.
    Opening(Opening),
    Open(Box<Streaming<Bytes>>),
    Over,
}

impl Call {
    /// Calls `Attach`. Requests flow before anything has come back; `meter` counts what has left of them.
    pub(crate) fn begin(channel: &Channel, frames: Frames, meter: Meter) -> Self {
        let mut grpc = Grpc::new(Metered::new(channel.clone(), meter))
            // The link refuses what exceeds a frame, and says so to the sink's author.
            .max_decoding_message_size(2 * FRAME_BYTES)
            .max_encoding_message_size(2 * FRAME_BYTES);
        let opening = async move {
            grpc.ready().await.map_err(|error| {
                let error: Box<dyn std::error::Error + Send + Sync> = error.into();
                Status::from_error(error)
            })?;
            let path = PathAndQuery::from_static("/postern.v1.EventSink/Attach");
            grpc.streaming(Request::new(frames), path, FrameCodec).await
        };
        Self {
            state: State::Opening(Box::pin(opening)),
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        loop {
            match &mut self.state {
                State::Opening(opening) => match opening.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Ok(response)) => {
                        self.state = State::Open(Box::new(response.into_inner()));
                    }
                    Poll::Ready(Err(status)) => return self.end(stream_end(&status)),
                },
                State::Open(frames) => {
                    return match Pin::new(&mut **frames).poll_next(cx) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Incoming::Frame(frame))),
                        Poll::Ready(Some(Err(status))) => self.end(stream_end(&status)),
                        Poll::Ready(None) => self.end(StreamEnd::Status {
                            code: Code::Ok,
                            detail: String::new(),
                        }),
                    };
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    fn end(&mut self, end: StreamEnd) -> Poll<Option<Incoming>> {
        self.state = State::Over;
        Poll::Ready(Some(Incoming::Ended(end)))
    }
}

/// A call with the name under which its owner knows it.
pub(crate) struct Named<T> {
    pub(crate) name: T,
    pub(crate) call: Call,
}

impl<T: Copy + Unpin> Stream for Named<T> {
    type Item = (T, Incoming);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let name = self.name;
        self.call
            .poll_incoming(cx)
            .map(|incoming| incoming.map(|incoming| (name, incoming)))
    }
}
