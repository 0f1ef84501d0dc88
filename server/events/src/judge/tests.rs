#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod model;
mod own;
mod random;
