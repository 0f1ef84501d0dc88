//! Events of a message in transport: one file an event.

mod submit;

pub use submit::Submit;
