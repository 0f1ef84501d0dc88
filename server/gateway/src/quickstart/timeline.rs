//! What happens, line by line, as it is observed.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use postern_dispatch::observer::{Observer, Record, What};
use postern_events::event::EventKind;
use postern_message::{Edit, HeaderPlace};
use postern_smtp::reply::Reply;

/// Lines that may wait to be printed. More are lost rather than waited for.
const LINES_MAX: usize = 4096;

/// Lines of the timeline, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    started: Instant,
    lines: SyncSender<Line>,
}

/// What waits to be printed.
#[derive(Debug)]
enum Line {
    Text(String),
    /// Nothing is printed after it.
    End,
}

/// The thread that prints.
#[derive(Debug)]
pub(crate) struct Printer {
    thread: JoinHandle<()>,
    lines: SyncSender<Line>,
}

impl Timeline {
    /// Begins at time zero. The printer ends when it is finished, whoever still holds the timeline.
    pub(crate) fn start() -> (Self, Printer) {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let printer = Printer {
            thread: thread::spawn(move || print(&waiting)),
            lines: lines.clone(),
        };
        let timeline = Self {
            started: Instant::now(),
            lines,
        };
        (timeline, printer)
    }

    /// A line of its own, without time.
    pub(crate) fn title(&self, text: impl Display) {
        self.send(format!("\n{text}\n"));
    }

    /// A line without time.
    pub(crate) fn plain(&self, text: impl Display) {
        self.send(format!("{text}\n"));
    }

    /// What went over the client's connection.
    pub(crate) fn dialogue(&self, who: &str, line: &str) {
        self.event(format!("{who} {line}"));
    }

    /// A line with its time.
    pub(crate) fn event(&self, text: impl Display) {
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        self.send(format!("{ms:8.1} ms  {text}\n"));
    }

    fn send(&self, line: String) {
        // A full queue or a printer that is gone: the demonstration goes on without the line.
        self.lines.try_send(Line::Text(line)).ok();
    }
}

impl Printer {
    /// Waits until everything that was sent before is printed.
    pub(crate) fn finish(self) {
        // A panic in the thread has printed itself.
        self.lines.send(Line::End).ok();
        self.thread.join().ok();
    }
}

fn print(lines: &Receiver<Line>) {
    let mut out = io::stdout();
    while let Ok(Line::Text(line)) = lines.recv() {
        // Nobody reads any more: keep the channel empty all the same.
        if out
            .write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .is_err()
        {
            continue;
        }
    }
}

impl Observer for Timeline {
    fn observe(&self, record: &Record<'_>) {
        if let Some(text) = line(record) {
            self.event(text);
        }
    }

    fn listens(&self, _event: EventKind) -> bool {
        true
    }
}

/// `   inbound.rcpt  <b@example.test>   stamp: proceed, 0.4 ms`. Questions are not shown: their
/// answers are.
fn line(record: &Record<'_>) -> Option<String> {
    let Some(event) = record.event else {
        return about_replica(record);
    };
    let mut text = match &record.what {
        What::Asked { .. } | What::Ruled { .. } => return None,
        What::Told => "told".to_owned(),
        What::Answered {
            elapsed,
            decision,
            reply,
            edits,
            explanation,
            ..
        } => {
            let mut text = format!(
                "{}, {:.1} ms",
                decision.name(),
                elapsed.as_secs_f64() * 1000.0
            );
            append_reply(&mut text, *reply);
            if !explanation.is_empty() {
                text.push_str(&format!(" ({explanation})"));
            }
            for edit in *edits {
                text.push_str(&format!("\n{:15}     {}", "", describe(edit)));
            }
            text
        }
        What::Failed { elapsed, fault } => {
            format!(
                "FAILED after {:.1} ms: {fault}",
                elapsed.as_secs_f64() * 1000.0
            )
        }
        What::Skipped { why } => format!("does not fire: {why}"),
        What::NotReached { because } => format!("not reached because of {because}"),
        What::Late => "answered too late".to_owned(),
        What::Dropped { count } => format!("{count} one-way events lost"),
        What::ReplicaUp { .. }
        | What::ReplicaDown { .. }
        | What::AsksForMore { .. }
        | What::ContractBroken { .. }
        | What::GoingAway { .. }
        | What::SinkReachable
        | What::SinkUnreachable { .. } => {
            return about_replica(record);
        }
    };
    let name = event.to_string();
    text.insert_str(0, &format!("   {name:<19} {:<10} ", record.binding));
    if !record.detail.is_empty() {
        let end = text.find('\n').unwrap_or(text.len());
        text.insert_str(end, &format!("  [{}]", record.detail));
    }
    Some(text)
}

fn about_replica(record: &Record<'_>) -> Option<String> {
    let (sink, replica) = (record.sink, record.replica);
    match &record.what {
        What::ReplicaUp { description } => {
            Some(format!("   sink {sink} at {replica}: {description}"))
        }
        What::ReplicaDown { fault, .. } => {
            Some(format!("   sink {sink} at {replica} is down: {fault}"))
        }
        What::AsksForMore { what } => Some(format!(
            "   sink {sink} asks for {what} and does not get it"
        )),
        _ => None,
    }
}

fn append_reply(text: &mut String, reply: Option<&Reply>) {
    if let Some(reply) = reply {
        // Writing to a String cannot fail.
        write!(text, ", {reply}").ok();
    }
}

/// One edit in words.
fn describe(edit: &Edit) -> String {
    match edit {
        Edit::InsertHeader { at, name, value } => {
            let place = match at {
                HeaderPlace::First => "in front",
                HeaderPlace::Last => "at the end",
                HeaderPlace::Before(_) | HeaderPlace::After(_) => "in between",
            };
            format!(
                "+ {}: {}  ({place})",
                text(name.as_bytes()),
                text(value.as_bytes())
            )
        }
        Edit::ReplaceHeader { id, value, .. } => {
            format!("~ header field {}: {}", id.0, text(value.as_bytes()))
        }
        Edit::RemoveHeader { id } => format!("- header field {}", id.0),
        Edit::SpliceBody {
            offset,
            remove,
            insert,
        } => {
            format!(
                "~ body at {offset}: {remove} octets out, {} in",
                insert.len()
            )
        }
        Edit::ReplaceBody { body } => format!("~ body: another one of {} octets", body.len()),
        Edit::SetSender { sender } => format!("~ sender: {sender}"),
        Edit::AddRecipient(recipient) => format!("+ recipient {}", recipient.address),
        Edit::RemoveRecipient { .. } => "- a recipient".to_owned(),
        Edit::RewriteRecipient { address, .. } => format!("~ a recipient: {address}"),
        Edit::SetHeader { name, value, .. } => {
            format!("= {}: {}", text(name.as_bytes()), text(value.as_bytes()))
        }
        Edit::RemoveHeaders { names } => format!("- {names:?}"),
        Edit::RetainRecipients { ids } => {
            format!("~ recipients: {} are kept", ids.len())
        }
        Edit::SetParameter { .. } => "~ a parameter".to_owned(),
        Edit::SetProperty { key, value, .. } => match value {
            Some(value) => format!("~ property {key} = {value:?}"),
            None => format!("- property {key}"),
        },
    }
}

fn text(octets: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(octets)
}
