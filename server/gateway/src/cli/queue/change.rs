//! The verbs that change messages: hold, release, retry, bounce, remove.

use std::io::IsTerminal as _;
use std::io::Write as _;

use clap::Args;
use postern_proto::admin::v1::{
    Change, ChangeMessagesRequest, ChangeOutcome, ChangeResult, Filter,
};
use serde_json::json;
use tonic::Status;

use super::super::output::{Printed, print_some};
use super::super::reach::Client;
use super::super::{Exit, output};
use super::Gate;
use super::filters::Filters;
use super::words::safe;
use crate::paint::Paint;

/// Ids in one request.
const IDS: usize = 1000;
/// Messages that are told of one by one, where nothing is wrong with them.
const TOLD: u64 = 50;

/// Arguments of the verbs that change messages.
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The messages; or say by filters which are meant
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(
        flatten,
        next_help_heading = "Filters: those that fit all of them; * in a pattern is any text"
    )]
    filters: Filters,
    /// All messages
    #[arg(long)]
    all: bool,
    /// Why, for the record; a report to a sender has it too
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    because: String,
    /// Change nothing, and tell what would be changed
    #[arg(long)]
    dry_run: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(gate: &Gate, args: &ChangeArgs, change: Change) -> Exit {
    let says = args.filters.say_something();
    let wrong = match (args.ids.is_empty(), says, args.all) {
        (false, true, _) => Some("ids and filters cannot be given together"),
        (false, _, true) | (_, true, true) => Some("--all goes with neither ids nor filters"),
        (true, false, false) => {
            Some("which messages? give ids, filters or --all; see \"postern queue list\"")
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        output::complain(&wrong);
        return Exit::Usage;
    }
    gate.run(async |mut client| {
        let mut tally = Tally::new(args);
        for request in requests(args, change) {
            if let Err(status) = tally.follow(&mut client, request).await {
                // What was done is told before what went wrong.
                if !tally.is_empty() {
                    tally.finish();
                }
                return Err(status);
            }
        }
        Ok(tally.finish())
    })
}

/// One request for the filter, or some for the ids.
fn requests(args: &ChangeArgs, change: Change) -> Vec<ChangeMessagesRequest> {
    let request = |ids: &[String], filter: Option<Filter>| ChangeMessagesRequest {
        change: change.into(),
        ids: ids.to_vec(),
        filter,
        all: args.all,
        dry_run: args.dry_run,
        reason: args.because.clone(),
    };
    match args.ids.is_empty() {
        true => vec![request(&[], Some(args.filters.filter()))],
        false => args.ids.chunks(IDS).map(|ids| request(ids, None)).collect(),
    }
}

/// What came of all messages so far.
struct Tally<'a> {
    args: &'a ChangeArgs,
    paint: Paint,
    /// How far it is, on a terminal.
    progress: bool,
    done: u64,
    /// Busy, or it failed.
    left: u64,
    unfit: u64,
    missing: u64,
    printed: Exit,
    /// Nobody reads any more, or nothing can be printed. What was begun is done to its end all the same.
    silent: bool,
}

impl<'a> Tally<'a> {
    fn new(args: &'a ChangeArgs) -> Self {
        Self {
            args,
            paint: Paint::on(&std::io::stdout()),
            progress: std::io::stderr().is_terminal() && !args.json,
            done: 0,
            left: 0,
            unfit: 0,
            missing: 0,
            printed: Exit::Ok,
            silent: false,
        }
    }

    fn all(&self) -> u64 {
        self.done + self.left + self.unfit + self.missing
    }

    async fn follow(
        &mut self,
        client: &mut Client,
        request: ChangeMessagesRequest,
    ) -> Result<(), Status> {
        let mut pages = client.change_messages(request).await?.into_inner();
        while let Some(page) = pages.message().await? {
            let lines: String = page
                .outcomes
                .iter()
                .filter_map(|outcome| self.count(outcome))
                .collect();
            self.clear();
            if !self.silent {
                match print_some(&lines) {
                    Printed::All => {}
                    Printed::NobodyReads => self.silent = true,
                    Printed::Failed => {
                        self.silent = true;
                        self.printed = Exit::IoErr;
                    }
                }
            }
            self.show();
        }
        self.clear();
        Ok(())
    }

    /// Counts one, and gives its line if it has one.
    fn count(&mut self, outcome: &ChangeOutcome) -> Option<String> {
        let result = outcome.result();
        let count = match result {
            ChangeResult::Done | ChangeResult::WouldBeDone => &mut self.done,
            ChangeResult::Unfit => &mut self.unfit,
            ChangeResult::NotFound => &mut self.missing,
            ChangeResult::Busy | ChangeResult::Failed | ChangeResult::Unspecified => &mut self.left,
        };
        *count += 1;
        if self.args.json {
            let json = json!({ "id": outcome.id, "result": word(result), "text": outcome.text });
            return Some(format!("{json}\n"));
        }
        let is_well = matches!(result, ChangeResult::Done | ChangeResult::WouldBeDone);
        if is_well && self.done > TOLD {
            return None;
        }
        let text = safe(&outcome.text);
        let text = match is_well {
            true => text,
            false => self.paint.yellow(text),
        };
        let more = match is_well && self.done == TOLD {
            true => "… those that follow are only counted\n",
            false => "",
        };
        Some(format!("{}  {text}\n{more}", outcome.id))
    }

    fn show(&self) {
        if self.progress && self.all() > TOLD {
            // Only to be looked at.
            drop(write!(std::io::stderr(), "\r{} messages …", self.all()));
        }
    }

    fn clear(&self) {
        if self.progress && self.all() > TOLD {
            drop(write!(std::io::stderr(), "\r\u{1b}[K"));
        }
    }

    /// Prints the sums, unless they are to be read by a program, and says how it went.
    /// Nothing has come of any message yet.
    fn is_empty(&self) -> bool {
        self.done + self.left + self.missing + self.unfit == 0
    }

    fn finish(self) -> Exit {
        self.clear();
        let exit = match (self.left, self.missing, self.unfit) {
            (1.., ..) => Exit::TempFail,
            (0, 1.., _) => Exit::NoInput,
            (0, 0, 1..) if self.done == 0 => Exit::DataErr,
            _ => Exit::Ok,
        };
        if self.silent || self.args.json {
            return if self.printed == Exit::Ok {
                exit
            } else {
                self.printed
            };
        }
        let done = match self.args.dry_run {
            true => "would be changed",
            false => "changed",
        };
        let mut parts = vec![format!("{} {done}", self.done)];
        for (count, what) in [
            (self.unfit, "left alone"),
            (self.left, "busy or failed: try again"),
            (self.missing, "not in the queue"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        match output::print(&format!("{}\n", self.paint.dim(parts.join(", ")))) {
            Exit::Ok => exit,
            failed => failed,
        }
    }
}

fn word(result: ChangeResult) -> &'static str {
    match result {
        ChangeResult::Unspecified => "unknown",
        ChangeResult::Done => "done",
        ChangeResult::WouldBeDone => "would-be-done",
        ChangeResult::Busy => "busy",
        ChangeResult::Unfit => "unfit",
        ChangeResult::NotFound => "not-found",
        ChangeResult::Failed => "failed",
    }
}
