//! What is told of the gateway itself: one file an event.

mod config;
mod start;
mod stop;

pub use config::Config;
pub use start::Start;
pub use stop::Stop;
