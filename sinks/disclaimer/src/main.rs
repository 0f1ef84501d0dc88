//! `postern-disclaimer`: appends the operator's text to messages that were accepted.

use std::process::ExitCode;

use postern_sink_disclaimer::sink::disclaimer;

fn main() -> ExitCode {
    disclaimer().run()
}
