//! What is told of the gateway itself: one file an event.

mod config;
mod start;
mod stop;

#[cfg(test)]
use crate::every_event::{Row, row};

pub use config::Config;
pub use start::Start;
pub use stop::Stop;

/// The events of this family, by number.
#[cfg(test)]
pub(crate) fn rows() -> Vec<Row> {
    vec![row::<Start>(), row::<Stop>(), row::<Config>()]
}
