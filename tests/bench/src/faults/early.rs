//! Large uploads that a sink refuses as soon as it has seen their headers.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::programs::program;
use postern_e2e::sink::Sink;

use crate::report::Section;

const SIZE: usize = 25 << 20;
const CHUNK: usize = 64 << 10;
const HEADERS: &str = "Subject: 25 MiB\r\n\r\n";
const REPEATS: usize = 5;
/// What the gateway may still write in its log and to peers while the rest is thrown away.
const ALLOWED_OCTETS: u64 = 64 << 10;
const ALLOWED: Duration = Duration::from_millis(250);
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn measure() -> io::Result<Section> {
    let mut section = Section::new("Uploads refused early");
    section.line(&format!(
        "An upload of 25 MiB, refused by a sink that has seen its headers. Written: all that the gateway writes \
         to files, pipes and vectored to sockets (`wchar` of /proc/PID/io). {REPEATS} uploads each, the worst shown. Allowed \
         by DATA after the verdict: {} KiB; {ALLOWED:?} until the reply.\n",
        ALLOWED_OCTETS >> 10
    ));
    section.line(
        "| upload | sent by the client | of that, written by the gateway | until the reply |",
    );
    section.line("| --- | --- | --- | --- |");
    not_refused(&mut section)?;
    let sink = Sink::start(&["message=reject"]);
    let gateway = gateway(&sink);
    by_data(&mut section, &gateway, &sink)?;
    by_bdat(&mut section, &gateway, &sink)?;
    Ok(section)
}

/// Nobody takes what is accepted, so that deliveries add nothing to what the gateway writes.
fn gateway(sink: &Sink) -> Gateway {
    Setup::default()
        .server("max_message_size = \"30 MiB\"")
        .domain("example.test", &format!("smtp://{}", free_address()))
        .with(&sink.table("strict"))
        .with(
            "[[binding]]\nname = \"strict\"\nsink = \"strict\"\nmay = []\nbody = \"full\"\n\
             events = [\"inbound.message\"]",
        )
        .start()
}

/// The same upload with a sink that takes it all: what there would have been to write.
fn not_refused(section: &mut Section) -> io::Result<()> {
    let mut command = Command::new(program("null-sink"));
    command.env("POSTERN_SINK_LOG", "warn");
    let sink = Sink::spawn(command, &["--listen"]);
    let gateway = gateway(&sink);
    let mut client = begin(&gateway);
    client.expect("DATA", 354);
    client.send(HEADERS);
    let before = written(&gateway)?;
    let (reply, waited) = rest(&mut client);
    let after = written(&gateway)?;
    section.line(&format!(
        "| DATA, not refused ({reply}) | 25 MiB | {} | {:.0} ms after the dot |",
        size(after - before),
        ms(waited)
    ));
    Ok(())
}

fn by_data(section: &mut Section, gateway: &Gateway, sink: &Sink) -> io::Result<()> {
    let (mut most, mut longest, mut codes) = (0, Duration::ZERO, Vec::new());
    for _ in 0..REPEATS {
        let mut client = begin(gateway);
        client.expect("DATA", 354);
        let answered = answers(sink).len();
        client.send(HEADERS);
        wait_for_answer(sink, answered)?;
        // The verdict has left the sink; it needs a moment to arrive.
        thread::sleep(Duration::from_millis(50));
        let before = written(gateway)?;
        let (code, waited) = rest(&mut client);
        most = most.max(written(gateway)? - before);
        longest = longest.max(waited);
        codes.push(code);
        client.expect("NOOP", 250);
    }
    let written = section.judged(size(most), most <= ALLOWED_OCTETS);
    let good = longest <= ALLOWED && codes.iter().all(|code| *code == 550);
    let waited = section.judged(format!("{:.1} ms after the dot", ms(longest)), good);
    codes.dedup();
    section.line(&format!(
        "| DATA, refused ({}) before | 25 MiB after the verdict | {written} | {waited} |",
        codes
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    ));
    Ok(())
}

fn by_bdat(section: &mut Section, gateway: &Gateway, sink: &Sink) -> io::Result<()> {
    let (mut most_sent, mut most_written, mut longest) = (0, 0, Duration::ZERO);
    let mut good = true;
    let chunk = lines(CHUNK);
    for _ in 0..REPEATS {
        let mut client = begin(gateway);
        let answered = answers(sink).len();
        let before = written(gateway)?;
        client.send(format!("BDAT {}\r\n{HEADERS}", HEADERS.len()));
        let mut code = client.reply().code;
        let mut sent = 0;
        while code == 250 && sent < SIZE {
            client.send(format!("BDAT {CHUNK}\r\n"));
            client.send(&chunk);
            code = client.reply().code;
            sent += CHUNK;
        }
        let refused_us = now_us();
        let answered_us = wait_for_answer(sink, answered)?;
        longest = longest.max(Duration::from_micros(
            refused_us.saturating_sub(answered_us),
        ));
        most_sent = most_sent.max(sent + HEADERS.len());
        most_written = most_written.max(written(gateway)? - before);
        good &= code == 550;
        client.expect("RSET", 250);
    }
    let sent = section.judged(size(most_sent as u64), good && most_sent < SIZE / 2);
    let waited = section.judged(
        format!("{:.1} ms after the verdict", ms(longest)),
        longest <= ALLOWED,
    );
    section.line(&format!(
        "| BDAT in chunks of 64 KiB, refused (550) | {sent}, with the headers | {} | {waited} |",
        size(most_written)
    ));
    Ok(())
}

fn begin(gateway: &Gateway) -> Client {
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client
}

/// Sends the 25 MiB and the dot; the code of the reply, and the wait for it.
fn rest(client: &mut Client) -> (u16, Duration) {
    let block = lines(1 << 20);
    for _ in 0..SIZE / block.len() {
        client.send(&block);
    }
    client.send(".\r\n");
    let sent = Instant::now();
    let code = client.reply().code;
    (code, sent.elapsed())
}

fn lines(size: usize) -> Vec<u8> {
    let line = b"0123456789012345678901234567890123456789012345678901234567890 \r\n";
    line.iter().copied().cycle().take(size).collect()
}

/// When the sink gave its verdicts on messages, in microseconds since 1970.
fn answers(sink: &Sink) -> Vec<u64> {
    let seen = sink.seen();
    let answers = seen
        .iter()
        .filter(|s| s.what == "answered" && s.name == "message");
    answers.map(|s| s.at_us).collect()
}

/// Waits until the sink has given one more verdict than `before`; when it did.
fn wait_for_answer(sink: &Sink, before: usize) -> io::Result<u64> {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if let Some(at_us) = answers(sink).get(before) {
            return Ok(*at_us);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(io::Error::other("the sink was not asked"))
}

/// All that the gateway has written so far by write(2) and its kin, in octets.
fn written(gateway: &Gateway) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/io", gateway.pid()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("wchar: ")?.parse().ok())
        .ok_or_else(|| io::Error::other("/proc has no wchar"))
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn size(octets: u64) -> String {
    if octets >= 1 << 20 {
        format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
    } else {
        format!("{:.1} KiB", octets as f64 / 1024.0)
    }
}
