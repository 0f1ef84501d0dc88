//! Postern's configuration: read from files and environment, typed, with every error on a line of its own.

pub mod settings;

mod check;
mod document;
mod elements;
mod environment;
mod error;
mod explain;
mod kind;
mod layer;
mod load;
mod nearest;
mod origin;
mod reader;
mod reference;
mod registry;
mod schema;
mod section;
mod tree;

pub use environment::{Env, ProcessEnv};
pub use error::ConfigError;
pub use explain::explain;
pub use load::{DEFAULT_PATH, Effective, load};
pub use origin::Origin;
pub use reader::Setting;
pub use reference::reference;
pub use schema::schema;
pub use settings::Config;
