//! The gateway's end of one Attach stream, as a machine.
//!
//! Each room uses only those before it: [`ledger`], [`interest`], [`feed`], [`reads`], [`parts`], [`uploads`],
//! [`actions`], [`named`], [`flight`] and [`pulse`] know one part of the protocol each; [`events`] is what goes in and out;
//! [`instance`] holds what belongs to an instance, [`outbox`] the frames, [`phase`] the life of the stream, [`state`] all
//! of them. What can happen: [`showing`], [`closing`], [`standing`], then [`asking`], [`following`], [`acting`],
//! [`answers`], [`steering`], and last [`hearing`] and [`driving`].

mod acting;
mod actions;
mod answers;
mod asking;
mod closing;
mod driving;
mod events;
mod feed;
mod flight;
mod following;
mod hearing;
mod instance;
mod interest;
mod ledger;
mod named;
mod outbox;
mod parts;
mod phase;
mod pulse;
mod reads;
mod showing;
mod standing;
mod state;
mod steering;
mod uploads;

pub use events::{
    Asked, Cancelled, Ending, InstanceId, LinkEvent, News, Opening, Place, Question, Refusal,
};
pub use flight::Progress;
pub use interest::MessageId;
pub use outbox::Deadline;
pub use reads::Read;
pub use showing::Wish;
pub use state::{Link, Occupancy};
