//! The gateway's own life: one file an event.

mod config;
mod start;
mod stop;

pub use config::Config;
pub use start::Start;
pub use stop::Stop;
