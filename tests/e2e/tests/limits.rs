//! Every key of `[server.limits]` with the reply that its documentation names, and what the session
//! may still do after it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use postern_e2e::certificate::Authority;
use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(20);
/// What a time limit of one second may take on a loaded machine.
const SECOND: std::ops::Range<Duration> = Duration::from_millis(900)..Duration::from_secs(3);

fn set_up(next_hop: &NextHop, keys: &str) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .server(keys)
        .start()
}

fn limited(keys: &str) -> Gateway {
    set_up(&NextHop::start(), &format!("[server.limits]\n{keys}"))
}

fn is(reply: &Reply, code: u16, enhanced: &str) {
    assert_eq!(reply.code, code, "{reply:?}");
    assert!(reply.text().starts_with(enhanced), "{reply:?}");
}

/// Connects as often as it takes: the harness's own connection may not be counted off yet.
fn welcome(gateway: &Gateway) -> Client {
    let until = Instant::now() + LIMIT;
    loop {
        let (client, greeting) = Client::connect(gateway.smtp());
        if greeting.code == 220 {
            return client;
        }
        assert!(Instant::now() < until, "{greeting:?}");
    }
}

fn begin(client: &mut Client) {
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
}

/// A client that is never silent for long does not hold a session with a body for ever: `body_rate_min` is measured over a
/// minute, and `data_timeout` is for silence alone.
#[test]
fn a_body_that_drips_is_ended_by_its_rate() {
    let gateway = limited("data_timeout = \"2s\"\nbody_rate_min = \"64 B\"");
    let mut drips = welcome(&gateway);
    let mut keeps_up = welcome(&gateway);
    for client in [&mut drips, &mut keeps_up] {
        client.expect("EHLO client.test", 250);
        begin(client);
    }
    let start = Instant::now();
    let line = format!("{}\r\n", "x".repeat(100));
    // The pace is the client's: it waits less than the time for silence.
    let mut cut = None;
    while cut.is_none() && start.elapsed() < Duration::from_secs(75) {
        if !drips.try_send(b"x") {
            cut = Some(start.elapsed());
        }
        keeps_up.send(&line);
        std::thread::sleep(Duration::from_millis(500));
    }
    let cut = cut.unwrap_or_else(|| start.elapsed());
    let minute = Duration::from_secs(59)..Duration::from_secs(70);
    assert!(minute.contains(&cut), "after {cut:?}");
    is(&drips.reply(), 421, "4.4.2");
    keeps_up.send("\r\n.\r\n");
    is(&keeps_up.reply(), 250, "2.");
}

#[test]
fn connections_in_all_and_from_one_client() {
    for (key, enhanced) in [
        ("connections", "4.3.2"),
        ("connections_per_client", "4.7.0"),
    ] {
        let gateway = limited(&format!("{key} = 2"));
        let first = welcome(&gateway);
        let mut second = welcome(&gateway);
        let (mut third, greeting) = Client::connect(gateway.smtp());
        is(&greeting, 421, enhanced);
        third.expect_closed();
        // Those that are in are not disturbed, and a place that is given up is free.
        second.expect("EHLO client.example.test", 250);
        drop(first);
        welcome(&gateway);
    }
}

#[test]
fn messages_per_session() {
    let gateway = limited("messages_per_session = 2");
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..2 {
        let reply = client.deliver(
            "a@example.org",
            &["b@example.test"],
            b"Subject: x\r\n\r\nx\r\n",
        );
        assert_eq!(reply.code, 250);
    }
    is(&client.command("MAIL FROM:<a@example.org>"), 421, "4.7.0");
    client.expect_closed();
}

#[test]
fn recipients_beyond_the_limit_wait_for_another_transaction() {
    let next_hop = NextHop::start();
    let gateway = set_up(&next_hop, "[server.limits]\nrecipients = 100");
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    for n in 0..100 {
        client.expect(&format!("RCPT TO:<user{n}@example.test>"), 250);
    }
    is(
        &client.command("RCPT TO:<user100@example.test>"),
        452,
        "4.5.3",
    );
    client.expect("DATA", 354);
    client.send("Subject: x\r\n\r\nx\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    let received = next_hop.wait_for(1, LIMIT);
    assert_eq!(received.first().unwrap().recipients.len(), 100);
}

#[test]
fn errors_and_junk_commands() {
    let gateway = limited("errors = 3\njunk_commands = 5");
    let mut client = Client::ready(gateway.smtp());
    for _ in 0..3 {
        let reply = client.command("NONSENSE");
        assert!((500..600).contains(&reply.code), "{reply:?}");
    }
    is(&client.command("NOOP"), 421, "4.7.0");
    client.expect_closed();

    let mut client = Client::ready(gateway.smtp());
    for command in ["NOOP", "RSET", "VRFY b", "HELP", "NOOP"] {
        let reply = client.command(command);
        assert!((200..300).contains(&reply.code), "{command}: {reply:?}");
    }
    is(&client.command("NOOP"), 421, "4.7.0");
    client.expect_closed();
}

#[test]
fn lines_of_commands_and_of_content() {
    let gateway = limited("line_length = \"8 KiB\"");
    let mut client = Client::ready(gateway.smtp());
    is(
        &client.command(&format!("NOOP {}", "x".repeat(5000))),
        500,
        "5.5.6",
    );
    // What stands in a line that is too long is no command, wherever the buffer ends.
    client.send("x".repeat(4093) + "QUIT\r\n");
    is(&client.reply(), 500, "5.5.6");
    client.expect("NOOP", 250);

    begin(&mut client);
    client.send(format!("Subject: x\r\n\r\n{}\r\n.\r\n", "y".repeat(9000)));
    is(&client.reply(), 554, "5.6.0");
    begin(&mut client);
    client.send(format!("Subject: x\r\n\r\n{}\r\n.\r\n", "y".repeat(998)));
    assert_eq!(client.reply().code, 250);

    // Without end, it is not waited for.
    client.send("x".repeat(10_000));
    is(&client.reply(), 500, "5.5.6");
    client.expect_closed();
}

#[test]
fn header_size_and_count() {
    let gateway = limited("header_size = \"1 KiB\"\nheader_count = 5");
    let mut client = Client::ready(gateway.smtp());
    begin(&mut client);
    client.send(format!(
        "X-Long: {}\r\n\r\nx\r\n.\r\n",
        "y\r\n ".repeat(300)
    ));
    is(&client.reply(), 552, "5.3.4");
    begin(&mut client);
    client.send("X: 1\r\n".repeat(6) + "\r\nx\r\n.\r\n");
    is(&client.reply(), 552, "5.3.4");
    begin(&mut client);
    client.send("X: 1\r\n".repeat(5) + "\r\n" + &"X: 1\r\n".repeat(500) + ".\r\n");
    assert_eq!(client.reply().code, 250, "the body is not counted");
}

#[test]
fn a_command_that_does_not_come_whole_in_time() {
    let gateway = limited("command_timeout = \"1s\"");
    let (mut client, _) = Client::connect(gateway.smtp());
    let since = Instant::now();
    // A letter now and then is no command.
    let mut letters = "EHLO client.example".bytes();
    let ended = loop {
        std::thread::sleep(Duration::from_millis(200));
        let sent = letters.next().map(|letter| client.try_send(&[letter]));
        if sent != Some(true) || since.elapsed() > Duration::from_millis(1200) {
            break client.try_reply();
        }
    };
    is(&ended.unwrap(), 421, "4.4.2");
    assert!(SECOND.contains(&since.elapsed()), "{:?}", since.elapsed());
    client.expect_closed();
}

#[test]
fn content_that_stops() {
    let next_hop = NextHop::start();
    let gateway = set_up(&next_hop, "[server.limits]\ndata_timeout = \"1s\"");
    let mut client = Client::ready(gateway.smtp());
    begin(&mut client);
    client.send("Subject: half\r\n\r\nhalf");
    let since = Instant::now();
    is(&client.reply(), 421, "4.4.2");
    assert!(SECOND.contains(&since.elapsed()), "{:?}", since.elapsed());
    client.expect_closed();
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn a_handshake_that_does_not_come() {
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }")
        .server("[server.limits]\ntls_handshake_timeout = \"1s\"")
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("STARTTLS", 220);
    let since = Instant::now();
    client.expect_closed();
    assert!(SECOND.contains(&since.elapsed()), "{:?}", since.elapsed());
}

#[test]
fn message_size_declared_and_not() {
    let gateway = set_up(&NextHop::start(), "max_message_size = \"64 KiB\"");
    let mut client = Client::ready(gateway.smtp());
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(ehlo.lines.iter().any(|l| l == "SIZE 65536"), "{ehlo:?}");
    is(
        &client.command("MAIL FROM:<a@example.org> SIZE=65537"),
        552,
        "5.3.4",
    );
    client.expect("MAIL FROM:<a@example.org> SIZE=65536", 250);
    client.expect("RSET", 250);

    begin(&mut client);
    client.send("Subject: x\r\n\r\n".to_owned() + &"0123456789\r\n".repeat(6000) + ".\r\n");
    is(&client.reply(), 552, "5.3.4");

    // In chunks it is known as soon as a chunk is announced.
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.send("BDAT 40000\r\n".to_owned() + &"x".repeat(40_000));
    assert_eq!(client.reply().code, 250);
    client.send("BDAT 40000 LAST\r\n".to_owned() + &"x".repeat(40_000));
    is(&client.reply(), 552, "5.3.4");
    client.expect("NOOP", 250);
}

#[test]
fn requests_that_never_come_keep_no_probe_waiting() {
    let gateway = limited("");
    let half: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(gateway.metrics()).unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(gateway.http("/livez").0, 200);
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(4), "{elapsed:?}");
    drop(half);
}
