//! The attach protocol as machines: the gateway's end of a stream, and the choice among the replicas of a sink.
//!
//! [`Link`] is one Attach stream: instances, questions and their answers, content, and what a sink may not do.
//! [`Fleet`] is all replicas of one sink: which are well, which is asked, and what is tried when one fails. Neither does
//! I/O nor knows the time: bytes, events and instants go in, frames, events and deadlines come out, so that tests,
//! fuzzers and simulations drive them as the gateway does.

mod binding;
mod depth;
mod end;
mod features;
mod fleet;
mod line;
mod link;
mod random;
mod retry;
mod settings;
mod transmit;

pub use binding::WireBinding;
pub use depth::BodyDepth;
pub use end::{Code, StreamEnd};
pub use features::Features;
pub use fleet::{
    ConnectionId, Description, Fleet, FleetEvent, FleetSettings, FleetStatus, NoReplica, Outcome,
    Pick, Placement, Reach, ReplicaHealth, ReplicaId, ReplicaStatus, StreamId, Tried,
};
pub use link::{
    Asked, Cancelled, Deadline, Ending, InstanceId, Link, LinkEvent, MessageId, News, Occupancy,
    Opening, Place, Progress, Question, Read, Refusal, Wish,
};
pub use random::Random;
pub use retry::Retry;
pub use settings::{FRAME_BYTES, LinkSettings};
pub use transmit::Transmit;
