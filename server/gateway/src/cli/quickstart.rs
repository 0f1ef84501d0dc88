//! `postern quickstart`: see it work.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, output};
use crate::quickstart::{self, QuickstartError, Wishes};

/// Arguments of `postern quickstart`.
#[derive(Debug, Args)]
pub(crate) struct QuickstartArgs {
    /// End after the demonstration; otherwise it goes on taking mail until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Put everything into this empty folder and leave it there to go on from
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

pub(crate) fn run(args: &QuickstartArgs) -> Exit {
    let wishes = Wishes {
        once: args.once,
        keep: args.keep.clone(),
    };
    match quickstart::run(&wishes) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            output::complain(&error);
            match error {
                QuickstartError::NotEmpty(_) | QuickstartError::TooLong(_) => Exit::CantCreate,
                QuickstartError::Io { .. } => Exit::Unavailable,
                QuickstartError::Serve(error) => error.exit(),
                QuickstartError::Config(_) | QuickstartError::NotDelivered => Exit::Software,
            }
        }
    }
}
