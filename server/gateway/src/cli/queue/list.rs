//! `postern queue list`.

use std::time::SystemTime;

use clap::Args;
use postern_proto::admin::v1::{ListMessagesRequest, MessageEntry};
use serde_json::{Value, json};

use super::super::output::{Printed, print_some};
use super::super::{Exit, output};
use super::Gate;
use super::filters::Filters;
use super::words::{ago, at, cut, octets, safe, state_word, time, until};
use crate::paint::Paint;

/// Arguments of `postern queue list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(
        flatten,
        next_help_heading = "Filters: those that fit all of them; * in a pattern is any text"
    )]
    filters: Filters,
    /// At most so many
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        hide_default_value = true
    )]
    limit: u64,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Columns that a sender has.
const SENDER: usize = 32;
/// Columns that a reason has.
const REASON: usize = 100;

pub(super) fn run(gate: &Gate, args: &ListArgs) -> Exit {
    gate.run(async |mut client| {
        let request = ListMessagesRequest {
            filter: Some(args.filters.filter()),
            limit: args.limit,
        };
        let mut pages = client.list_messages(request).await?.into_inner();
        let paint = Paint::on(&std::io::stdout());
        let (now, mut count) = (SystemTime::now(), 0_u64);
        while let Some(page) = pages.message().await? {
            let mut text = String::new();
            if count == 0 && !args.json {
                text.push_str(&paint.bold(head()));
                text.push('\n');
            }
            for entry in &page.entries {
                match args.json {
                    true => text.push_str(&as_json(entry).to_string()),
                    false => text.push_str(&line(entry, paint, now)),
                }
                text.push('\n');
            }
            count += page.entries.len() as u64;
            match print_some(&text) {
                Printed::All => {}
                Printed::NobodyReads => return Ok(Exit::Ok),
                Printed::Failed => return Ok(Exit::IoErr),
            }
        }
        Ok(match (args.json, count) {
            (true, _) => Exit::Ok,
            (false, 0) => output::print("no messages\n"),
            (false, 1) => output::print(&format!("{}\n", paint.dim("1 message"))),
            (false, _) => output::print(&format!("{}\n", paint.dim(format!("{count} messages")))),
        })
    })
}

fn head() -> String {
    format!(
        "{:<36}  {:<11}  {:>6}  {:>9}  {:>5}  {:>5}  {:>6}  {:<SENDER$}  REASON",
        "ID", "STATE", "AGE", "SIZE", "RCPTS", "TRIES", "NEXT", "SENDER"
    )
}

fn line(entry: &MessageEntry, paint: Paint, now: SystemTime) -> String {
    let age = entry.received.and_then(time);
    let next = entry.due.and_then(time);
    let sender = match entry.sender.as_str() {
        "" => "<>".to_owned(),
        sender => cut(&safe(sender), SENDER),
    };
    let state = format!("{:<11}", state_word(entry.state()));
    use postern_proto::admin::v1::MessageState::{Damaged, Deliver, Held, OnHold, Quarantined};
    let state = match entry.state() {
        Quarantined | Damaged => paint.red(state),
        Held | OnHold => paint.yellow(state),
        Deliver if entry.attempts > 0 => paint.yellow(state),
        _ => state,
    };
    let line = format!(
        "{:<36}  {state}  {:>6}  {:>9}  {:>5}  {:>5}  {:>6}  {sender:<SENDER$}  {}",
        entry.id,
        age.map_or_else(String::new, |age| ago(age, now)),
        octets(entry.size),
        entry.recipients,
        entry.attempts,
        next.map_or_else(|| "-".to_owned(), |next| until(next, now)),
        cut(&safe(&entry.reason), REASON),
    );
    line.trim_end().to_owned()
}

pub(super) fn as_json(entry: &MessageEntry) -> Value {
    let when = |stamp: Option<prost_types::Timestamp>| stamp.and_then(time).map(at);
    let waiting = entry.waiting.iter().map(|one| {
        json!({
            "destination": one.destination,
            "due": when(one.due),
            "recipients": one.recipients,
            "attempts": one.attempts,
            "reason": one.reason,
        })
    });
    json!({
        "id": entry.id,
        "state": state_word(entry.state()),
        "due": when(entry.due),
        "server": entry.server,
        "sender": entry.sender,
        "size": entry.size,
        "received": when(entry.received),
        "recipients": entry.recipients,
        "attempts": entry.attempts,
        "reason": entry.reason,
        "waiting": waiting.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use postern_proto::admin::v1::MessageState;

    use super::*;

    #[test]
    fn columns_stand_below_their_heads() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let entry = MessageEntry {
            id: "019a0000-0000-7000-8000-000000000000".to_owned(),
            state: MessageState::Quarantined.into(),
            sender: "a@example.test".to_owned(),
            size: 1234,
            received: Some((now - Duration::from_secs(61)).into()),
            recipients: 2,
            reason: "scan: eicar\u{1b}[2J".to_owned(),
            ..MessageEntry::default()
        };
        let (head, line) = (head(), line(&entry, Paint::none(), now));
        for (name, value) in [
            ("STATE", "quarantined"),
            ("SENDER", "a@"),
            ("REASON", "scan: "),
        ] {
            assert_eq!(head.find(name), line.find(value), "{head}\n{line}");
        }
        assert!(line.contains("1m01s") && line.contains("1.2 KiB"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line}");
        let json = as_json(&entry);
        assert_eq!(json["state"], "quarantined");
        assert_eq!(json["received"], "1970-01-01T02:45:39Z");
        assert_eq!(json["due"], Value::Null);
    }
}
