//! What a sink asked for when the operator last accepted it.

use serde::{Deserialize, Serialize};

use super::spec::{Ask, BodyDepth};

/// An accepted description. What the sink asks for later is not given without another acceptance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The sink's own name.
    pub name: String,
    /// Its version when it was accepted.
    pub version: String,
    /// The events, with the depth of content for each.
    pub events: Vec<PinnedEvent>,
    /// The words of `reads`; empty: everything that its events show.
    #[serde(default)]
    pub reads: Vec<String>,
    /// The words of `may`.
    #[serde(default)]
    pub may: Vec<String>,
    /// The verbs that it adds to the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<PinnedVerb>,
    /// The keywords of EHLO that it adds, each with its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ehlo_keywords: Vec<String>,
    /// Asking it changes something outside.
    #[serde(default)]
    pub side_effects: bool,
    /// It may be asked again on another replica all the same.
    #[serde(default)]
    pub repeatable: bool,
    /// The user ids of the processes that answered on its Unix sockets. Empty: it has none, or nobody looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<u32>,
}

/// One verb of a [`Pin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedVerb {
    /// The verb in upper case.
    pub name: String,
    /// What HELP says of it.
    #[serde(default)]
    pub help: String,
}

/// One event of a [`Pin`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedEvent {
    /// Its dotted name.
    pub event: String,
    /// How much of the content.
    #[serde(default)]
    pub body: BodyDepth,
    /// When it wants to be asked.
    #[serde(default)]
    pub ask: Ask,
}
