//! SIGKILL at any moment: what was acknowledged is delivered, at least once.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const SESSIONS: usize = 20;
const MESSAGES: usize = 2000;
const KILLS: usize = 10;

/// Counts acknowledgements, so that kills come at even distances in the work and not in time.
#[derive(Default)]
struct Acknowledged {
    ids: Mutex<HashSet<usize>>,
    changed: Condvar,
}

impl Acknowledged {
    fn add(&self, id: usize) {
        self.ids.lock().unwrap().insert(id);
        self.changed.notify_all();
    }

    fn wait_for(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(120);
        let mut ids = self.ids.lock().unwrap();
        while ids.len() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} acknowledged", ids.len());
            ids = self.changed.wait_timeout(ids, left).unwrap().0;
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_gateway_is_killed_ten_times() {
    let delivered = kill_ten_times(|setup| setup);
    assert_few_twice(&delivered);
}

#[test]
fn edits_outlive_the_kills_with_the_messages_that_they_were_made_in() {
    let sink = Sink::with(
        &[
            "message=splice:edited before the reply",
            "submit=add-header:X-Submit",
        ],
        &["--instances", "100"],
    );
    let delivered = kill_ten_times(|setup| {
        setup.with(&sink.table("editor")).with(
            "[[binding]]\nname = \"editor\"\nsink = \"editor\"\nbody = \"full\"\n\
             events = [\"inbound.message\", \"transport.submit\"]\n\
             may = [\"body\", \"headers:X-*\"]",
        )
    });
    for (id, texts) in &delivered {
        for text in texts {
            assert_eq!(
                text.matches("edited before the reply\r\n").count(),
                1,
                "{id}: {text}"
            );
            assert_eq!(text.matches("X-Submit: ").count(), 1, "{id}: {text}");
        }
    }
    assert_few_twice(&delivered);
}

/// At each kill no more can be in flight than there are connections to the destination.
fn assert_few_twice(delivered: &HashMap<String, Vec<String>>) {
    let twice: usize = delivered.values().map(|texts| texts.len() - 1).sum();
    println!("delivered more than once: {twice}");
    assert!(twice <= KILLS * 20, "{twice} delivered more than once");
}

/// Runs the load through a gateway that is killed; what was delivered, by the gateway's own ids.
fn kill_ten_times(configure: impl Fn(Setup) -> Setup) -> HashMap<String, Vec<String>> {
    let next_hop = NextHop::start();
    let setup = Setup::default()
        .with("[queue]\nretry = [\"1s\"]")
        .domain("example.test", &format!("smtp://{}", next_hop.address()));
    let mut gateway = configure(setup).start();
    let smtp = gateway.smtp();
    let acknowledged = Acknowledged::default();
    let next = AtomicUsize::new(0);

    thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                loop {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    if id >= MESSAGES {
                        return;
                    }
                    send_until_acknowledged(smtp, id);
                    acknowledged.add(id);
                }
            });
        }
        for kill in 1..=KILLS {
            acknowledged.wait_for(kill * MESSAGES / (KILLS + 1));
            gateway.kill();
            gateway.start();
        }
    });

    wait_for_all(&next_hop, &acknowledged.ids.lock().unwrap())
}

fn send_until_acknowledged(to: SocketAddr, id: usize) {
    let until = Instant::now() + Duration::from_secs(120);
    loop {
        match send(to, id) {
            Ok(()) => return,
            Err(error) => assert!(Instant::now() < until, "message {id}: {error}"),
        }
        // The gateway is being started again; the pause keeps the other core free for it.
        thread::sleep(Duration::from_millis(5));
    }
}

fn send(to: SocketAddr, id: usize) -> io::Result<()> {
    let mut output = TcpStream::connect(to)?;
    output.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut input = BufReader::new(output.try_clone()?);
    expect(&mut input, "220")?;
    let lines: [(&[u8], &str); 4] = [
        (b"EHLO crash.example.test\r\n", "250"),
        (b"MAIL FROM:<sender@example.test>\r\n", "250"),
        (b"RCPT TO:<someone@example.test>\r\n", "250"),
        (b"DATA\r\n", "354"),
    ];
    for (line, code) in lines {
        output.write_all(line)?;
        expect(&mut input, code)?;
    }
    // Some inline in the store, some in a file of their own.
    let size = if id.is_multiple_of(10) { 50_000 } else { 2_000 };
    let body = "All work and no play makes a dull message.\r\n".repeat(size / 44);
    write!(
        output,
        "Subject: crash\r\nX-Id: {id}\r\n\r\n{body}end of {id}\r\n.\r\n"
    )?;
    expect(&mut input, "250")
}

fn expect(input: &mut impl BufRead, code: &str) -> io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !line.starts_with(code) {
            return Err(io::Error::other(line));
        }
        if line.as_bytes().get(3) == Some(&b' ') {
            return Ok(());
        }
    }
}

/// All deliveries of each of the gateway's messages, by the id in its own trace field, once every
/// acknowledged one has arrived.
fn wait_for_all(next_hop: &NextHop, acknowledged: &HashSet<usize>) -> HashMap<String, Vec<String>> {
    let until = Instant::now() + Duration::from_secs(60);
    let mut due = acknowledged.len();
    loop {
        let received = next_hop.wait_for(due, until.saturating_duration_since(Instant::now()));
        let mut ids = HashSet::new();
        let mut deliveries: HashMap<String, Vec<String>> = HashMap::new();
        for message in &received {
            let text = message.text();
            let id: usize = field(&text, "X-Id: ").parse().unwrap();
            assert!(
                text.ends_with(&format!("end of {id}\r\n")),
                "message {id} is not whole"
            );
            ids.insert(id);
            deliveries.entry(trace_id(&text)).or_default().push(text);
        }
        if acknowledged.is_subset(&ids) {
            return deliveries;
        }
        // Some came twice, so more must come than there are ids.
        due = received.len() + 1;
    }
}

fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// `id UUID` of the topmost Received field.
fn trace_id(text: &str) -> String {
    let head = text.split("\r\n\r\n").next().unwrap();
    let mut words = head.split_ascii_whitespace();
    words.find(|word| *word == "id").unwrap();
    words.next().unwrap().trim_end_matches(';').to_owned()
}
