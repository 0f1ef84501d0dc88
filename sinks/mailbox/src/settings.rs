//! What an operator can set in the binding.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The properties of a binding.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where mailboxes are: a folder for each address.
    pub folder: PathBuf,
    /// A mailbox is made of a name that has none. Without it mail for one is refused.
    #[serde(default = "yes")]
    pub create: bool,
    /// Messages that a mailbox holds at most. Left out: any number.
    #[serde(default)]
    pub most: Option<u64>,
}

const fn yes() -> bool {
    true
}
