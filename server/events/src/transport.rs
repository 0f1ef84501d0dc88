//! Events of a message in transport: one file an event.

mod categorize;
mod dsn;
mod expand;
mod local_delivery;
mod max_size;
mod post_categorize;
mod pre_categorize;
mod resolve;
mod route;
mod submit;

pub use categorize::Categorize;
pub use dsn::{Dsn, DsnRecipient};
pub use expand::Expand;
pub use local_delivery::LocalDelivery;
pub use max_size::MaxSize;
pub use post_categorize::PostCategorize;
pub use pre_categorize::PreCategorize;
pub use resolve::Resolve;
pub use route::Route;
pub use submit::Submit;
