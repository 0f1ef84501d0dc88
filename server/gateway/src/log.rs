//! The log: lines on their way to standard error.
//!
//! Whoever logs puts a line into a bounded queue and goes on. A thread of its own writes them. So a log that nobody
//! reads, or a device that is full, costs lines and nothing else: those that found no room, or could not be written, are
//! counted, and the next line that can be written says how many.
//!
//! Much of what is logged was written by strangers. One event is one line, and what would hide in it is shown.

pub(crate) mod shown;

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock, OnceLock};
use std::thread;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait.
const LINES: usize = 8192;

/// Octets of all lines that may wait.
const OCTETS: usize = 4 << 20;

/// Octets of one line; the rest of a longer one is left out.
const LINE: usize = 32 * 1024;

/// Wait before a descriptor that takes nothing just now is tried again.
const PAUSE: Duration = Duration::from_millis(20);

/// Lines that were lost, in this process.
static LOST: LazyLock<Counter> = LazyLock::new(Counter::default);

/// The queue of this process, once logging has started.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Counts the lines that were lost, for the metrics.
#[must_use]
pub(crate) fn lost() -> Counter {
    LOST.clone()
}

/// Starts the thread that writes to standard error; gives where lines go. `coloured`: the formatter puts escape sequences into
/// them.
///
/// # Errors
/// The system's, when there can be no thread.
pub(crate) fn start(coloured: bool) -> io::Result<Queue> {
    let queue = Queue::start(io::stderr(), coloured, lost())?;
    Ok(QUEUE.get_or_init(|| queue).clone())
}

/// Waits until all lines are written that were logged before, `within` this time at most.
pub(crate) fn flush(within: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(within);
    }
}

/// What waits to be written.
enum Entry {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Mark(SyncSender<()>),
}

/// Where lines wait. Cheap to clone; taking a line never blocks and never fails.
#[derive(Clone)]
pub(crate) struct Queue {
    entries: SyncSender<Entry>,
    /// Octets that wait.
    waiting: Arc<AtomicUsize>,
    /// Escape sequences are the formatter's.
    coloured: bool,
    lost: Counter,
}

impl Queue {
    /// A queue that is written to `out` by a thread of its own. The thread ends with the last clone of the queue.
    fn start(out: impl Write + Send + 'static, coloured: bool, lost: Counter) -> io::Result<Self> {
        let (entries, received) = sync_channel(LINES);
        let waiting = Arc::new(AtomicUsize::new(0));
        let (left, counted) = (Arc::clone(&waiting), lost.clone());
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(out, &received, &left, &counted))?;
        Ok(Self {
            entries,
            waiting,
            coloured,
            lost,
        })
    }

    fn put(&self, line: &[u8]) {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let shown = shown::of_octets(line, self.coloured);
        let mut line = shown.get(..LINE).unwrap_or(&shown).to_vec();
        line.push(b'\n');
        let octets = line.len();
        if self.waiting.fetch_add(octets, Ordering::Relaxed) + octets > OCTETS {
            self.waiting.fetch_sub(octets, Ordering::Relaxed);
            self.lost.inc();
            return;
        }
        match self.entries.try_send(Entry::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.waiting.fetch_sub(octets, Ordering::Relaxed);
                self.lost.inc();
            }
        }
    }

    fn flush(&self, within: Duration) {
        let (done, wait) = sync_channel(1);
        // Where there is no room for the mark the reader is too far behind to be waited for.
        if self.entries.try_send(Entry::Mark(done)).is_ok() {
            let _in_time = wait.recv_timeout(within);
        }
    }
}

/// One event of the log is one write.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes what comes until nobody can log any more.
fn write_all(
    mut out: impl Write,
    entries: &Receiver<Entry>,
    waiting: &AtomicUsize,
    lost: &Counter,
) {
    let mut told = lost.get();
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                waiting.fetch_sub(line.len(), Ordering::Relaxed);
                if write_line(&mut out, &line).is_err() {
                    lost.inc();
                    continue;
                }
                let missing = lost.get().saturating_sub(told);
                if missing > 0 {
                    let notice =
                        format!("WARN postern::log: {missing} lines of the log were lost\n");
                    if write_line(&mut out, notice.as_bytes()).is_ok() {
                        told += missing;
                    }
                }
            }
            // Whoever waited may have gone.
            Entry::Mark(done) => drop(done.try_send(())),
        }
    }
}

/// Writes a whole line, waiting for a descriptor that is set not to block.
fn write_line(out: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match out.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Writes only as often as it is allowed to, and tells what.
    struct Gate {
        allowed: Receiver<io::Result<()>>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.allowed.recv().unwrap_or(Ok(()))?;
            drop(self.written.send(octets.to_vec()));
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Queue, Sender<io::Result<()>>, Receiver<Vec<u8>>) {
        let (allow, allowed) = channel();
        let (written, seen) = channel();
        let queue = Queue::start(Gate { allowed, written }, false, Counter::default()).unwrap();
        (queue, allow, seen)
    }

    #[test]
    fn lines_come_out_in_order_and_a_flush_waits_for_them() {
        let (queue, allow, seen) = gated();
        drop(allow);
        for line in ["one\n", "two"] {
            queue.put(line.as_bytes());
        }
        queue.flush(PATIENCE);
        let lines: Vec<_> = seen.try_iter().collect();
        assert_eq!(lines, [b"one\n", b"two\n"]);
        assert_eq!(queue.lost.get(), 0);
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_lost_is_counted_and_said() {
        let (queue, allow, seen) = gated();
        let line = vec![b'x'; 1023];
        for _ in 0..LINES {
            queue.put(&line);
        }
        let lost = queue.lost.get();
        assert!(lost > 0, "more than the queue holds was put into it");
        assert!(queue.waiting.load(Ordering::Relaxed) <= OCTETS);
        drop(allow);
        queue.flush(PATIENCE);
        let notice = format!("WARN postern::log: {lost} lines of the log were lost\n");
        assert!(seen.try_iter().any(|line| line == notice.as_bytes()));
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_device_that_takes_nothing_costs_lines_alone() {
        let (queue, allow, seen) = gated();
        queue.put(b"lost");
        allow.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        queue.put(b"late");
        allow.send(Err(io::ErrorKind::WouldBlock.into())).unwrap();
        drop(allow);
        queue.flush(PATIENCE);
        let lines: Vec<_> = seen.try_iter().collect();
        assert_eq!(lines.first().unwrap(), b"late\n");
        assert_eq!(queue.lost.get(), 1);
    }

    #[test]
    fn one_line_is_bounded() {
        let (queue, allow, seen) = gated();
        drop(allow);
        queue.put(&vec![b'x'; 10 * LINE]);
        queue.flush(PATIENCE);
        assert_eq!(seen.recv().unwrap().len(), LINE + 1);
    }
}
