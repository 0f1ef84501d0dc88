//! `postern-stamp`: adds a trace header to each message, and shows every event in its log.

use std::process::ExitCode;

use postern_sink_stamp::sink::stamp;

fn main() -> ExitCode {
    stamp().run()
}
