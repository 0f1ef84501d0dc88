//! What commands print: results on standard output, complaints on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};

use super::Exit;

/// Prints a result whole. A reader that has seen enough is no failure.
pub(crate) fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            Exit::IoErr
        }
    }
}

/// How far the printing of one part of a result came.
pub(crate) enum Printed {
    /// All of it is printed.
    All,
    /// A reader has seen enough.
    NobodyReads,
    /// It failed, and that was said.
    Failed,
}

/// Prints a part of a result, where more may follow.
pub(crate) fn print_some(text: &str) -> Printed {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Printed::All,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Printed::NobodyReads,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            Printed::Failed
        }
    }
}

/// Prints one line about what is wrong.
pub(crate) fn complain(line: &dyn Display) {
    // It stands behind what was logged before it.
    super::logging::finish();
    let mut err = io::stderr().lock();
    // Where nothing can be printed, nobody can be told so; the exit code still speaks.
    drop(writeln!(err, "{line}"));
}
