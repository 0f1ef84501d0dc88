//! SIGTERM: what runs may finish within the deadline; what does not is not acknowledged.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::TcpStream;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, terminate};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(20);
/// The deadline of the first phase, and some more.
const DEADLINE: Duration = Duration::from_secs(29);

fn set_up() -> (NextHop, Gateway, Client) {
    let next_hop = NextHop::start();
    let gateway = Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.expect("DATA", 354);
    client.send("From: a@example.org\r\n\r\nhalf\r\n");
    (next_hop, gateway, client)
}

/// SIGTERM, and waits until nobody new is let in.
fn ask_to_end(gateway: &Gateway) {
    terminate(gateway.pid());
    let until = Instant::now() + LIMIT;
    while TcpStream::connect(gateway.smtp()).is_ok() {
        assert!(Instant::now() < until, "it still listens");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_message_that_is_arriving_is_taken_to_its_end() {
    let (next_hop, mut gateway, mut client) = set_up();
    let mut idle = Client::ready(gateway.smtp());
    ask_to_end(&gateway);
    // Whoever does nothing is sent away.
    assert_eq!(idle.reply().code, 421);
    idle.expect_closed();
    client.send("the other half\r\n.\r\n");
    assert_eq!(client.reply().code, 250);
    let next = client.try_command("MAIL FROM:<a@example.org>");
    assert!(next.is_none_or(|reply| reply.code == 421));
    assert!(gateway.wait(LIMIT).success());
    gateway.start();
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    assert_eq!(
        message.from_line("From:").unwrap(),
        b"From: a@example.org\r\n\r\nhalf\r\nthe other half\r\n"
    );
}

#[test]
fn a_message_that_hangs_is_given_up_at_the_deadline() {
    let (next_hop, mut gateway, mut client) = set_up();
    let since = Instant::now();
    ask_to_end(&gateway);
    assert!(gateway.wait(DEADLINE).success());
    assert!(
        since.elapsed() > Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    let rest = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(rest.is_empty() || rest.starts_with("421"), "{rest}");
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn a_second_signal_ends_the_waiting() {
    let (next_hop, mut gateway, mut client) = set_up();
    ask_to_end(&gateway);
    terminate(gateway.pid());
    assert!(gateway.wait(Duration::from_secs(5)).success());
    let rest = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(rest.is_empty() || rest.starts_with("421"), "{rest}");
    gateway.start();
    // Nothing of the half message is left.
    for stage in ["submit", "deliver", "held", "quarantined"] {
        assert_eq!(gateway.spooled(stage), 0);
    }
    assert_eq!(next_hop.count(), 0);
}
