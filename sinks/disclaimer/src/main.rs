//! `postern-disclaimer`: appends the operator's text to messages that were accepted.

use std::process::ExitCode;

use postern_sink_disclaimer::sink::Disclaimer;

fn main() -> ExitCode {
    postern_sdk::run(Disclaimer)
}
