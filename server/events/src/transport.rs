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

#[cfg(test)]
use crate::every_event::{Row, row};

pub use categorize::Categorize;
pub use dsn::{Dsn, DsnAction, DsnAnswer, DsnRecipient, DsnRuling};
pub use expand::{Expand, Expanded, Expansion, ExpansionAnswer, Members};
pub use local_delivery::{LocalDelivery, LocalDeliveryAnswer};
pub use max_size::{MaxSize, SizeAnswer};
pub use post_categorize::PostCategorize;
pub use pre_categorize::PreCategorize;
pub use resolve::{Resolve, ResolveAnswer, ResolvedHost};
pub use route::{Route, RouteAnswer};
pub use submit::Submit;

/// The events of this family, by number.
#[cfg(test)]
pub(crate) fn rows() -> Vec<Row> {
    vec![
        row::<Submit>(),
        row::<PreCategorize>(),
        row::<Categorize>(),
        row::<Expand>(),
        row::<PostCategorize>(),
        row::<Route>(),
        row::<MaxSize>(),
        row::<Resolve>(),
        row::<LocalDelivery>(),
        row::<Dsn>(),
    ]
}
