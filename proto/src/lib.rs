//! The protocol between the gateway and its sinks, generated from `postern/v1/*.proto`.
//!
//! The comments in those files are the reference; `docs/protocol.md` tells the conversation as a whole.
//! Nothing is added to the generated types here: what a message may hold is checked by those who read it.

/// Package `postern.v1`.
pub mod v1 {
    // Generated code, judged by the lint of its source.
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    tonic::include_proto!("postern.v1");
}

/// The compiled descriptors of `postern.v1` and what it imports, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/postern.v1.binpb"));
