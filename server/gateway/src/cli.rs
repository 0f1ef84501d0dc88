//! The commands of the `postern` program.

mod check;
mod config;
mod drain;
mod exit;
mod logging;
mod output;
mod queue;
mod quickstart;
mod reach;
mod serve;
mod status;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use postern_config::{ConfigError, Effective, ProcessEnv};

pub use exit::Exit;

/// An SMTP gateway whose filters are network services.
#[derive(Debug, Parser)]
#[command(name = "postern", version, about, long_about = LONG, after_long_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const LONG: &str = "\
An SMTP gateway whose filters are network services.

Everything that happens to a session or a message is an event. Bindings say which events go to which sink, a gRPC \
service in any language; the sink's verdict decides what happens next.";

const EXAMPLES: &str = "\
Examples:
  postern quickstart                                See it work, with nothing configured
  postern serve --config ./postern.toml             Run the gateway
  postern check --config ./postern.toml --offline   Is the configuration in order?
  postern check --accept disclaimer                 Ask the sinks, and accept what this binding's asks for
  postern status                                    Does it run, and is it well?
  postern queue list --state quarantined            What was kept, by which binding and why
  postern config explain server.limits.recipients   What does this key mean?
  postern user add anna@example.test                Let somebody submit mail
  postern config show | grep -v '# default'         What did somebody set, and where?

Environment:
  POSTERN__…    Every key of the configuration, see docs/configuration.md
  POSTERN_LOG   What is logged: a level, or levels by module (\"info,postern_dispatch=debug\")

Exit codes are those of sysexits.h: 64 usage, 69 a sink or the gateway cannot be reached, 78 the configuration is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway in the foreground
    Serve(serve::ServeArgs),
    /// A whole working set-up on loopback, and a real message through it, every event and verdict shown
    Quickstart(quickstart::QuickstartArgs),
    /// How the running gateway stands: listeners, sessions, queue, sinks, whether it can accept mail
    Status(status::StatusArgs),
    /// The queue of the running gateway: list, show, hold, release, retry, bounce or remove messages
    Queue(queue::QueueArgs),
    /// Bring the running gateway to its end, with time for what runs
    Drain(drain::DrainArgs),
    /// Validate the configuration, reach each sink, list each binding's reads, grants and failure policy
    Check(check::CheckArgs),
    /// Show the configuration in effect, its schema, or what a key means
    Config(config::ConfigArgs),
    /// Add, remove and list the users of a submission server
    User(user::UserArgs),
}

/// Which configuration.
#[derive(Debug, Args)]
pub(crate) struct ConfigFile {
    /// The configuration file; `conf.d/*.toml` beside it are read after it
    #[arg(long = "config", value_name = "FILE", default_value = postern_config::DEFAULT_PATH, global = true)]
    path: PathBuf,
}

impl ConfigFile {
    /// Loads it with the environment of this process.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn read(&self) -> Result<Effective, Vec<ConfigError>> {
        postern_config::load(&self.path, &ProcessEnv)
    }

    /// Loads it with the environment of this process. Every error is a line on standard error.
    pub(crate) fn load(&self) -> Result<Effective, Exit> {
        self.read().map_err(|errors| {
            for error in errors {
                output::complain(&error);
            }
            Exit::Config
        })
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            // Where nothing can be printed, nobody can be told so.
            return if error.print().is_ok() {
                exit.into()
            } else {
                Exit::IoErr.into()
            };
        }
    };
    // The demonstration is read by a person: its log says only what is wrong.
    let level = match cli.command {
        Command::Quickstart(_) | Command::Status(_) | Command::Queue(_) | Command::Drain(_) => {
            "warn"
        }
        _ => "info",
    };
    if let Err(error) = logging::start(level) {
        output::complain(&error);
        return Exit::Usage.into();
    }
    let exit = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Quickstart(args) => quickstart::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Queue(args) => queue::run(&args),
        Command::Drain(args) => drain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Config(args) => config::run(&args),
        Command::User(args) => user::run(&args),
    };
    logging::finish();
    exit.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn accepting_without_asking_is_refused() {
        assert!(Cli::try_parse_from(["postern", "check", "--offline", "--accept"]).is_err());
        assert!(Cli::try_parse_from(["postern", "check", "--accept", "--config", "x"]).is_ok());
        let named = [
            "postern", "check", "--accept", "a", "--accept", "b", "--strict",
        ];
        assert!(Cli::try_parse_from(named).is_ok());
        assert!(
            Cli::try_parse_from(["postern", "config", "show", "--config", "x", "--json"]).is_ok()
        );
        assert!(Cli::try_parse_from(["postern"]).is_err());
    }
}
