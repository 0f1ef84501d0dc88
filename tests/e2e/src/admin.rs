//! The operator's commands, run on a gateway as an operator runs them.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::gateway::Gateway;
use crate::programs::program;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ran {
    /// The objects that it printed, one a line.
    ///
    /// # Panics
    /// When a line is none.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.out.lines().map(parse).collect()
    }

    /// The one object that it printed.
    ///
    /// # Panics
    /// When it printed something else.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The admin socket of a gateway with nothing configured.
pub fn socket(gateway: &Gateway) -> PathBuf {
    gateway.folder().join("state/admin.sock")
}

/// A command for a gateway, not started yet.
pub fn command(gateway: &Gateway, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("postern"));
    command
        .args(arguments)
        .arg("--socket")
        .arg(socket(gateway))
        .stdin(Stdio::null());
    command
}

/// Runs a command on a gateway.
///
/// # Panics
/// When it does not start, or prints what is no text.
pub fn run(gateway: &Gateway, arguments: &[&str]) -> Ran {
    ran(&mut command(gateway, arguments))
}

/// Runs a command, and fails unless it ends well.
///
/// # Panics
/// When it does not.
pub fn well(gateway: &Gateway, arguments: &[&str]) -> Ran {
    let ran = run(gateway, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}\n{}", gateway.log());
    ran
}

/// Runs a command to its end.
///
/// # Panics
/// When it does not start, or prints what is no text.
pub fn ran(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("postern does not start: {error}"));
    let text = |octets| String::from_utf8(octets).unwrap_or_else(|error| panic!("{error}"));
    Ran {
        code: status.code().unwrap_or(-1),
        out: text(stdout),
        err: text(stderr),
    }
}

/// Lists messages by a filter.
pub fn list(gateway: &Gateway, filter: &[&str]) -> Vec<Value> {
    let arguments = [&["queue", "list", "--json"], filter].concat();
    well(gateway, &arguments).json_lines()
}

/// Waits until so many messages fit a filter, and lists them.
///
/// # Panics
/// When they never do.
pub fn wait_listed(gateway: &Gateway, filter: &[&str], count: usize) -> Vec<Value> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let found = list(gateway, filter);
        if found.len() == count {
            return found;
        }
        assert!(
            Instant::now() < until,
            "{filter:?}: {found:?}\n{}",
            gateway.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The id of a message that was listed.
///
/// # Panics
/// When it has none.
pub fn id(message: &Value) -> &str {
    message["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {message}"))
}
