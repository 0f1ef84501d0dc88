//! STARTTLS and its neighbours: what was said before it does not count, what came too early is not
//! obeyed, certificates are chosen by name and read again when they change.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::certificate::{Authority, Issued};
use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

fn set_up(next_hop: &NextHop) -> (Gateway, Issued) {
    let setup = Setup::default();
    let issued = Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }")
        .start();
    (gateway, issued)
}

fn offers_starttls(ehlo: &Reply) -> bool {
    ehlo.lines.iter().any(|line| line == "STARTTLS")
}

#[test]
fn a_message_over_tls_and_its_trace() {
    let next_hop = NextHop::start();
    let (gateway, issued) = set_up(&next_hop);
    let (mut client, ehlo) = Client::ready(gateway.smtp()).start_tls("mx.example.test");
    assert_eq!(client.certificate(), issued.der);
    assert!(!offers_starttls(&ehlo), "{ehlo:?}");
    client.expect("STARTTLS", 503);
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap();
    let trace = message.text();
    assert!(trace.contains("with ESMTPS"), "{trace}");
    assert_eq!(message.from_line("From: a@").unwrap(), CONTENT);
}

#[test]
fn what_was_said_before_does_not_count() {
    let (gateway, _) = set_up(&NextHop::start());
    let mut client = Client::ready(gateway.smtp());
    client.expect("STARTTLS", 220);
    let mut client = client.into_tls("mx.example.test");
    client.expect("MAIL FROM:<a@example.org>", 503);
    client.expect("EHLO client.example.test", 250);
    client.expect("MAIL FROM:<a@example.org>", 250);
}

#[test]
fn commands_injected_before_the_handshake_are_never_obeyed() {
    let next_hop = NextHop::start();
    let (gateway, _) = set_up(&next_hop);
    let mut client = Client::ready(gateway.smtp());
    client.send("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.test>\r\n");
    // Refused, so that nobody takes plain text for encrypted; what follows is plain as it came.
    let reply = client.reply();
    assert_eq!(reply.code, 554, "{reply:?}");
    if let Some(next) = client.try_reply() {
        assert!(next.code == 250 || next.code >= 500, "{next:?}");
    }
    assert_eq!(next_hop.count(), 0);
}

#[test]
fn not_within_a_transaction_and_not_with_parameters() {
    let (gateway, _) = set_up(&NextHop::start());
    let mut client = Client::ready(gateway.smtp());
    client.expect("STARTTLS now", 501);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("STARTTLS", 503);
    client.expect("RSET", 250);
    client.expect("STARTTLS", 220);
}

#[test]
fn plain_text_in_place_of_a_handshake_ends_the_connection() {
    let next_hop = NextHop::start();
    let (gateway, _) = set_up(&next_hop);
    let mut client = Client::ready(gateway.smtp());
    client.expect("STARTTLS", 220);
    client.send("EHLO client.example.test\r\nMAIL FROM:<a@example.org>\r\n");
    // A TLS alert may come, a reply may not.
    let rest = client.rest();
    assert!(!rest.windows(3).any(|three| three == b"250"), "{rest:?}");
    assert!(rest.len() < 16, "{rest:?}");
}

#[test]
fn no_certificate_no_starttls() {
    let gateway = Setup::default().start();
    let mut client = Client::ready(gateway.smtp());
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(!offers_starttls(&ehlo), "{ehlo:?}");
    client.expect("STARTTLS", 502);
}

#[test]
fn tls_from_the_first_octet() {
    let next_hop = NextHop::start();
    let address = free_address();
    let setup = Setup::default();
    let issued = Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let _gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[server]]\nname = \"implicit\"\nhostname = \"mx.example.test\"\n\
             listen = [{{ address = \"{address}\", tls = \"implicit\" }}]\n\
             tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}"
        ))
        .start();
    wait_for_listener(address).unwrap();
    let mut client = Client::open(address).into_tls("mx.example.test");
    assert_eq!(client.certificate(), issued.der);
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(!offers_starttls(&ehlo), "{ehlo:?}");
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    next_hop.wait_for(1, LIMIT);
}

#[test]
fn the_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let setup = Setup::default();
    let authority = Authority::default();
    let one = authority.issue(setup.folder(), "one", "one.example.test");
    let two = authority.issue(setup.folder(), "two", "two.example.test");
    let gateway = setup
        .server(
            "tls = [{ cert = \"one.pem\", key = \"one.key\" }, { cert = \"two.pem\", key = \"two.key\" }]",
        )
        .start();
    for (host, expected) in [
        ("one.example.test", &one),
        ("two.example.test", &two),
        ("TWO.example.test", &two),
        ("unknown.example.test", &one),
    ] {
        let (client, _) = Client::ready(gateway.smtp()).start_tls(host);
        assert_eq!(client.certificate(), expected.der, "{host}");
    }
}

#[test]
fn certificates_are_read_again_when_their_files_change() {
    let (gateway, old) = set_up(&NextHop::start());
    let (mut before, _) = Client::ready(gateway.smtp()).start_tls("mx.example.test");
    let new = Authority::default().issue(gateway.folder(), "mx", "mx.example.test");
    assert_ne!(old.der, new.der);
    let until = Instant::now() + LIMIT;
    loop {
        let (client, _) = Client::ready(gateway.smtp()).start_tls("mx.example.test");
        if client.certificate() == new.der {
            break;
        }
        assert!(Instant::now() < until, "the old one is still shown");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Sessions go on with what they began with.
    before.expect("NOOP", 250);

    // A file that is no certificate changes nothing but the log.
    std::fs::write(gateway.folder().join("mx.pem"), "nonsense").unwrap();
    gateway.wait_for_log("mx.pem", LIMIT);
    let (client, _) = Client::ready(gateway.smtp()).start_tls("mx.example.test");
    assert_eq!(client.certificate(), new.der);
}

/// More clients than there are slots for handshakes.
const SILENT: usize = 270;

/// A gateway with an implicit listener too, that lets one address connect often.
fn set_up_for_crowds(next_hop: &NextHop) -> (Gateway, std::net::SocketAddr) {
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let implicit = free_address();
    let smtps = format!(
        "[[server]]\nname = \"smtps\"\nhostname = \"mx.example.test\"\n\
         listen = [{{ address = \"{implicit}\", tls = \"implicit\" }}]\n\
         tls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\nlimits = {{ connections_per_client = 2000 }}"
    );
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&smtps)
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }\nlimits = { connections_per_client = 2000 }")
        .start();
    wait_for_listener(implicit).unwrap();
    (gateway, implicit)
}

#[test]
fn clients_that_never_say_hello_keep_nobody_from_implicit_tls() {
    let next_hop = NextHop::start();
    let (_gateway, implicit) = set_up_for_crowds(&next_hop);
    let silent: Vec<Client> = (0..SILENT).map(|_| Client::open(implicit)).collect();
    let begun = Instant::now();
    let mut client = Client::open(implicit).into_tls("mx.example.test");
    assert_eq!(client.reply().code, 220);
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    client.expect("EHLO client.example.test", 250);
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    drop(silent);
}

#[test]
fn clients_that_never_say_hello_keep_nobody_from_starttls() {
    let next_hop = NextHop::start();
    let (gateway, _) = set_up_for_crowds(&next_hop);
    let silent: Vec<Client> = (0..SILENT)
        .map(|_| {
            let mut client = Client::ready(gateway.smtp());
            client.expect("STARTTLS", 220);
            client
        })
        .collect();
    let begun = Instant::now();
    let (mut client, _) = Client::ready(gateway.smtp()).start_tls("mx.example.test");
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    let reply = client.deliver("a@example.org", &["b@example.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    drop(silent);
}
