//! Bounds and times of one stream.

use std::time::Duration;

use crate::features::Features;

/// Largest frame in either direction, in octets.
pub const FRAME_BYTES: usize = 1 << 20;

/// What a stream is opened with, and what bounds it. The defaults suit a gateway on one machine.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// Instances that it may carry at a time, at least 1.
    pub capacity: usize,
    /// Its instances are numbered from the next number on. With other numbers on other streams, an answer that a sink
    /// gives on the wrong one is seen to be none.
    pub instances_after: u64,
    /// Octets of content that may be pushed for an event before the first `WantContent`. Used where `capacity` is
    /// above 1; elsewhere HTTP/2's flow control is enough.
    pub initial_credit: u64,
    /// The features in force.
    pub features: Features,
    /// The protocol version in force.
    pub protocol_version: u32,
    /// The gateway's id.
    pub gateway_id: [u8; 16],
    /// The spool's id.
    pub spool_id: [u8; 16],
    /// Largest piece of content in one frame, in octets.
    pub chunk_bytes: usize,
    /// Octets of events that may wait for the network. Nothing is taken in at or above it, so that it is passed by
    /// one event at most.
    pub queue_bytes: usize,
    /// Octets of content that may wait for the network.
    pub content_bytes: usize,
    /// How long a frame that nobody waits for may wait for others to leave with it. Where one instance is carried at
    /// a time the sink waits for it: then it is not used.
    pub linger: Duration,
    /// Time without a frame from the sink, and without an open event, after which it is asked for a sign of life.
    pub heartbeat_interval: Duration,
    /// Time for the answer.
    pub heartbeat_timeout: Duration,
    /// Time without an open event after which an instance is closed. It is opened again when needed.
    pub park_after: Duration,
    /// Time without an instance after which the stream is half-closed.
    pub idle_after: Duration,
    /// Time in which the network must take the first frame. A server above its limit of streams takes none, and
    /// says nothing.
    pub stall_after: Duration,
    /// Time in which the network must take some of what it was handed, before the stream counts as stalled. `None`: it
    /// does not say what it takes.
    pub flow_timeout: Option<Duration>,
    /// Time after which a stream on which a deadline passed in silence is reset.
    pub silent_limit: Duration,
    /// Time for what is open when the sink goes away without saying how much it has left.
    pub drain: Duration,
    /// Time from the half-close to the reset.
    pub goodbye: Duration,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            capacity: 1,
            instances_after: 0,
            initial_credit: 256 << 10,
            features: Features::default(),
            protocol_version: 1,
            gateway_id: [0; 16],
            spool_id: [0; 16],
            chunk_bytes: 64 << 10,
            queue_bytes: 4 << 20,
            content_bytes: 1 << 20,
            linger: Duration::from_millis(5),
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_timeout: Duration::from_secs(10),
            park_after: Duration::from_secs(60),
            idle_after: Duration::from_secs(20),
            stall_after: Duration::from_secs(1),
            flow_timeout: None,
            silent_limit: Duration::from_secs(30),
            drain: Duration::from_secs(30),
            goodbye: Duration::from_secs(2),
        }
    }
}
