//! The log, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The variable that says what is logged. One underscore: it is no key of the configuration.
const VARIABLE: &str = "POSTERN_LOG";

/// Starts logging as `POSTERN_LOG` says; without it, at `level`.
///
/// # Errors
/// One line, when the variable says nothing that can be understood.
pub(crate) fn start(level: &str) -> Result<(), String> {
    let filter = match std::env::var(VARIABLE) {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(&text).map_err(|error| {
            format!("environment {VARIABLE}: {error}; write a level such as \"info\", or \"info,postern_dispatch=debug\"")
        })?,
        Ok(_) | Err(std::env::VarError::NotPresent) => EnvFilter::new(level),
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err(format!("environment {VARIABLE}: is not text; write a level such as \"info\""));
        }
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| error.to_string())
}
