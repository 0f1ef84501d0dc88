//! `postern queue`: the messages of the running gateway, seen and steered.

mod change;
mod filters;
mod list;
mod show;
mod stats;
pub(crate) mod words;

use clap::{Args, Subcommand};

use super::Exit;
use super::reach::Gate;

/// Arguments of `postern queue`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    gate: Gate,
}

const EXAMPLES: &str = "\
Examples:
  postern queue stats                                     What waits for what, and from whom
  postern queue list --state quarantined                  What was kept, by which binding and why
  postern queue list --reason 'timed out' --older-than 2h
  postern queue show ID                                   All that is known of one message
  postern queue retry --destination 'smtp://mx.example.test:25'
  postern queue release ID                                Go on, without the binding that keeps it
  postern queue hold --sender '*@example.test' --dry-run  What would be held?
  postern queue bounce ID --because 'the mailbox is closed'

Exit codes: 0 well, 64 usage, 65 a damaged message, 66 no such message, 69 the gateway does not run, 75 some messages
were busy or could not be changed now, 77 not allowed.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// List messages, in the order of their arrival
    List(list::ListArgs),
    /// Show all that is known of messages: recipients, replies, and what keeps them
    Show(show::ShowArgs),
    /// Print the content of a message as it would be delivered
    Cat(show::CatArgs),
    /// Keep messages where they are until they are released
    Hold(change::ChangeArgs),
    /// Let messages go on: those on hold, and held or quarantined ones without the binding that keeps them
    Release(change::ChangeArgs),
    /// Try messages again at once, and destinations that are left alone
    Retry(change::ChangeArgs),
    /// Return messages to their senders
    Bounce(change::ChangeArgs),
    /// Remove messages; nobody is told
    Remove(change::ChangeArgs),
    /// Count messages by state, destination and sender
    Stats(stats::StatsArgs),
}

pub(crate) fn run(args: &QueueArgs) -> Exit {
    use postern_proto::admin::v1::Change;
    match &args.verb {
        Verb::List(list) => list::run(&args.gate, list),
        Verb::Show(show) => show::run(&args.gate, show),
        Verb::Cat(cat) => show::cat(&args.gate, cat),
        Verb::Hold(change) => change::run(&args.gate, change, Change::Hold),
        Verb::Release(change) => change::run(&args.gate, change, Change::Release),
        Verb::Retry(change) => change::run(&args.gate, change, Change::Retry),
        Verb::Bounce(change) => change::run(&args.gate, change, Change::Bounce),
        Verb::Remove(change) => change::run(&args.gate, change, Change::Remove),
        Verb::Stats(stats) => stats::run(&args.gate, stats),
    }
}
