//! Bounds and times of the dispatcher that are no part of a binding.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use postern_attach::{Features, FleetSettings, LinkSettings};
use postern_events::plan::{CHUNK_BYTES, Plan};

use crate::actor::{Acting, Actor};

/// Longest time between probes of a replica that cannot be reached: what waits for its sink waits no longer.
const PROBE_MAX: Duration = Duration::from_secs(1);

/// Time for which a sink may take nothing of what is on its way to it before the connection counts as stalled.
const FLOW_TIMEOUT: Duration = Duration::from_secs(2);

/// The plan that new sessions and messages begin with; swapped whole when bindings change.
pub type SharedPlan = Arc<ArcSwap<Plan>>;

/// Bounds of one dispatcher, that is of one runtime thread.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Times and bounds of streams. What a connection settles (capacity, credit, features) is filled in for each.
    pub link: LinkSettings,
    /// Choice and health of replicas.
    pub fleet: FleetSettings,
    /// The features that this gateway has.
    pub features: Features,
    /// Who carries out what sinks do of their own accord, see [`Settings::acting_by`].
    pub acting: Acting,
    /// Time after which TCP asks an idle peer for a sign of life.
    pub keep_alive_interval: Duration,
    /// Octets of frames of one stream that are handed to the network before it has taken them.
    pub stream_bytes: usize,
    /// Octets of one-way events that wait for one sink which cannot take them at once.
    pub one_way_bytes: usize,
    /// Longest time for which a one-way event waits for its sink.
    pub one_way_patience: Duration,
    /// Commands of sessions that wait for the task of one sink.
    pub commands: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            link: LinkSettings {
                chunk_bytes: CHUNK_BYTES,
                flow_timeout: Some(FLOW_TIMEOUT),
                ..LinkSettings::default()
            },
            fleet: FleetSettings {
                probe_max: PROBE_MAX,
                ..FleetSettings::default()
            },
            features: Features {
                parts: true,
                settled: true,
                ..Features::default()
            },
            acting: Acting::default(),
            keep_alive_interval: Duration::from_secs(30),
            stream_bytes: 128 << 10,
            one_way_bytes: 4 << 20,
            one_way_patience: Duration::from_secs(10),
            commands: 16 << 10,
        }
    }
}

impl Settings {
    /// Sinks may act of their own accord: this carries it out.
    #[must_use]
    pub fn acting_by(mut self, actor: Arc<dyn Actor>) -> Self {
        self.features.actions = true;
        self.acting = Acting(Some(actor));
        self
    }
}
