//! Frames between tonic and a link: encoded ones out, raw ones in.
//!
//! A link encodes its frames itself and reads those of the sink itself, so that what is shared is encoded once, and a
//! frame that cannot be read fails the instance that it names instead of the stream.

use bytes::{Buf, BufMut, Bytes};
use postern_attach::Transmit;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The codec of `Attach`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FrameCodec;

impl Codec for FrameCodec {
    type Encode = Transmit;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for FrameCodec {
    type Item = Transmit;
    type Error = Status;

    fn encode(&mut self, frame: Transmit, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(frame.head);
        out.put(frame.shared);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(frame.copy_to_bytes(frame.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        buffers()
    }
}

/// Small buffers: most streams carry small frames most of the time.
fn buffers() -> BufferSettings {
    BufferSettings::new(4 << 10, 64 << 10)
}
