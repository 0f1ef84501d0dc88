//! The replicas of one sink, as a machine.
//!
//! [`window`], [`description`], [`connection`], [`replica`] and [`tried`] know one thing each; [`state`] holds them;
//! [`choosing`], [`judging`], [`driving`] and [`status`] are what can be asked of a fleet, and what can happen to it.

mod choosing;
mod connection;
mod description;
mod driving;
mod ids;
mod judging;
mod replica;
mod settings;
mod state;
mod status;
mod tried;
mod window;

pub use choosing::{NoReplica, Pick, Placement};
pub use description::Description;
pub use ids::{ConnectionId, ReplicaId, StreamId};
pub use judging::Outcome;
pub use settings::FleetSettings;
pub use state::{Fleet, FleetEvent, Reach};
pub use status::{FleetStatus, ReplicaHealth, ReplicaStatus};
pub use tried::Tried;
