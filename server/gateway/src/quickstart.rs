//! `postern quickstart`: a whole working set-up on loopback, and a real message through it.

mod delivered;
mod mail;
mod setup;
mod sinks;
mod timeline;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use postern_config::ProcessEnv;
use postern_config::settings::server::ListenAddress;

use self::delivered::Line;
use self::setup::Setup;
use self::timeline::{Printer, Timeline};
use crate::serve::{Gateway, Options, ServeError, ServiceEvent};

/// How long the demonstration waits for the gateway to listen, and for the delivery.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long what runs may go on at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// What the demonstration is asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// End after the message has been delivered.
    pub once: bool,
    /// Put everything there and leave it; otherwise a temporary folder goes away at the end.
    pub keep: Option<PathBuf>,
}

/// Why the demonstration failed.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// A file, a process or a connection.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The folder to keep it in has something in it already.
    #[error("{} is not empty; name another folder with --keep", .0.display())]
    NotEmpty(PathBuf),
    /// The path of the folder to keep it in leaves no room for the sockets in it.
    #[error("{}: the path is too long for sockets in it; name a shorter one with --keep", .0.display())]
    TooLong(PathBuf),
    /// The configuration that it wrote itself.
    #[error("the configuration of the demonstration: {0}")]
    Config(String),
    /// The gateway.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The message was not delivered.
    #[error("the message was not delivered within {} s; the gateway's log says why", PATIENCE.as_secs())]
    NotDelivered,
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> QuickstartError {
    move |source| QuickstartError::Io { what, source }
}

/// What the gateway tells the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Ready,
    Delivered,
}

/// Runs the demonstration. Blocks.
///
/// # Errors
/// [`QuickstartError`]
pub fn run(wishes: &Wishes) -> Result<(), QuickstartError> {
    let setup = Setup::prepare(wishes.keep.as_deref())?;
    let (timeline, printer) = Timeline::start();
    introduce(&setup, &timeline);
    let (gateway, news) = prepare(&setup, &timeline, !wishes.once)?;
    let address = smtp_address(&gateway)?;
    let shutdown = gateway.shutdown();
    let served = thread::spawn(move || gateway.run());

    let outcome = demonstrate(address, &setup, &timeline, &news);
    if outcome.is_ok() {
        summarise(&timeline);
    }
    if wishes.once || outcome.is_err() {
        shutdown.drain(DRAIN);
    } else {
        invite(address, &setup, &timeline);
    }
    let ended = served.join();
    outcome?;
    finish(&timeline, printer, &setup, wishes);
    match ended {
        Ok(result) => Ok(result?),
        Err(_) => Err(ServeError::Failed("the gateway's thread").into()),
    }
}

fn introduce(setup: &Setup, timeline: &Timeline) {
    timeline.title(format!(
        "Postern's quickstart\n\
         \n  gateway     this process ({})\
         \n  stamp       a sink in a process of its own ({}): shows every event, adds trace headers\
         \n  disclaimer  a sink in a process of its own ({}): appends a text once the message is accepted\
         \n  files       {}",
        std::process::id(),
        setup.stamp.pid(),
        setup.disclaimer.pid(),
        setup.folder().display(),
    ));
}

fn prepare(
    setup: &Setup,
    timeline: &Timeline,
    signals: bool,
) -> Result<(Gateway, Receiver<News>), QuickstartError> {
    let effective = postern_config::load(&setup.config_file(), &ProcessEnv).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        QuickstartError::Config(lines.join("\n"))
    })?;
    let (tell, news) = sync_channel(64);
    let options = Options {
        observer: Some(Arc::new(timeline.clone())),
        listen: Some(listener(timeline.clone(), tell)),
        signals,
        ..Options::default()
    };
    Ok((Gateway::prepare(&effective, options)?, news))
}

fn listener(timeline: Timeline, tell: SyncSender<News>) -> crate::serve::Listen {
    Arc::new(move |event| {
        // The demonstration hears what it waits for; later news may be lost.
        let tell = |news| tell.try_send(news).ok();
        match event {
            ServiceEvent::Ready => {
                tell(News::Ready);
            }
            ServiceEvent::Accepted(message) => {
                timeline.event(format!("accepted and durable: message {}", message.id));
            }
            ServiceEvent::Delivery { result, .. } => {
                for recipient in &result.recipients {
                    timeline.event(format!(
                        "{}: {}",
                        recipient.status.name(),
                        recipient.address
                    ));
                }
                tell(News::Delivered);
            }
            ServiceEvent::Stopping => timeline.event("the gateway ends"),
        }
    })
}

fn smtp_address(gateway: &Gateway) -> Result<SocketAddr, QuickstartError> {
    let addresses = gateway.addresses();
    addresses
        .iter()
        .find_map(|listener| match &listener.address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) | ListenAddress::Inherited(_) => None,
        })
        .ok_or_else(|| QuickstartError::Config("no TCP listener".to_owned()))
}

/// Sends the message and waits until it lies in the Maildir.
fn demonstrate(
    address: SocketAddr,
    setup: &Setup,
    timeline: &Timeline,
    news: &Receiver<News>,
) -> Result<(), QuickstartError> {
    wait(news, News::Ready)?;
    timeline.title("A message comes in. C: and S: are client and server; indented are events, with the sinks' verdicts.");
    mail::send(address, timeline).map_err(io_error("sending the message"))?;
    wait(news, News::Delivered)?;
    let file = setup.delivered().map_err(io_error("reading the Maildir"))?;
    let file = file.ok_or(QuickstartError::NotDelivered)?;
    let text = fs::read(&file).map_err(io_error("reading the delivered message"))?;
    timeline.title(format!(
        "Delivered, as its reader sees it: texts decoded, + came in on the way, - went: {}\n",
        file.display()
    ));
    let paint = timeline.paint();
    for line in delivered::compared(mail::MESSAGE, &String::from_utf8_lossy(&text)) {
        timeline.plain(match line {
            Line::Same(line) => format!("    {line}"),
            Line::Added(line) => paint.green(format!("  + {line}")),
            Line::Removed(line) => paint.red(format!("  - {line}")),
        });
    }
    Ok(())
}

fn wait(news: &Receiver<News>, awaited: News) -> Result<(), QuickstartError> {
    loop {
        match news.recv_timeout(PATIENCE) {
            Ok(told) if told == awaited => return Ok(()),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(QuickstartError::NotDelivered);
            }
        }
    }
}

fn invite(address: SocketAddr, setup: &Setup, timeline: &Timeline) {
    timeline.title(format!(
        "It goes on running. Send more, each event is shown; end it with Ctrl-C:\n\
         \n  swaks --server {address} --from ada@example.test --to {}\
         \n  curl -s http://{}/metrics",
        mail::RECIPIENT,
        setup.metrics,
    ));
}

/// What was seen, in one line.
fn summarise(timeline: &Timeline) {
    let seen = timeline.seen();
    timeline.title(format!(
        "{}: one message, accepted, altered and delivered after {:.0} ms: {} questions to 2 sinks, {} verdicts, \
         {} edits, {} failures.",
        timeline.paint().green("It works"),
        timeline.elapsed().as_secs_f64() * 1000.0,
        seen.questions,
        seen.verdicts,
        seen.edits,
        seen.failures,
    ));
}

fn finish(timeline: &Timeline, printer: Printer, setup: &Setup, wishes: &Wishes) {
    let postern = setup::sibling("postern");
    if wishes.keep.is_some() {
        let config = setup.config_file();
        timeline.title(format!(
            "Kept in {folder}. Next:\n\
             \n  {start}\
             \n      starts the two sinks and the gateway again\
             \n  {postern} check --config {config}\
             \n      shows servers, sinks and what each binding gives\
             \n  docs/sinks.md\
             \n      tells how to write a sink; put it into postern.toml beside these two",
            folder = setup.folder().display(),
            start = setup.start_file().display(),
            config = config.display(),
        ));
    } else {
        timeline.title(format!(
            "Next:\n\
             \n  {postern} quickstart --keep DIR\
             \n      does the same and leaves everything in DIR to go on from\
             \n  docs/sinks.md\
             \n      tells how to write a sink, in 15 lines of Rust or in any language with gRPC"
        ));
    }
    printer.finish(timeline);
}

/// The newest file of a Maildir's `new`.
fn newest(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files.pop())
}
