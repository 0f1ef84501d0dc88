//! The password of a new user: from a file, from the terminal, or from standard input.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::path::Path;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use postern_auth::{Password, UserName};

use super::Failed;
use crate::cli::Exit;

/// Octets of a line that is read.
const MAX_LINE: u64 = 4096;

/// Reads the password of a user.
pub(super) fn read(file: Option<&Path>, user: &UserName) -> Result<Password, Failed> {
    let line = match file {
        Some(path) => {
            let failed =
                |error: io::Error| Failed(Exit::IoErr, format!("{}: {error}", path.display()));
            first_line(File::open(path).map_err(failed)?).map_err(failed)?
        }
        None if io::stdin().is_terminal() => asked(user)?,
        None => first_line(io::stdin()).map_err(|error| standard_input(&error))?,
    };
    Password::parse(&line).map_err(|error| Failed(Exit::Usage, error.to_string()))
}

/// Asks twice, and shows nothing of what is typed.
fn asked(user: &UserName) -> Result<Vec<u8>, Failed> {
    let once = |question: &str| -> io::Result<Vec<u8>> {
        let mut err = io::stderr().lock();
        write!(err, "{question}")?;
        err.flush()?;
        let hidden = Hidden::hide()?;
        let line = first_line(io::stdin());
        drop(hidden);
        writeln!(err)?;
        line
    };
    let failed = |error: io::Error| standard_input(&error);
    let first = once(&format!("Password of {user}: ")).map_err(failed)?;
    if first != once("Once more: ").map_err(failed)? {
        return Err(Failed(Exit::Usage, "the two are not the same".to_owned()));
    }
    Ok(first)
}

fn standard_input(error: &io::Error) -> Failed {
    Failed(Exit::IoErr, format!("standard input: {error}"))
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn hide() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Err(error) = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0) {
            tracing::warn!(%error, "the terminal does not show again what is typed; \"stty echo\" makes it");
        }
    }
}

/// The first line without its end.
fn first_line(from: impl Read) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(from.take(MAX_LINE)).read_until(b'\n', &mut line)?;
    for end in [b'\n', b'\r'] {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_line_is_the_password() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let user = UserName::parse("anna").unwrap();
        for text in ["pencil", "pencil\n", "pencil\r\n", "pencil\nmore\n"] {
            std::fs::write(&path, text).unwrap();
            let password = read(Some(&path), &user).ok().unwrap();
            assert_eq!(password, Password::parse(b"pencil").unwrap(), "{text:?}");
        }
        std::fs::write(&path, "\npencil\n").unwrap();
        assert!(read(Some(&path), &user).is_err());
        assert!(read(Some(&folder.path().join("none")), &user).is_err());
    }
}
