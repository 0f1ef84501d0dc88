//! Which hosts take the mail for a domain, and at which addresses (RFC 5321 5.1, RFC 7505): from what DNS says to an ordered
//! list, or to the reason why there is none. Without I/O; randomness is an argument.
//!
//! 1. [`exchangers`]: from the MX records of the domain to its hosts, in the order in which they are tried.
//! 2. [`targets`]: from the addresses of those hosts to the ones that may be connected to.

mod exchangers;
mod network;
mod no_target;
mod targets;

pub use self::exchangers::{Answer, Exchanger, Exchangers, MOST_EXCHANGERS, Record, exchangers};
pub use self::network::Network;
pub use self::no_target::NoTarget;
pub use self::targets::{Judged, MOST_ADDRESSES, MOST_LOOKED_AT, Target, literal, targets};
