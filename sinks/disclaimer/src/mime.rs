//! The MIME structure of a message, read strictly: what can be read in two ways is an error.

pub(crate) mod agree;
pub(crate) mod charset;
pub(crate) mod field;
pub(crate) mod parameters;
pub(crate) mod structure;
pub(crate) mod transfer;
