//! Next hops that lie, stall, babble and break off: mail for them waits, whole and unreported, and nobody else notices.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::{self, BufRead, BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::scripted_hop::{ScriptedHop, Visit};
use postern_e2e::tls;

/// Times that a gateway under test gives its hops.
const TIMES: &str = "[queue]\nretry = [\"1s\"]\n\
                     [outbound]\ndeliver = \"smtp://127.0.0.1:9\"\nconnect_timeout = \"2s\"\n\
                     command_timeout = \"2s\"\ndata_timeout = \"2s\"";
const LIMIT: Duration = Duration::from_secs(40);
/// What a message to an honest hop may take while others are hostile.
const UNAFFECTED: Duration = Duration::from_secs(5);
const PIPELINING: &[&str] = &["PIPELINING"];
const CHUNKING: &[&str] = &["PIPELINING", "CHUNKING"];

type Script = Box<dyn Fn(&mut Visit) -> io::Result<()> + Send + Sync>;

/// What a hop does, under a name that can be a domain's.
struct Case {
    name: String,
    script: Script,
}

fn case(
    name: impl Into<String>,
    script: impl Fn(&mut Visit) -> io::Result<()> + Send + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        script: Box::new(script),
    }
}

/// Hops that say this in place of the greeting, or of the reply to a command, and behave up to there.
fn says_at(name: &str, said: &'static [u8]) -> Vec<Case> {
    ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "."]
        .into_iter()
        .map(|at| {
            let label = if at == "." { "dot" } else { at };
            case(
                format!("{name}-{}", label.to_ascii_lowercase()),
                move |visit| {
                    up_to(visit, at, &[])?;
                    visit.say(said)?;
                    visit.hear_out()
                },
            )
        })
        .collect()
}

/// Behaves until the reply to `at` is due, and hears the command.
fn up_to(visit: &mut Visit, at: &str, keywords: &[&str]) -> io::Result<()> {
    if at == "greeting" {
        return Ok(());
    }
    visit.say("220 hop.test\r\n")?;
    loop {
        let line = visit.hear()?;
        if line.starts_with(at) {
            return Ok(());
        }
        match line.get(..4) {
            Some("EHLO") => visit.answer_hello(keywords)?,
            Some("DATA") => {
                visit.say("354 go on\r\n")?;
                visit.hear_until(".")?;
                return Ok(());
            }
            _ => visit.say("250 fine\r\n")?,
        }
    }
}

fn babblers() -> Vec<Case> {
    let nothing = Duration::ZERO;
    let mut cases = vec![
        case("endless-banner", move |visit| {
            visit.say_for_ever(b"220-welcome to the machine\r\n", nothing)
        }),
        case("slow-banner", |visit| {
            visit.say_for_ever(b"220-w\r\n", Duration::from_millis(300))
        }),
        case("endless-reply", move |visit| {
            up_to(visit, "EHLO", &[])?;
            visit.say_for_ever(b"250-AND-MORE\r\n", nothing)
        }),
        case("endless-refusal", move |visit| {
            up_to(visit, "RCPT", &[])?;
            visit.say_for_ever(b"550-and another thing\r\n", nothing)
        }),
        case("endless-line", move |visit| {
            visit.say_for_ever(&[b'2'; 8192], nothing)
        }),
        case("endless-line-of-rcpt", move |visit| {
            up_to(visit, "RCPT", &[])?;
            visit.say("250 ")?;
            visit.say_for_ever(&[b'x'; 8192], nothing)
        }),
        case("drip-of-a-banner", |visit| {
            for octet in b"220 hop.test at your service, in a while\r\n" {
                visit.say([*octet])?;
                thread::sleep(Duration::from_millis(500));
            }
            visit.hear_out()
        }),
        case("drip-at-the-dot", |visit| {
            up_to(visit, ".", &[])?;
            for octet in b"250 taken, in a while\r\n" {
                visit.say([*octet])?;
                thread::sleep(Duration::from_millis(500));
            }
            visit.hear_out()
        }),
    ];
    cases.extend(says_at(
        "garbage",
        b"\x00\xff\xfe\x80 \x1b[2J\x16\x03\x01\r\n",
    ));
    cases.extend(says_at("bare-lf", b"250 fine\n"));
    cases
}

fn liars() -> Vec<Case> {
    let mut cases = vec![
        case("unsolicited", |visit| {
            visit.say("220 hop.test\r\n250 yes\r\n250 yes\r\n354 yes\r\n250 taken\r\n")?;
            visit.hear_out()
        }),
        case("all-replies-with-ehlo", |visit| {
            up_to(visit, "EHLO", &[])?;
            visit.say("250 hop.test\r\n250 yes\r\n250 yes\r\n354 yes\r\n250 taken\r\n")?;
            visit.hear_out()
        }),
        case("taken-before-it-came", |visit| {
            up_to(visit, "MAIL", PIPELINING)?;
            visit.say("250 yes\r\n250 yes\r\n354 yes\r\n250 taken\r\n")?;
            visit.hear_out()
        }),
        case("taken-in-place-of-go-on", |visit| {
            up_to(visit, "DATA", &[])?;
            visit.say("250 taken\r\n")?;
            visit.hear_out()
        }),
        case("go-on-in-place-of-taken", |visit| {
            up_to(visit, ".", &[])?;
            visit.say("354 go on\r\n")?;
            visit.hear_out()
        }),
        case("go-on-at-mail", |visit| {
            up_to(visit, "MAIL", PIPELINING)?;
            visit.say("354 go on\r\n")?;
            visit.hear_out()
        }),
        case("two-codes-in-one-reply", |visit| {
            up_to(visit, "DATA", &[])?;
            visit.say("250-fine\r\n550 not at all\r\n")?;
            visit.hear_out()
        }),
        case("no-codes", |visit| {
            up_to(visit, "RCPT", &[])?;
            visit.say("199 hm\r\n")?;
            visit.hear_out()
        }),
        case("code-beyond", |visit| {
            up_to(visit, "RCPT", &[])?;
            visit.say("650 hm\r\n")?;
            visit.hear_out()
        }),
        case("greets-with-250", |visit| {
            visit.say("250 hop.test\r\n")?;
            visit.hear_out()
        }),
        case("refuses-every-hello", |visit| {
            visit.say("220 hop.test\r\n")?;
            loop {
                visit.hear()?;
                visit.say("550 5.7.1 nobody\r\n")?;
            }
        }),
    ];
    cases.extend(says_at("closing", b"421 4.3.2 going away\r\n"));
    cases
}

/// Hops that break off.
fn quitters() -> Vec<Case> {
    let mut cases = Vec::new();
    for (way, keywords) in [
        ("lone", &[][..]),
        ("grouped", PIPELINING),
        ("chunked", CHUNKING),
    ] {
        for at in ["greeting", "EHLO", "MAIL", "RCPT"] {
            let name = format!("leaves-{way}-{}", at.to_ascii_lowercase());
            cases.push(case(name, move |visit| up_to(visit, at, keywords)));
        }
        let last = if way == "chunked" { "BDAT" } else { "DATA" };
        cases.push(case(format!("leaves-{way}-content"), move |visit| {
            up_to(visit, last, keywords)
        }));
    }
    cases.push(case("leaves-behind-go-on", |visit| {
        up_to(visit, "DATA", &[])?;
        visit.say("354 go on\r\n")
    }));
    cases.push(case("leaves-in-the-content", |visit| {
        up_to(visit, "DATA", &[])?;
        visit.say("354 go on\r\n")?;
        visit.hear().map(|_| ())
    }));
    cases.push(case("leaves-at-the-dot", |visit| up_to(visit, ".", &[])));
    for at in ["EHLO", "RCPT", "DATA", "."] {
        let label = if at == "." { "dot" } else { at };
        let name = format!("half-closes-{}", label.to_ascii_lowercase());
        cases.push(case(name, move |visit| {
            up_to(visit, at, &[])?;
            visit.fall_silent_for_good()?;
            visit.hear_out()
        }));
    }
    cases
}

/// Hops that say nothing, somewhere.
fn mutes() -> Vec<Case> {
    let mut cases: Vec<_> = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "."]
        .into_iter()
        .map(|at| {
            let label = if at == "." { "dot" } else { at };
            case(
                format!("mute-{}", label.to_ascii_lowercase()),
                move |visit| {
                    up_to(visit, at, &[])?;
                    visit.hear_out()
                },
            )
        })
        .collect();
    cases.push(case("mute-starttls", |visit| {
        visit.open(&["STARTTLS"])?;
        visit.hear()?;
        visit.hear_out()
    }));
    cases.push(case("mute-handshake", |visit| {
        visit.open(&["STARTTLS"])?;
        visit.hear()?;
        visit.say("220 go on\r\n")?;
        visit.hear_out()
    }));
    cases.push(case("no-tls-behind-starttls", |visit| {
        visit.open(&["STARTTLS"])?;
        visit.hear()?;
        visit.say("220 go on\r\n")?;
        thread::sleep(Duration::from_millis(50));
        visit.say("250-hop.test\r\n250 CHUNKING\r\n")?;
        visit.hear_out()
    }));
    cases
}

fn content(name: &str) -> Vec<u8> {
    let body = "A line of text, to have some of them.\r\n".repeat(100);
    format!("From: me@sender.test\r\nSubject: {name}\r\n\r\n{body}").into_bytes()
}

fn send(gateway: &Gateway, recipients: &[&str], name: &str) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", recipients, &content(name));
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Sends one message to each hop, lets each show twice what it does, has them behave then, and sees that each message
/// arrives once and whole and that none is reported; all the while mail to an honest hop goes through.
fn withstand(cases: Vec<Case>) {
    let (honest, senders) = (NextHop::start(), NextHop::start());
    let mut setup = Setup::default()
        .with(TIMES)
        .domain("honest.test", &format!("smtp://{}", honest.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()));
    let mut hops = Vec::new();
    for Case { name, script } in cases {
        let hop = ScriptedHop::start(NextHop::start(), script);
        setup = setup.domain(
            &format!("{name}.test"),
            &format!("smtp://{}", hop.address()),
        );
        hops.push((name, hop));
    }
    let gateway = setup.start();
    let before = gateway.peak_memory_kib();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut slowest = Duration::ZERO;
            let mut count = 0;
            while !over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                send(&gateway, &["you@honest.test"], "honest");
                count += 1;
                honest.wait_for(count, LIMIT);
                slowest = slowest.max(begun.elapsed());
                thread::sleep(Duration::from_millis(50));
            }
            slowest
        });
        // Over also when an assertion fails, so that the scope ends.
        let guard = Over(&over);
        for (name, _) in &hops {
            send(&gateway, &[&format!("you@{name}.test")], name);
        }
        for (name, hop) in &hops {
            wait_until(&format!("{name} was not seen twice"), LIMIT, || {
                hop.visits() >= 2
            });
        }
        for (name, hop) in &hops {
            // Once a second and not more often, and by two sessions where the first failed at TLS.
            let visits = hop.visits();
            assert!(visits < 100, "{name} was visited {visits} times");
            assert_eq!(hop.behind.count(), 0);
            hop.behave();
        }
        for (name, hop) in &hops {
            let came = hop.behind.wait_for(1, LIMIT);
            assert_eq!(came[0].from_line("From:").unwrap(), content(name), "{name}");
        }
        drop(guard);
        let slowest = others.join().unwrap();
        assert!(slowest < UNAFFECTED, "an honest hop waited {slowest:?}");
    });
    for (name, hop) in &hops {
        assert_eq!(hop.behind.count(), 1, "{name}");
    }
    assert_eq!(senders.count(), 0, "{:?}", senders.received());
    let grown = gateway.peak_memory_kib().saturating_sub(before);
    assert!(grown < 40 * 1024, "{grown} KiB");
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn hops_that_babble_cost_nobody_anything() {
    withstand(babblers());
}

#[test]
fn hops_that_lie_are_not_believed() {
    withstand(liars());
}

#[test]
fn hops_that_break_off_get_the_mail_later() {
    withstand(quitters());
}

#[test]
fn hops_that_fall_mute_are_given_up_in_time() {
    withstand(mutes());
}

#[test]
fn a_hop_that_is_just_in_time_with_each_reply_has_no_more_than_an_attempt() {
    let senders = NextHop::start();
    let hop = ScriptedHop::start(NextHop::start(), |visit| {
        visit.open(&[])?;
        loop {
            let line = visit.hear()?;
            thread::sleep(Duration::from_millis(1200));
            let reply = if line == "DATA" {
                "354 go on\r\n"
            } else {
                "250 fine\r\n"
            };
            visit.say(reply)?;
        }
    });
    let gateway = Setup::default()
        .with(TIMES)
        .domain("slow.test", &format!("smtp://{}", hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    let names: Vec<String> = (0..20).map(|n| format!("r{n}@slow.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    send(&gateway, &names, "slow");
    gateway.wait_for_log("the attempt took longer than 12 s", LIMIT);
    hop.behave();
    let came = hop.behind.wait_for(1, LIMIT);
    assert_eq!(came[0].recipients.len(), 20);
    assert_eq!((hop.behind.count(), senders.count()), (1, 0));
}

#[test]
fn a_hop_that_never_reads_the_content_is_given_up_in_time() {
    let (honest, senders) = (NextHop::start(), NextHop::start());
    let over = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&over);
    let hop = ScriptedHop::start(NextHop::start(), move |visit| {
        up_to(visit, "DATA", PIPELINING)?;
        visit.say("354 go on\r\n")?;
        while !until.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let gateway = Setup::default()
        .with(TIMES)
        .domain("full.test", &format!("smtp://{}", hop.address()))
        .domain("honest.test", &format!("smtp://{}", honest.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    let before = gateway.peak_memory_kib();
    // More than the two systems keep between them.
    let body = "A line of text, to have some of them.\r\n".repeat(400_000);
    let large = format!("From: me@sender.test\r\nSubject: large\r\n\r\n{body}").into_bytes();
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &["you@full.test"], &large);
    assert_eq!(reply.code, 250, "{reply:?}");
    for count in 1..=20 {
        let begun = Instant::now();
        send(&gateway, &["you@honest.test"], "honest");
        honest.wait_for(count, LIMIT);
        let took = begun.elapsed();
        assert!(took < UNAFFECTED, "an honest hop waited {took:?}");
    }
    gateway.wait_for_log("did not answer in time at the content", LIMIT);
    hop.behave();
    over.store(true, Ordering::SeqCst);
    let came = hop.behind.wait_for(1, LIMIT);
    assert!(came[0].from_line("From:").unwrap() == large);
    assert_eq!((hop.behind.count(), senders.count()), (1, 0));
    let grown = gateway.peak_memory_kib().saturating_sub(before);
    assert!(grown < 40 * 1024, "{grown} KiB");
}

#[test]
fn an_lmtp_server_that_answers_for_some_gets_only_the_others_again() {
    for silent in [false, true] {
        let senders = NextHop::start();
        let store = NextHop::with(Manners {
            lmtp: true,
            ..Manners::default()
        });
        let hop = ScriptedHop::start(store, move |visit| {
            visit.open(PIPELINING)?;
            visit.hear_until("DATA")?;
            visit.say("250 fine\r\n250 one\r\n250 two\r\n250 three\r\n354 go on\r\n")?;
            visit.hear_until(".")?;
            visit.say("250 stored for one\r\n550 5.7.1 not for two\r\n")?;
            if silent {
                visit.hear_out()?;
            }
            Ok(())
        });
        let gateway = Setup::default()
            .with(TIMES)
            .domain("store.test", &format!("lmtp://{}", hop.address()))
            .domain("sender.test", &format!("smtp://{}", senders.address()))
            .start();
        let names = ["one@store.test", "two@store.test", "three@store.test"];
        send(&gateway, &names, "some");
        wait_until("the store was not visited", LIMIT, || hop.visits() >= 1);
        hop.behave();
        let came = hop.behind.wait_for(1, LIMIT);
        assert_eq!(came[0].recipients, ["<three@store.test>"], "{silent}");
        // Who was refused is reported, and nobody else.
        let reported = senders.wait_for(1, LIMIT)[0].text();
        assert!(reported.contains("two@store.test"), "{reported}");
        assert!(reported.contains("not for two"), "{reported}");
        assert!(!reported.contains("rfc822; three@"), "{reported}");
        assert_eq!((hop.behind.count(), senders.count()), (1, 1));
    }
}

#[test]
fn what_was_said_in_clear_does_not_outlive_starttls() {
    let heard = Arc::<Mutex<Vec<String>>>::default();
    let noted = Arc::clone(&heard);
    let senders = NextHop::start();
    let hop = ScriptedHop::start(NextHop::start(), move |visit| {
        // A message of more than 10 octets would fail here for good.
        visit.open(&["STARTTLS", "PIPELINING", "CHUNKING", "SIZE 10"])?;
        visit.hear_until("STARTTLS")?;
        visit.say("220 go on\r\n250-hop.test\r\n250-CHUNKING\r\n250 SIZE 10\r\n")?;
        let mut tls = BufReader::new(tls::serve(visit.stream().try_clone()?)?);
        let mut in_content = false;
        loop {
            let mut line = String::new();
            if tls.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end();
            let reply = match line {
                "." => "250 taken\r\n",
                _ if in_content => continue,
                "DATA" => "354 go on\r\n",
                _ if line.starts_with("EHLO") => "250-hop.test\r\n250 8BITMIME\r\n",
                _ => "250 fine\r\n",
            };
            in_content = line == "DATA";
            noted.lock().unwrap().push(line.to_owned());
            tls.get_mut().write_all(reply.as_bytes())?;
            tls.get_mut().flush()?;
        }
    });
    let gateway = Setup::default()
        .with(TIMES)
        .domain("tls.test", &format!("smtp://{}", hop.address()))
        .domain("sender.test", &format!("smtp://{}", senders.address()))
        .start();
    send(&gateway, &["you@tls.test"], "tls");
    wait_until("the message did not come", LIMIT, || {
        heard.lock().unwrap().iter().any(|line| line == ".")
    });
    let heard = heard.lock().unwrap().clone();
    let due = [
        "EHLO mx.example.test",
        "MAIL FROM:<me@sender.test>",
        "RCPT TO:<you@tls.test>",
        "DATA",
        ".",
    ];
    assert_eq!(heard.get(..5).unwrap(), due);
    assert_eq!((hop.behind.count(), senders.count()), (0, 0));
}
