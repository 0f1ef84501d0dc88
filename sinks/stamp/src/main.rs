//! `postern-stamp`: adds a trace header to each message, and shows every event in its log.

mod line;
mod properties;
mod stamp;

use std::process::ExitCode;

fn main() -> ExitCode {
    postern_sdk::run(stamp::Stamp)
}
