//! What happens, line by line, as it is observed.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postern_dispatch::observer::{Observer, Record, What};
use postern_events::event::EventKind;
use postern_message::{Edit, HeaderPlace};
use postern_smtp::reply::Reply;

use crate::paint::Paint;

/// Lines that may wait to be printed. More are lost rather than waited for.
const LINES_MAX: usize = 4096;

/// Lines of the timeline, from any thread.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    started: Instant,
    /// `None` is the end.
    lines: SyncSender<Option<String>>,
    paint: Paint,
    seen: Arc<Mutex<Seen>>,
}

/// What was observed so far, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) questions: usize,
    pub(crate) verdicts: usize,
    pub(crate) edits: usize,
    pub(crate) failures: usize,
}

impl Seen {
    fn count(&mut self, what: &What<'_>) {
        match what {
            What::Asked { .. } => self.questions += 1,
            What::Answered { edits, .. } => {
                self.verdicts += 1;
                self.edits += edits.len();
            }
            What::Failed { .. } => self.failures += 1,
            _ => {}
        }
    }
}

/// The thread that prints.
#[derive(Debug)]
pub(crate) struct Printer(JoinHandle<()>);

impl Timeline {
    /// Begins at time zero. The printer ends when it is told to.
    pub(crate) fn start() -> (Self, Printer) {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let timeline = Self {
            started: Instant::now(),
            lines,
            paint: Paint::on(&io::stdout()),
            seen: Arc::default(),
        };
        (timeline, Printer(thread::spawn(move || print(&waiting))))
    }

    /// The colours of the lines.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// What was observed so far.
    pub(crate) fn seen(&self) -> Seen {
        *self.seen.lock()
    }

    /// Time since the begin.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// A line of its own, without time. The first of several stands out.
    pub(crate) fn title(&self, text: impl Display) {
        let text = text.to_string();
        let (first, rest) = text.split_at(text.find('\n').unwrap_or(text.len()));
        self.send(format!("\n{}{rest}\n", self.paint.bold(first)));
    }

    /// A line without time.
    pub(crate) fn plain(&self, text: impl Display) {
        self.send(format!("{text}\n"));
    }

    /// What went over the client's connection.
    pub(crate) fn dialogue(&self, who: &str, line: &str) {
        self.event(format!("{} {line}", self.paint.bold(who)));
    }

    /// A line with its time.
    pub(crate) fn event(&self, text: impl Display) {
        let ms = self.started.elapsed().as_secs_f64() * 1000.0;
        let time = self.paint.dim(format!("{ms:8.1} ms"));
        self.send(format!("{time}  {text}\n"));
    }

    fn send(&self, line: String) {
        // A full queue or a printer that is gone: the demonstration goes on without the line.
        self.lines.try_send(Some(line)).ok();
    }
}

impl Printer {
    /// Waits until everything is printed that was sent until now. Clones of the timeline may be left: what they send is
    /// lost.
    pub(crate) fn finish(self, timeline: &Timeline) {
        // Where nobody prints any more there is nothing to wait for; a panic of the printer has printed itself.
        if timeline.lines.send(None).is_ok() {
            self.0.join().ok();
        }
    }
}

fn print(lines: &Receiver<Option<String>>) {
    let mut out = io::stdout();
    for line in lines.iter().map_while(|line| line) {
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
        self.seen.lock().count(&record.what);
        if let Some(text) = line(record, self.paint) {
            self.event(text);
        }
    }

    fn listens(&self, _event: EventKind) -> bool {
        true
    }
}

/// `   inbound.rcpt  <b@example.test>   stamp: proceed, 0.4 ms`. Questions are not shown: their
/// answers are.
fn line(record: &Record<'_>, paint: Paint) -> Option<String> {
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
                match decision.name() {
                    "proceed" => paint.green("proceed"),
                    name => paint.yellow(name),
                },
                elapsed.as_secs_f64() * 1000.0
            );
            append_reply(&mut text, *reply);
            if !explanation.is_empty() {
                text.push_str(&format!(" ({explanation})"));
            }
            for edit in *edits {
                text.push_str(&format!("\n{:15}     {}", "", paint.green(describe(edit))));
            }
            text
        }
        What::Failed { elapsed, fault } => paint.red(format!(
            "FAILED after {:.1} ms: {fault}",
            elapsed.as_secs_f64() * 1000.0
        )),
        What::Skipped { why } => format!("does not fire: {why}"),
        What::NotReached { because } => format!("not reached because of {because}"),
        What::Late => "answered too late".to_owned(),
        What::Dropped { count } => format!("{count} one-way events lost"),
        What::ReplicaUp { .. }
        | What::ReplicaDown { .. }
        | What::AsksForMore { .. }
        | What::ContractBroken { .. }
        | What::Acted { .. }
        | What::GoingAway { .. }
        | What::Stalled
        | What::TlsFiles { .. }
        | What::SinkReachable
        | What::SinkUnreachable { .. } => {
            return about_replica(record);
        }
    };
    let name = paint.cyan(format!("{:<19}", event.name()));
    text.insert_str(0, &format!("   {name} {:<10} ", record.binding));
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
