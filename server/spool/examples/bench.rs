//! Commits a second, latency and CPU of the embedded store.
//!
//! `cargo run --release -p postern-spool --example bench [FOLDER] [SECONDS] [KIB SUBMITTERS]...`
//!
//! Each submitter receives a message, commits it, reads it, and removes it when it has committed the
//! next: what the gateway does when the next hop is quick. FOLDER should be on the disk in question.

#![allow(clippy::unwrap_used, reason = "a benchmark may end at once")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use postern_message::{
    Envelope, HeaderLimits, HeaderParser, Message, MessageId, Origin, Properties, Recipient,
    SessionId, Version,
};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_spool::{Due, Embedded, NewMessage, Options, Purpose, Stage, Store};

/// Runtimes, each on a thread of its own, as in the gateway.
const RUNTIMES: usize = 2;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .unwrap_or_else(|| "target/spool-bench".to_owned());
    let seconds = arguments.next().map_or(5, |text| text.parse().unwrap());
    let given: Vec<usize> = arguments.map(|text| text.parse().unwrap()).collect();
    let (given, _) = given.as_chunks::<2>();
    let given = given
        .iter()
        .map(|&[kib, submitters]| (kib * 1024, submitters));
    println!("| body | submitters | commits/s | p50 ms | p99 ms | CPU us a message | peak MiB |");
    println!("|---|---|---|---|---|---|---|");
    let usual = [
        (4096, 1),
        (4096, 20),
        (4096, 200),
        (64 * 1024, 1),
        (64 * 1024, 20),
        (64 * 1024, 200),
        (128 * 1024, 20),
        (1024 * 1024, 20),
        (25 * 1024 * 1024, 20),
    ];
    let all: Vec<_> = match given.len() {
        0 => usual.to_vec(),
        _ => given.collect(),
    };
    for (size, submitters) in all {
        run(
            Path::new(&folder),
            size,
            submitters,
            Duration::from_secs(seconds),
        );
    }
}

fn run(folder: &Path, size: usize, submitters: usize, time: Duration) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
    let options = Options {
        path: folder.to_owned(),
        min_free: 0,
        memory: 16 << 20,
    };
    let spool = Arc::new(Embedded::open(&options, SystemTime::now()).unwrap());
    let content = Bytes::from(content(size));
    // The peak of the memory in use starts anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (cpu, start) = (cpu(), Instant::now());
    let threads = (0..RUNTIMES).map(|index| {
        let share = (submitters + index) / RUNTIMES;
        let (spool, content) = (Arc::clone(&spool), content.clone());
        std::thread::spawn(move || drive(&spool, &content, share, start + time))
    });
    let threads: Vec<_> = threads.collect();
    let mut latencies: Vec<Duration> = Vec::new();
    for thread in threads {
        latencies.extend(thread.join().unwrap());
    }
    let elapsed = start.elapsed().as_secs_f64();
    let used = (self::cpu() - cpu).as_secs_f64();
    latencies.sort_unstable();
    let count = latencies.len();
    let part = |share: f64| {
        let index = (count as f64 * share) as usize;
        latencies[index.min(count - 1)].as_secs_f64() * 1e3
    };
    println!(
        "| {size} | {submitters} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} |",
        count as f64 / elapsed,
        part(0.5),
        part(0.99),
        used / count as f64 * 1e6,
        peak_memory()
    );
    drop(spool);
    std::fs::remove_dir_all(folder).unwrap();
}

fn drive(spool: &Arc<Embedded>, content: &Bytes, submitters: usize, end: Instant) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks = (0..submitters).map(|_| {
            let (spool, content) = (Arc::clone(spool), content.clone());
            tokio::spawn(async move { submit(&spool, &content, end).await })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        latencies
    })
}

async fn submit(spool: &Embedded, content: &Bytes, end: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut last = None;
    while Instant::now() < end {
        let start = Instant::now();
        let mut incoming = spool.receive(Purpose::Mail).unwrap();
        for chunk in content.chunks(16 * 1024) {
            incoming.write(content.slice_ref(chunk)).await.unwrap();
        }
        let body = incoming.finish().await.unwrap();
        let reader = body.reader();
        let message = message(content);
        let id = message.id;
        spool
            .insert(NewMessage {
                message: Arc::new(message),
                body,
                stage: Stage::submit(),
                due: Due::At(SystemTime::now()),
            })
            .await
            .unwrap();
        latencies.push(start.elapsed());
        let mut read = 0;
        while read < content.len() {
            read += reader.read_at(read as u64, 64 * 1024).await.unwrap().len();
        }
        if let Some(last) = last.replace(id) {
            spool.remove(last).await.unwrap();
        }
    }
    latencies
}

fn message(content: &Bytes) -> Message {
    let mut parser = HeaderParser::new(HeaderLimits::default());
    let section = parser.feed(content).unwrap().unwrap();
    let sender = ReversePath::parse(b"<sender@example.test>", false).unwrap();
    let recipient = ForwardPath::parse(b"<recipient@example.test>", false).unwrap();
    Message {
        id: MessageId::new(),
        session: Some(SessionId::new()),
        server: "inbound".to_owned(),
        origin: Origin::Smtp,
        received_at: SystemTime::now(),
        // About as long as that of a client that said EHLO.
        context: Bytes::from_static(&[b'x'; 120]),
        envelope: Envelope::new(sender),
        recipients: vec![Recipient::new(recipient)],
        skipped: Vec::new(),
        passed: Vec::new(),
        properties: Properties::new(),
        version: Version::original(&section, Some(content.len() as u64)),
        handling: postern_message::Handling::default(),
        injected: None,
        walked: false,
    }
}

/// A header, and a body that does not compress.
fn content(size: usize) -> Vec<u8> {
    let mut out =
        b"From: <sender@example.test>\r\nTo: <recipient@example.test>\r\nSubject: a\r\n\r\n"
            .to_vec();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(format!("{state:016x}").as_bytes());
    }
    out.truncate(size);
    out
}

/// CPU time of this process, all threads, to the hundredth of a second.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let rest = text.rsplit(')').next().unwrap();
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Most memory in use, in MiB. One copy of the content is in it.
fn peak_memory() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<f64>().unwrap() / 1024.0
}
