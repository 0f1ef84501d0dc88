//! `[[sink]]`: a gRPC service that judges events.

use std::path::PathBuf;

pub use crate::kind::endpoint::Endpoint;
use crate::kind::{Count, File, Flag, HostName, Maybe, Name, OneOrMany, Sub};
use crate::section::section;

section! {
    /// A gRPC service that judges events; one or many replicas.
    Sink at "sink" {
        /// The name by which bindings, logs and metrics call it.
        name: String as Name;
        /// Where it is: `http://host:port`, `https://host:port`, `unix:/path`, or a list of them, one for each replica.
        endpoints named "endpoint": Vec<Endpoint> as OneOrMany<Endpoint>;
        /// How the gateway and the sink know each other over `https://`.
        tls: Option<SinkTls> as Maybe<Sub<SinkTls>>;
        /// Allows `http://` to a host that is not loopback. What the sink reads and answers then crosses the network
        /// in the clear.
        plaintext: bool as Flag = "false";
        /// Questions open at the same time, all replicas together. One more is the fault `overload` at once, and the
        /// failure policy of the binding speaks.
        concurrency: u32 as Count = "1000";
    }
}

section! {
    /// TLS to a sink.
    SinkTls at "sink.tls" {
        /// Certificates in PEM that the sink's certificate has to lead to. Left out: the public ones.
        ca: Option<PathBuf> as Maybe<File>;
        /// The gateway's own certificate in PEM, for sinks that ask for one.
        cert: Option<PathBuf> as Maybe<File>;
        /// The private key that belongs to `cert`.
        key: Option<PathBuf> as Maybe<File>;
        /// The name that the sink's certificate has to carry. Left out: the host of the endpoint.
        server_name: Option<String> as Maybe<HostName>;
    }
}
