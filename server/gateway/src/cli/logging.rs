//! The log, on standard error.

use std::io::IsTerminal as _;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::log;

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
    let coloured = std::io::stderr().is_terminal();
    let queue = log::start(coloured).map_err(|error| format!("no thread for the log: {error}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(queue)
        .with_ansi(coloured)
        // It would complain on standard error, which is what has failed then.
        .log_internal_errors(false)
        .try_init()
        .map_err(|error| error.to_string())?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let payload = panic.payload();
        let message = match (
            payload.downcast_ref::<&str>(),
            payload.downcast_ref::<String>(),
        ) {
            (Some(text), _) => text,
            (None, Some(text)) => text.as_str(),
            (None, None) => "no message",
        };
        tracing::error!(place, message, "a part of the program panicked");
    }));
    Ok(())
}

/// Time for the last lines at the end of the program.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Waits, not for long, until what was logged is written.
pub(crate) fn finish() {
    log::flush(LAST_LINES);
}
