//! Attacks on the protocol, over real sockets (what the grammar alone decides is tested in its crate).

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(20);

fn gateway(next_hop: &NextHop) -> Gateway {
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start()
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let smuggled = "MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nSubject: evil\r\n\r\nevil\r\n";
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r\r\n.\r\r\n",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
        "\r\n. \r\n",
        "\r\n.\u{85}",
        "\r\n.\u{2028}",
        "\r\n\u{ff0e}\r\n",
    ] {
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        client.expect("RCPT TO:<b@example.test>", 250);
        client.expect("DATA", 354);
        client.send(format!("Subject: first\r\n\r\nfirst{end}{smuggled}.\r\n"));
        // One reply, whatever it is, and no second transaction.
        let reply = client.reply();
        assert!(
            reply.code == 250 || reply.code / 100 == 5,
            "{end:?}: {reply:?}"
        );
        if let Some(next) = client.try_command("NOOP") {
            assert!([250, 421].contains(&next.code), "{end:?}: {next:?}");
            assert!(!next.text().contains("354"), "{end:?}: {next:?}");
        }
    }
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver(
        "last@example.org",
        &["b@example.test"],
        b"Subject: last\r\n\r\nx\r\n",
    );
    assert_eq!(reply.code, 250);
    loop {
        let received = next_hop.wait_for(next_hop.count().max(1), LIMIT);
        assert!(
            received.iter().all(|m| !m.sender.contains("evil")),
            "{received:?}"
        );
        for message in &received {
            let bare = message
                .content
                .windows(2)
                .any(|w| w[1] == b'\n' && w[0] != b'\r');
            assert!(!bare, "a bare LF went out");
        }
        if received.iter().any(|m| m.sender.contains("last")) {
            return;
        }
    }
}

#[test]
fn http_is_not_spoken_here() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let (mut client, _) = Client::connect(gateway.smtp());
    client.send(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\nMAIL FROM:<a@example.org>\r\n",
    );
    let reply = client.reply();
    assert!([221, 421, 554].contains(&reply.code), "{reply:?}");
    client.expect_closed();
}

#[test]
fn who_talks_before_the_greeting_is_refused() {
    let next_hop = NextHop::start();
    let sink = postern_e2e::sink::Sink::start(&["connect=delay:300"]);
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("slow"))
        .with("[[binding]]\nname = \"slow\"\nsink = \"slow\"\nevents = [\"inbound.connect\"]\nmay = []")
        .start();
    let mut client = Client::open(gateway.smtp());
    client.send("EHLO early.example.org\r\n");
    let reply = client.reply();
    assert_eq!(reply.code, 554, "{reply:?}");
}

#[test]
fn too_many_connections_of_one_client_are_told_so() {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .server("[server.limits]\nconnections_per_client = 3")
        .start();
    let mut open: Vec<Client> = (0..3).map(|_| Client::ready(gateway.smtp())).collect();
    let (mut fourth, reply) = Client::connect(gateway.smtp());
    assert_eq!(reply.code, 421, "{reply:?}");
    fourth.expect_closed();
    let mut last = open.pop().unwrap();
    last.expect("QUIT", 221);
    last.expect_closed();
    // The place is free again as soon as the session has ended.
    let until = std::time::Instant::now() + LIMIT;
    while Client::connect(gateway.smtp()).1.code != 220 {
        assert!(std::time::Instant::now() < until);
    }
}

#[test]
fn a_looping_message_is_refused() {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop);
    let trace = "Received: from a by b; Sat, 21 Nov 2026 06:00:00 +0000\r\n";
    let mut client = Client::ready(gateway.smtp());
    let few = format!("{}Subject: x\r\n\r\nx\r\n", trace.repeat(50));
    assert_eq!(
        client
            .deliver("a@example.org", &["b@example.test"], few.as_bytes())
            .code,
        250
    );
    let many = format!("{}Subject: x\r\n\r\nx\r\n", trace.repeat(101));
    let reply = client.deliver("a@example.org", &["b@example.test"], many.as_bytes());
    assert_eq!(reply.code, 554, "{reply:?}");
    assert!(reply.text().starts_with("5.4.6"), "{reply:?}");
    client.expect("NOOP", 250);
}

#[test]
fn a_shutdown_tells_idle_sessions_and_ends_in_time() {
    let next_hop = NextHop::start();
    let mut gateway = gateway(&next_hop);
    let mut client = Client::ready(gateway.smtp());
    postern_e2e::gateway::terminate(gateway.pid());
    let reply = client.reply();
    assert_eq!(reply.code, 421, "{reply:?}");
    assert!(reply.text().starts_with("4.3.2"), "{reply:?}");
    client.expect_closed();
    assert!(gateway.wait(LIMIT).success(), "{}", gateway.log());
}
