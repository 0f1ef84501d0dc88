//! `postern status`: how the running gateway stands.

use std::time::SystemTime;

use clap::Args;
use postern_proto::admin::v1::{GetStatusRequest, GetStatusResponse, SinkHealth};
use serde_json::json;

use super::queue::words::{ago, at, octets, state_word, time};
use super::reach::Gate;
use super::{Exit, output};
use crate::paint::Paint;

/// Arguments of `postern status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it can accept mail, 69 it does not run, 75 it runs and can accept none, 77 not allowed.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    gate: Gate,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StatusArgs) -> Exit {
    args.gate.run(async |mut client| {
        let status = client.get_status(GetStatusRequest {}).await?.into_inner();
        let text = match args.json {
            true => format!("{:#}\n", as_json(&status)),
            false => as_text(&status, Paint::on(&std::io::stdout()), SystemTime::now()),
        };
        Ok(match output::print(&text) {
            Exit::Ok if !status.ready => Exit::TempFail,
            printed => printed,
        })
    })
}

fn as_text(status: &GetStatusResponse, paint: Paint, now: SystemTime) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        text += &format!("{label:<10} {value}\n");
    };
    line(
        "postern",
        &format!("{}, process {}", status.version, status.process),
    );
    line(
        "up",
        &status
            .started
            .and_then(time)
            .map_or_else(String::new, |started| {
                format!("{}, since {}", ago(started, now), at(started))
            }),
    );
    let ready = match (status.ready, status.draining) {
        (true, _) => paint.green("yes"),
        (false, true) => paint.yellow("no: it is coming to its end"),
        (false, false) => paint.red(format!("no: {}", status.not_ready_because)),
    };
    line("ready", &ready);
    for listener in &status.listeners {
        line(
            "listens",
            &format!("{} ({})", listener.address, listener.server),
        );
    }
    for server in &status.servers {
        line(
            "sessions",
            &format!("{} ({})", server.sessions, server.server),
        );
    }
    let states = status.states.iter().filter(|one| one.messages > 0);
    let states: Vec<_> = states
        .map(|one| format!("{} {}", one.messages, state_word(one.state())))
        .collect();
    let queue = match states.is_empty() {
        true => "empty".to_owned(),
        false => states.join(", "),
    };
    line("queue", &queue);
    line(
        "at work",
        &format!(
            "{} messages in memory, {} wait for room, {} connections",
            status.in_memory, status.waiting_for_room, status.connections
        ),
    );
    line(
        "spool",
        &format!("{}, {} free", status.spool_path, octets(status.spool_free)),
    );
    for sink in &status.sinks {
        let health = match sink.health() {
            SinkHealth::Up => paint.green("up"),
            SinkHealth::Down => paint.red(format!("down: {}", sink.reason)),
            SinkHealth::Unspecified => paint.dim("not known yet"),
        };
        line("sink", &format!("{} {health}", sink.sink));
    }
    text
}

fn as_json(status: &GetStatusResponse) -> serde_json::Value {
    let states = status.states.iter();
    let states: serde_json::Map<_, _> = states
        .map(|one| (state_word(one.state()).to_owned(), json!(one.messages)))
        .collect();
    let sinks = status.sinks.iter().map(|sink| {
        json!({
            "sink": sink.sink,
            "up": match sink.health() {
                SinkHealth::Up => Some(true),
                SinkHealth::Down => Some(false),
                SinkHealth::Unspecified => None,
            },
            "reason": sink.reason,
            "open_questions": sink.open_questions,
        })
    });
    json!({
        "version": status.version,
        "process": status.process,
        "started": status.started.and_then(time).map(at),
        "ready": status.ready,
        "not_ready_because": status.not_ready_because,
        "draining": status.draining,
        "listeners": status.listeners.iter()
            .map(|one| json!({ "server": one.server, "address": one.address }))
            .collect::<Vec<_>>(),
        "sessions": status.servers.iter()
            .map(|one| (one.server.clone(), json!(one.sessions)))
            .collect::<serde_json::Map<_, _>>(),
        "queue": states,
        "in_memory": status.in_memory,
        "waiting_for_room": status.waiting_for_room,
        "connections": status.connections,
        "spool": { "path": status.spool_path, "free": status.spool_free },
        "sinks": sinks.collect::<Vec<_>>(),
    })
}
