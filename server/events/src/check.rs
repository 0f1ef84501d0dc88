//! Checks of values that come from sinks, one by one: what each may be, whoever sent it and whatever was asked.

mod address;
mod bounds;
mod hop;
mod lines;
mod value;

pub use bounds::{
    MAX_BRANCHES, MAX_DELAY, MAX_EDITS, MAX_EXPLANATION_OCTETS, MAX_LITERAL_OCTETS,
    MAX_PROPERTY_EDITS, MAX_PROPERTY_OCTETS, MAX_VERDICT_OCTETS, MAX_WAIT, MAX_WARNING_OCTETS,
    MAX_WARNINGS,
};

pub(crate) use address::{
    forward_path, key, lifetime, new_recipient, parameter, property, reverse_path,
};
pub(crate) use bounds::MAX_ITEMS;
pub(crate) use hop::{next_hop, next_hops};
pub(crate) use lines::lines;
pub(crate) use value::{duration, is_key, limit, name_or_empty, recipient_id, wait};
