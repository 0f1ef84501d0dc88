//! Tests of the client machine: scripted peers, random peers, and the project's own server.
#![allow(clippy::unwrap_used)]

mod against_server;
mod answers;
mod login;
mod model;
mod play;
mod properties;
mod questions;
mod scripts;
