//! `postern queue stats`.

use std::time::SystemTime;

use clap::Args;
use postern_proto::admin::v1::{GetStatsRequest, GetStatsResponse};
use serde_json::{Value, json};

use super::super::{Exit, output};
use super::Gate;
use super::words::{ago, at, cut, octets, safe, state_word, time, until};
use crate::paint::Paint;

/// Arguments of `postern queue stats`.
#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Destinations and senders that are named, those with most messages
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    top: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Columns of a name and of a reason.
const NAME: usize = 44;
const REASON: usize = 80;

pub(super) fn run(gate: &Gate, args: &StatsArgs) -> Exit {
    gate.run(async |mut client| {
        let request = GetStatsRequest { limit: args.top };
        let stats = client.get_stats(request).await?.into_inner();
        Ok(output::print(&match args.json {
            true => format!("{:#}\n", as_json(&stats)),
            false => as_text(&stats, Paint::on(&std::io::stdout()), SystemTime::now()),
        }))
    })
}

fn as_text(stats: &GetStatsResponse, paint: Paint, now: SystemTime) -> String {
    let all: u64 = stats.states.iter().map(|one| one.messages).sum();
    let mut text = format!(
        "{}\n",
        paint.bold(format!("{:<12} {:>9}", "STATE", "MESSAGES"))
    );
    for one in &stats.states {
        text += &format!("{:<12} {:>9}\n", state_word(one.state()), one.messages);
    }
    text += &format!("{:<12} {all:>9}\n", "all");
    if !stats.destinations.is_empty() {
        let head = format!(
            "{:<NAME$} {:>9} {:>9} {:>7}  WHY",
            "WAITING FOR", "MESSAGES", "RCPTS", "NEXT"
        );
        text += &format!("\n{}\n", paint.bold(head));
    }
    for one in &stats.destinations {
        let line = format!(
            "{:<NAME$} {:>9} {:>9} {:>7}  {}",
            cut(&one.destination, NAME),
            one.messages,
            one.recipients,
            one.next
                .and_then(time)
                .map_or_else(String::new, |next| until(next, now)),
            cut(&safe(&one.reason), REASON),
        );
        text += &format!("{}\n", line.trim_end());
    }
    if !stats.senders.is_empty() {
        let head = format!(
            "{:<NAME$} {:>9} {:>9} {:>7}",
            "SENDER", "MESSAGES", "SIZE", "OLDEST"
        );
        text += &format!("\n{}\n", paint.bold(head));
    }
    for one in &stats.senders {
        let sender = match one.sender.as_str() {
            "" => "<>".to_owned(),
            sender => cut(&safe(sender), NAME),
        };
        text += &format!(
            "{sender:<NAME$} {:>9} {:>9} {:>7}\n",
            one.messages,
            octets(one.octets),
            one.oldest
                .and_then(time)
                .map_or_else(String::new, |oldest| ago(oldest, now)),
        );
    }
    text
}

fn as_json(stats: &GetStatsResponse) -> Value {
    let when = |stamp: Option<prost_types::Timestamp>| stamp.and_then(time).map(at);
    let states = stats.states.iter();
    let states: serde_json::Map<_, _> = states
        .map(|one| (state_word(one.state()).to_owned(), json!(one.messages)))
        .collect();
    let destinations = stats.destinations.iter().map(|one| {
        json!({
            "destination": one.destination,
            "messages": one.messages,
            "recipients": one.recipients,
            "next": when(one.next),
            "reason": one.reason,
        })
    });
    let senders = stats.senders.iter().map(|one| {
        json!({
            "sender": one.sender,
            "messages": one.messages,
            "octets": one.octets,
            "oldest": when(one.oldest),
        })
    });
    json!({
        "states": states,
        "destinations": destinations.collect::<Vec<_>>(),
        "senders": senders.collect::<Vec<_>>(),
    })
}
