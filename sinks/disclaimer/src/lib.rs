//! Text added to messages where their reader sees it, in the charset and encoding of each text, or not at all:
//! a message that cannot be edited with certainty keeps its octets.
//!
//! [`edit`] is the edit, on octets alone. [`policy`] says which text a message gets by the [`settings`].
//! [`outcome`] joins the two. [`sink`] hands it what a gateway asks about, and is all that knows of gateways.

pub mod edit;
pub mod outcome;
pub mod policy;
pub mod reason;
pub mod settings;
pub mod sink;
pub mod template;

mod binding;
mod mime;
