//! `postern serve`: the gateway in the foreground.

use clap::Args;

use super::{ConfigFile, Exit, output};
use crate::serve::{self, Options};

/// Arguments of `postern serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM and SIGINT end it: no new connections, idle sessions are told, what runs may finish. A second one ends it at \
once. What was accepted is in the spool in any case.

SIGHUP reads certificates and files of recipients and of users anew at once; they are also looked at every few seconds.
Everything else in the configuration takes a restart.")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    file: ConfigFile,
}

pub(crate) fn run(args: &ServeArgs) -> Exit {
    let effective = match args.file.load() {
        Ok(effective) => effective,
        Err(exit) => return exit,
    };
    match serve::run(&effective, Options::default()) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            output::complain(&error);
            error.exit()
        }
    }
}
