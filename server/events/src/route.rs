//! Next hops: where mail goes, as the configuration or a sink says. They are kept with messages, and so are of their model.

pub use postern_message::next_hop::{NextHop, Target, TlsPolicy};
