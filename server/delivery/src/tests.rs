//! Deliveries to peers in memory and on sockets, and into Maildirs.
#![allow(clippy::unwrap_used)]

mod against_peers;
mod into_maildir;
mod mx;
