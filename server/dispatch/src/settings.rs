//! Bounds and times of the dispatcher that are no part of a binding.

use std::time::Duration;

use postern_message::EditLimits;

/// Largest frame in either direction, in octets. A sink that sends more has failed.
pub const FRAME_MAX_BYTES: usize = 1 << 20;

/// Largest piece of content in one frame, in octets.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Bounds of one dispatcher, that is of one runtime thread.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Streams per replica that carry many instances each.
    pub shared_streams: usize,
    /// Instances on one such stream before another is opened: what is on one stream shares its frames and wake-ups,
    /// and several spread the work in sinks that serve a stream with one thread.
    pub instances_per_shared_stream: usize,
    /// Streams per replica, where each carries one instance at a time. Beyond it the event is shed as `overload`.
    pub leased_streams: usize,
    /// Streams opened on one connection before another is opened. Servers cap them, often at 100, and a stream
    /// above the cap waits in silence.
    pub streams_per_connection: usize,
    /// Frames waiting on one stream for the network before senders wait.
    pub stream_queue: usize,
    /// Content chunks of one stream waiting for the network.
    pub chunks_in_flight: usize,
    /// Open questions on one replica beyond which a further one is shed as `overload`.
    pub questions_per_replica: usize,
    /// Time for name resolution, TCP and TLS handshakes and `Describe` together.
    pub connect_timeout: Duration,
    /// Idle time after which a stream is asked for a sign of life (Heartbeat), and TCP its peer. HTTP/2's own
    /// pings are not used: servers in other languages take them for abuse.
    pub keep_alive_interval: Duration,
    /// Time for the answer to a Heartbeat.
    pub keep_alive_timeout: Duration,
    /// First time for which a failed replica is left alone; doubles with each failure in a row.
    pub eject_min: Duration,
    /// Longest time for which a failed replica is left alone.
    pub eject_max: Duration,
    /// An instance without an open question for this long is closed, and opened again when needed.
    pub park_after: Duration,
    /// Instances kept open per replica; beyond it those without an open question are closed, looked at every second.
    pub open_instances: usize,
    /// One-way events waiting for one sink that cannot take them at once.
    pub one_way_queue: usize,
    /// Events of the current transaction kept for replay.
    pub history: usize,
    /// How much edits may do.
    pub edit_limits: EditLimits,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            shared_streams: 8,
            instances_per_shared_stream: 16,
            leased_streams: 200,
            streams_per_connection: 90,
            stream_queue: 1024,
            chunks_in_flight: 4,
            questions_per_replica: 10_000,
            connect_timeout: Duration::from_secs(5),
            keep_alive_interval: Duration::from_secs(30),
            keep_alive_timeout: Duration::from_secs(10),
            eject_min: Duration::from_millis(250),
            eject_max: Duration::from_secs(30),
            park_after: Duration::from_secs(60),
            open_instances: 20_000,
            one_way_queue: 1024,
            history: 2_000,
            edit_limits: EditLimits::default(),
        }
    }
}
