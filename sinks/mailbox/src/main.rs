//! `postern-mailbox`: keeps mail in files, one for each message of each recipient.

use std::process::ExitCode;

use postern_sink_mailbox::sink::mailbox;

fn main() -> ExitCode {
    mailbox().run()
}
