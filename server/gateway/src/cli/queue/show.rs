//! `postern queue show` and `postern queue cat`.

use std::io::Write as _;
use std::time::SystemTime;

use clap::Args;
use postern_proto::admin::v1::{
    Keeper, ReadContentRequest, RecipientEntry, ShowMessageRequest, ShowMessageResponse,
};
use serde_json::{Value, json};

use super::super::{Exit, output};
use super::Gate;
use super::list;
use super::words::{ago, at, octets, safe, state_word, time, until};
use crate::paint::Paint;

/// Arguments of `postern queue show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The messages
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Arguments of `postern queue cat`.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The message
    #[arg(value_name = "ID")]
    id: String,
    /// Only the header section
    #[arg(long)]
    headers: bool,
}

pub(super) fn run(gate: &Gate, args: &ShowArgs) -> Exit {
    gate.run(async |mut client| {
        let paint = Paint::on(&std::io::stdout());
        for (place, id) in args.ids.iter().enumerate() {
            let request = ShowMessageRequest { id: id.clone() };
            let shown = client.show_message(request).await?.into_inner();
            let text = match args.json {
                true => format!("{}\n", as_json(&shown)),
                false if place > 0 => format!("\n{}", as_text(&shown, paint, SystemTime::now())),
                false => as_text(&shown, paint, SystemTime::now()),
            };
            let printed = output::print(&text);
            if printed != Exit::Ok {
                return Ok(printed);
            }
        }
        Ok(Exit::Ok)
    })
}

fn as_text(shown: &ShowMessageResponse, paint: Paint, now: SystemTime) -> String {
    let entry = shown.entry.clone().unwrap_or_default();
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text += &format!("{label:<10} {value}\n");
        }
    };
    line("message", &paint.bold(&entry.id));
    line("state", state_word(entry.state()));
    line(
        "kept by",
        &shown
            .keeper
            .as_ref()
            .map_or_else(String::new, |own| keeper(own, now)),
    );
    line("reason", &safe(&entry.reason));
    line(
        "next",
        &entry.due.and_then(time).map_or_else(
            || "not by itself".to_owned(),
            |due| match until(due, now).as_str() {
                "now" => "now".to_owned(),
                left => format!("in {left}, at {}", at(due)),
            },
        ),
    );
    line(
        "sender",
        match entry.sender.as_str() {
            "" => "<>".to_owned(),
            sender => safe(sender),
        }
        .as_str(),
    );
    line(
        "received",
        &entry
            .received
            .and_then(time)
            .map_or_else(String::new, |received| {
                format!("{} ago, at {}", ago(received, now), at(received))
            }),
    );
    line("server", &entry.server);
    let client = match shown.helo.as_str() {
        "" => shown.client.clone(),
        helo => format!("{} ({})", shown.client, safe(helo)),
    };
    line("client", &client);
    let origin = match (shown.put_in_by.as_str(), shown.parent.as_str()) {
        ("", _) => shown.origin.clone(),
        (sink, "") => format!("put in by the sink {sink}"),
        (sink, parent) => format!("put in by the sink {sink}, because of {parent}"),
    };
    line("origin", &origin);
    line("session", &shown.session);
    let size = match shown.size_as_delivered {
        0 => octets(entry.size),
        other if other == entry.size => octets(entry.size),
        other => format!("{}, {} as delivered", octets(entry.size), octets(other)),
    };
    line("size", &size);
    if shown.priority != 0 {
        line("priority", &shown.priority.to_string());
    }
    line("class", &shown.routing_class);
    for (label, stamp) in [("warns", shown.warns), ("expires", shown.expires)] {
        if let Some(when) = stamp.and_then(time) {
            line(label, &format!("in {}, at {}", until(when, now), at(when)));
        }
    }
    line("passed by", &shown.skipped.join(", "));
    for one in &shown.recipients {
        line("recipient", &recipient(one, now));
        line("", &safe(&one.reply));
    }
    let more = u64::from(entry.recipients).saturating_sub(shown.recipients.len() as u64);
    if more > 0 {
        line("", &format!("and {more} more recipients"));
    }
    text
}

fn keeper(keeper: &Keeper, now: SystemTime) -> String {
    let mut text = match keeper.binding.as_str() {
        "" => format!("an operator, {}", keeper.operator),
        binding if keeper.event.is_empty() => format!("binding {binding}"),
        binding => format!("binding {binding} at {}", keeper.event),
    };
    if let Some(since) = keeper.since.and_then(time) {
        text += &format!(", for {}", ago(since, now));
    }
    if !keeper.reason.is_empty() {
        text += &format!(": {}", safe(&keeper.reason));
    }
    text
}

fn recipient(one: &RecipientEntry, now: SystemTime) -> String {
    let mut text = safe(&one.address);
    if !one.given.is_empty() {
        text += &format!(" (given as {})", safe(&one.given));
    }
    text += &format!(": {}", one.state);
    if one.attempts > 0 {
        text += &format!(" after {} attempts", one.attempts);
    }
    if let Some(due) = one.due.and_then(time) {
        text += &format!(", next in {}", until(due, now));
    }
    match one.destination.as_str() {
        "" => text += ", nowhere to go",
        destination => text += &format!(", to {destination}"),
    }
    text
}

fn as_json(shown: &ShowMessageResponse) -> Value {
    let when = |stamp: Option<prost_types::Timestamp>| stamp.and_then(time).map(at);
    let mut json = list::as_json(&shown.entry.clone().unwrap_or_default());
    json["origin"] = json!(shown.origin);
    json["session"] = json!(shown.session);
    json["client"] = json!(shown.client);
    json["helo"] = json!(shown.helo);
    json["size_as_delivered"] = json!(shown.size_as_delivered);
    json["skipped"] = json!(shown.skipped);
    json["priority"] = json!(shown.priority);
    json["routing_class"] = json!(shown.routing_class);
    json["warns"] = json!(when(shown.warns));
    json["expires"] = json!(when(shown.expires));
    json["put_in_by"] = json!(shown.put_in_by);
    json["parent"] = json!(shown.parent);
    json["kept_by"] = shown.keeper.as_ref().map_or(Value::Null, |own| {
        json!({
            "binding": own.binding,
            "event": own.event,
            "reason": own.reason,
            "since": when(own.since),
            "operator": own.operator,
        })
    });
    let recipients = shown.recipients.iter().map(|one| {
        json!({
            "address": one.address,
            "given": one.given,
            "state": one.state,
            "attempts": one.attempts,
            "due": when(one.due),
            "destination": one.destination,
            "reply": one.reply,
        })
    });
    json["to"] = json!(recipients.collect::<Vec<_>>());
    json
}

pub(super) fn cat(gate: &Gate, args: &CatArgs) -> Exit {
    gate.run(async |mut client| {
        let request = ReadContentRequest {
            id: args.id.clone(),
            headers_only: args.headers,
        };
        let mut pieces = client.read_content(request).await?.into_inner();
        while let Some(piece) = pieces.message().await? {
            let mut out = std::io::stdout().lock();
            match out.write_all(&piece.octets) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(Exit::Ok);
                }
                Err(error) => {
                    output::complain(&format!("standard output: {error}"));
                    return Ok(Exit::IoErr);
                }
            }
        }
        // What is written is flushed.
        Ok(output::print(""))
    })
}
