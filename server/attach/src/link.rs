//! The gateway's end of one Attach stream, as a machine.
//!
//! The rooms, each using only those before it: [`ledger`], [`interest`], [`feed`], [`reads`], [`parts`], [`uploads`],
//! [`actions`] and [`pulse`] know one part of the protocol each; [`instance`] holds those of an instance, [`outbox`] the
//! frames, [`phase`] the life of the stream, [`state`] all of them; [`showing`], [`closing`], [`asking`], [`acting`],
//! [`hearing`] and [`driving`] are what can happen.

mod acting;
mod actions;
mod asking;
mod closing;
mod driving;
mod events;
mod feed;
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
mod state;
mod uploads;

pub use events::{
    Asked, Cancelled, Ending, InstanceId, LinkEvent, News, Opening, Place, Question, Refusal,
};
pub use interest::MessageId;
pub use outbox::Deadline;
pub use reads::Read;
pub use showing::Wish;
pub use state::{Link, Occupancy};
