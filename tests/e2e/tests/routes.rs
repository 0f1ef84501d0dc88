//! `[[route]]`: where mail for some domains goes, from where, as whom, and over which kind of connection.

#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;
use std::time::Duration;

use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::programs::program;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// What the user `me` says with the password `sesame`.
const LOGIN: &str = "PLAIN AG1lAHNlc2FtZQ==";

/// A gateway that relays to `hop`, with a route for all domains that has these keys.
fn gateway(hop: &str, keys: &str) -> Gateway {
    setup(hop, keys).start()
}

fn setup(hop: &str, keys: &str) -> Setup {
    Setup::default()
        .server("relay_from = [\"127.0.0.0/8\"]")
        .with(&format!(
            "[outbound]\ndeliver = \"{hop}\"\n[queue]\nretry = [\"1s\"]\n[[route]]\nname = \"own\"\nmatch = \"*\"\n{keys}"
        ))
}

fn send(gateway: &Gateway, recipient: &str) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &[recipient], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

/// Waits until a message was put off for this reason.
fn deferred(gateway: &Gateway, reason: &str) {
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains(reason)
    });
}

fn at(hop: &NextHop) -> String {
    format!("smtp://{}", hop.address())
}

#[test]
fn the_most_specific_route_says_where_and_how() {
    let (outside, partner) = (NextHop::start(), NextHop::start());
    let gateway = setup(&at(&outside), "ehlo = \"edge.example.test\"")
        .with(&format!(
            "[[route]]\nname = \"partner\"\nmatch = \"*.partner.test\"\ndeliver = \"{}\"\nsource = \"127.0.0.9\"",
            at(&partner)
        ))
        .start();
    send(&gateway, "a@example.org");
    let received = outside.wait_for(1, LIMIT);
    assert_eq!(received[0].hello, "edge.example.test");
    send(&gateway, "a@mail.partner.test");
    let received = partner.wait_for(1, LIMIT);
    assert_eq!(
        received[0].hello, "mx.example.test",
        "one route alone counts"
    );
    assert_eq!(received[0].client.unwrap().to_string(), "127.0.0.9");
    send(&gateway, "a@partner.test");
    outside.wait_for(2, LIMIT);
    assert_eq!(partner.count(), 1);
}

#[test]
fn a_route_has_times_of_its_own() {
    let senders = NextHop::start();
    let hop = NextHop::with(Manners {
        greeting: "421 4.3.2 not now",
        ..Manners::default()
    });
    let gateway = setup(&at(&hop), "retry = [\"1s\"]\nexpire = \"2s\"")
        .domain("sender.test", &at(&senders))
        .start();
    send(&gateway, "a@example.org");
    let report = senders.wait_for(1, LIMIT);
    assert!(report[0].text().contains("421 4.3.2 not now"), "{report:?}");
}

#[test]
fn a_route_with_times_of_its_own_tells_of_delays() {
    let senders = NextHop::start();
    let hop = NextHop::with(Manners {
        recipients: vec![("slow", "450 4.2.2 mailbox full")],
        ..Manners::default()
    });
    let gateway = Setup::default()
        .server("relay_from = [\"127.0.0.0/8\"]")
        .with(&format!(
            "[outbound]\ndeliver = \"{}\"\n[queue]\nwarn_after = \"2s\"\n[[route]]\nname = \"own\"\n\
             match = \"*\"\nretry = [\"10m\"]\nexpire = \"1h\"",
            at(&hop)
        ))
        .domain("sender.test", &at(&senders))
        .start();
    send(&gateway, "slow@example.org");
    let report = senders.wait_for(1, LIMIT);
    assert!(report[0].text().contains("Action: delayed"), "{report:?}");
}

#[test]
fn the_terms_of_a_smart_host_are_not_those_of_our_own_hosts() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sesame\n").unwrap();
    let authority = Authority::default();
    let ca = folder.path().join("ca.pem");
    authority.write(&ca);
    let relay = NextHop::with(Manners {
        login: Some(LOGIN),
        certificate: Some(authority.issue(folder.path(), "relay", "localhost").files),
        ..Manners::default()
    });
    let inside = NextHop::start();
    let gateway = Setup::default()
        .server("relay_from = [\"127.0.0.0/8\"]")
        .domain("inside.test", &at(&inside))
        .with(&format!(
            "[[route]]\nname = \"relay\"\nmatch = \"*\"\ndeliver = \"smtp://localhost:{}\"\ntls = \"verified\"\n\
             ca = \"{}\"\nauth = {{ user = \"me\", password_file = \"{}\" }}",
            relay.address().port(),
            ca.display(),
            secret.display()
        ))
        .start();
    send(&gateway, "a@example.org");
    assert!(relay.wait_for(1, LIMIT)[0].encrypted);
    send(&gateway, "b@inside.test");
    assert!(!inside.wait_for(1, LIMIT)[0].encrypted);
}

#[test]
fn required_tls_is_never_clear_text() {
    for manners in [
        // It has no TLS.
        Manners::default(),
        // It refuses it.
        Manners {
            keywords: vec!["STARTTLS"],
            starttls: "454 4.7.0 not today",
            ..Manners::default()
        },
        // Its handshake fails, several times in a row.
        Manners {
            keywords: vec!["STARTTLS"],
            starttls: "220 2.0.0 go on",
            ..Manners::default()
        },
    ] {
        let what = format!("{manners:?}");
        let hop = NextHop::with(manners);
        let gateway = gateway(&at(&hop), "tls = \"required\"");
        for round in 1..=4 {
            send(&gateway, &format!("a{round}@example.org"));
            let to = format!("a{round}@example.org");
            gateway.wait_for_line(LIMIT, |line| {
                line.contains("deferred") && line.contains(&to)
            });
        }
        assert_eq!(hop.count(), 0, "{what}");
        assert!(!gateway.log().contains("going on without it"), "{what}");
        let folder = tempfile::tempdir().unwrap();
        let issued = Authority::default().issue(folder.path(), "hop", "nobody.test");
        hop.behave(Manners {
            certificate: Some(issued.files),
            ..Manners::default()
        });
        let received = hop.wait_for(4, LIMIT);
        assert!(received.iter().all(|one| one.encrypted), "{what}");
    }
}

#[test]
fn a_verified_host_has_a_certificate_for_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::default();
    let ca = folder.path().join("ca.pem");
    authority.write(&ca);
    let keys = format!("tls = \"verified\"\nca = \"{}\"", ca.display());
    let with = |files| {
        NextHop::with(Manners {
            certificate: Some(files),
            ..Manners::default()
        })
    };
    let good = with(authority.issue(folder.path(), "good", "localhost").files);
    let named = |hop: &NextHop| format!("smtp://localhost:{}", hop.address().port());
    let sent = gateway(&named(&good), &keys);
    send(&sent, "a@example.org");
    assert!(good.wait_for(1, LIMIT)[0].encrypted);
    let stranger = Authority::named("stranger");
    for issued in [
        authority.issue(folder.path(), "other-name", "elsewhere.test"),
        authority.issue_expired(folder.path(), "expired", "localhost"),
        stranger.issue(folder.path(), "stranger", "localhost"),
    ] {
        let hop = with(issued.files);
        let gateway = gateway(&named(&hop), &keys);
        send(&gateway, "a@example.org");
        deferred(&gateway, "TLS handshake");
        assert_eq!(hop.count(), 0);
    }
}

#[test]
fn a_route_authenticates_itself_and_shows_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sesame\n").unwrap();
    let authority = Authority::default();
    let ca = folder.path().join("ca.pem");
    authority.write(&ca);
    let hop = NextHop::with(Manners {
        login: Some(LOGIN),
        certificate: Some(authority.issue(folder.path(), "hop", "localhost").files),
        ..Manners::default()
    });
    let to = format!("smtp://localhost:{}", hop.address().port());
    let tls = format!("tls = \"verified\"\nca = \"{}\"", ca.display());
    let from_file = format!(
        "{tls}\nauth = {{ user = \"me\", password_file = \"{}\" }}",
        secret.display()
    );
    let gateway = gateway(&to, &from_file);
    send(&gateway, "a@example.org");
    assert!(hop.wait_for(1, LIMIT)[0].encrypted);
    // On this host it may go in clear text.
    let plain = NextHop::with(Manners {
        login: Some(LOGIN),
        ..Manners::default()
    });
    let inside = setup(
        "smtp://192.0.2.1",
        &format!(
            "deliver = \"{}\"\nauth = {{ user = \"me\", password = \"sesame\" }}",
            at(&plain)
        ),
    );
    let shown = Command::new(program("postern"))
        .args(["config", "show", "--config"])
        .arg(inside.write())
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("(set)") && !shown.contains("sesame"),
        "{shown}"
    );
    let inside = inside.start();
    send(&inside, "a@example.org");
    plain.wait_for(1, LIMIT);
    // Who is not welcome keeps the mail.
    let wrong = format!("{tls}\nauth = {{ user = \"me\", password = \"abracadabra\" }}");
    let stranger = self::gateway(&to, &wrong);
    send(&stranger, "b@example.org");
    deferred(&stranger, "535");
    assert!(
        !stranger.log().contains("who are you"),
        "its words are not shown"
    );
    assert_eq!(hop.count(), 1);
    for gateway in [&gateway, &inside, &stranger] {
        let log = gateway.log();
        assert!(!log.contains("sesame") && !log.contains("abracadabra"));
    }
}

#[test]
fn a_password_would_not_go_in_clear_text() {
    let setup = setup(
        "smtp://relay.example.org",
        "auth = { user = \"me\", password = \"sesame\" }",
    );
    let output = Command::new(program("postern"))
        .args(["check", "--offline", "--config"])
        .arg(setup.write())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("route.own.tls: would let a password go in clear text"),
        "{said}"
    );
    assert!(!said.contains("sesame"), "{said}");
}
