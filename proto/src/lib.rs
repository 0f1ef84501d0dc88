//! The protocol between the gateway and its sinks: messages, stubs and rules of `postern.v1`. With the feature `admin`
//! also `postern.admin.v1`, by which an operator steers the gateway.
//!
//! The comments in `postern/v1/*.proto` are the reference; `docs/protocol.md` tells the conversation as a whole.
//! Nothing is added to the generated types here: what a message may hold is checked by those who read it, by the
//! tables in [`rules`].
//!
//! The Rust in `src/generated/` is written by `cargo run -p postern-proto-generate` from the proto files and
//! `rules.json`, and checked in, so that users of this crate need neither a protobuf compiler nor build
//! dependencies. Without the feature `grpc` the crate holds messages and tables alone.

/// Package `postern.v1`.
pub mod v1 {
    // Generated code, judged by the lint of its source.
    #![allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
    include!("generated/postern.v1.rs");
    #[cfg(feature = "grpc")]
    include!("generated/postern.v1.grpc.rs");
}

/// What an operator asks of a running gateway.
#[cfg(feature = "admin")]
pub mod admin {
    /// Package `postern.admin.v1`.
    pub mod v1 {
        // Generated code, judged by the lint of its source.
        #![allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
        include!("generated/postern.admin.v1.rs");
        include!("generated/postern.admin.v1.grpc.rs");
    }
}

pub mod rules;

/// The descriptors of `postern.v1` and of what it imports, encoded and without comments, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/postern.v1.binpb");

/// `rules.json`, byte for byte: the file that [`rules`] is made from.
pub const RULES_JSON: &str = include_str!("../postern/v1/rules.json");
