//! How the program ends, by sysexits.h.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// What was asked for is not so, or not there.
    Failure = 1,
    /// The arguments were wrong.
    Usage = 64,
    /// What was given is damaged, or not fit.
    DataErr = 65,
    /// What was named is not there.
    NoInput = 66,
    /// A sink or another service cannot be reached.
    Unavailable = 69,
    /// A fault of the program.
    Software = 70,
    /// A file cannot be created.
    CantCreate = 73,
    /// Reading or writing failed.
    IoErr = 74,
    /// It may work later.
    TempFail = 75,
    /// The other side does not speak as expected.
    Protocol = 76,
    /// Not allowed.
    NoPerm = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
