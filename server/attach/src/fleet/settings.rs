//! Bounds and times of a fleet.

use std::time::Duration;

/// What bounds the use of one sink.
#[derive(Clone, Debug)]
pub struct FleetSettings {
    /// Questions that may be open at the sink, all its replicas together. `None`: as many as the replicas take.
    pub concurrency: Option<usize>,
    /// Questions that may be open at one replica.
    pub questions_per_replica: usize,
    /// Streams to a replica that carry many instances each, before instances are put closer together.
    pub shared_streams: usize,
    /// Instances on one such stream before another is opened: what is on one stream shares its frames and wake-ups,
    /// and several spread the work in sinks that serve a stream with one thread.
    pub instances_per_shared_stream: usize,
    /// Streams to a replica. Beyond it the event is shed as `overload`.
    pub streams_per_replica: usize,
    /// Streams opened on one connection before another is made. Servers cap them, often at 100, and a stream above the
    /// cap waits in silence.
    pub streams_per_connection: usize,
    /// Connections to a replica that are stalled and wait for their last stream to end, before no other is made in their
    /// place: what finds none that works is shed as `overload`.
    pub stalled_connections: usize,
    /// Time for which bodies go to a replica on connections of their own after one of its connections was stalled.
    pub apart_after_stall: Duration,
    /// Time for name resolution, handshakes and `Describe` together.
    pub connect_timeout: Duration,
    /// Time after which a connection that carries nothing is dropped, unless it is the only one.
    pub unused_after: Duration,
    /// Time without a sign of life after which a replica that is well is probed.
    pub probe_interval: Duration,
    /// First time after which a replica that could not be reached is probed again. Doubles with each failure in a row.
    pub probe_min: Duration,
    /// Longest time between such probes.
    pub probe_max: Duration,
    /// Time over which outcomes are counted.
    pub window: Duration,
    /// Failures in the window below which no replica is ejected.
    pub min_failures: u32,
    /// Share of failures, in percent of all outcomes in the window, from which a replica is ejected.
    pub failure_percent: u32,
    /// First time for which a replica is ejected. Doubles with each ejection that follows soon.
    pub eject_min: Duration,
    /// Longest time for which a replica is ejected.
    pub eject_max: Duration,
}

impl Default for FleetSettings {
    fn default() -> Self {
        Self {
            concurrency: None,
            questions_per_replica: 10_000,
            shared_streams: 8,
            instances_per_shared_stream: 16,
            streams_per_replica: 200,
            streams_per_connection: 90,
            stalled_connections: 4,
            apart_after_stall: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(5),
            unused_after: Duration::from_secs(10),
            probe_interval: Duration::from_secs(10),
            probe_min: Duration::from_millis(250),
            probe_max: Duration::from_secs(2),
            window: Duration::from_secs(10),
            min_failures: 5,
            failure_percent: 50,
            eject_min: Duration::from_secs(1),
            eject_max: Duration::from_secs(30),
        }
    }
}

/// The time before attempt `failures + 1`: `min`, doubled with each failure, at most `max`.
pub(crate) fn backoff(min: Duration, max: Duration, failures: u32) -> Duration {
    min.saturating_mul(1 << failures.min(20)).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_maximum() {
        let (min, max) = (Duration::from_secs(1), Duration::from_secs(5));
        let times: Vec<u64> = (0..5).map(|n| backoff(min, max, n).as_secs()).collect();
        assert_eq!(times, [1, 2, 4, 5, 5]);
        assert_eq!(backoff(min, max, u32::MAX), max);
    }
}
