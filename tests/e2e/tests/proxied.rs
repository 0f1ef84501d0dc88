//! Behind a proxy: the client is the one that the PROXY protocol names, and nobody else may name one.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::Failed;
use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;
use postern_e2e::peer::{self, HAPROXY, Peer};
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// Name, peers that it needs, test.
type Case = (&'static str, &'static [Peer], fn() -> Result<(), Failed>);

fn main() {
    let tests: [Case; 7] = [
        (
            "a_proxy_that_names_nobody_may_not_relay",
            &[],
            a_proxy_that_names_nobody_may_not_relay,
        ),
        (
            "b25_the_client_is_the_one_behind_the_proxy",
            &[],
            the_client_is_the_one_behind_the_proxy,
        ),
        (
            "b25_nobody_else_may_name_a_client",
            &[],
            nobody_else_may_name_a_client,
        ),
        (
            "b25_a_proxy_that_says_nothing_is_no_client",
            &[],
            a_proxy_that_says_nothing_is_no_client,
        ),
        (
            "each_client_has_its_own_share",
            &[],
            each_client_has_its_own_share,
        ),
        (
            "tls_comes_after_the_header",
            &[],
            tls_comes_after_the_header,
        ),
        (
            "haproxy_speaks_for_its_clients",
            &[HAPROXY],
            haproxy_speaks_for_its_clients,
        ),
    ];
    peer::run(tests);
}

/// A gateway that listens plainly and, at the address that is returned, for proxies on 127.0.0.1.
fn set_up(next_hop: &NextHop, sink: &Sink, keys: &str, tls: &str) -> (Gateway, SocketAddr) {
    let address = free_address();
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    let gateway = setup
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!("[outbound]\ndeliver = \"smtp://{}\"", next_hop.address()))
        .with(&sink.table("sink"))
        .with(
            "[[binding]]\nname = \"sink\"\nsink = \"sink\"\nmay = []\nbody = \"none\"\nevents = [\"inbound.connect\"]",
        )
        .with(&format!(
            "[[server]]\nname = \"proxied\"\nhostname = \"mx.example.test\"\n\
             listen = [{{ address = \"{address}\", proxy = true{tls} }}]\nproxy_from = [\"127.0.0.1\"]\n\
             relay_from = [\"192.0.2.0/24\", \"127.0.0.0/8\"]\ntls = {{ cert = \"mx.pem\", key = \"mx.key\" }}\n{keys}"
        ))
        .start();
    (gateway, address)
}

/// A connection of the proxy, for a client at this address.
fn behind_proxy(address: SocketAddr, client: &str) -> Client {
    let mut connection = Client::open(address);
    connection.send(format!("PROXY TCP4 {client} 198.51.100.1 40000 25\r\n"));
    connection
}

fn the_client_is_the_one_behind_the_proxy() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::with(&[], &["--facts"]);
    let (_gateway, address) = set_up(&next_hop, &sink, "", "");
    // Its network may relay, though neither the proxy's may nor that of the next one.
    let mut client = behind_proxy(address, "192.0.2.7");
    assert_eq!(client.reply().code, 220);
    client.expect("EHLO client.example.test", 250);
    let reply = client.deliver("a@example.org", &["b@elsewhere.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    let received = next_hop.wait_for(1, LIMIT);
    let trace = received[0].text();
    assert!(
        trace.contains("client.example.test\r\n\t([192.0.2.7])"),
        "{trace}"
    );
    let seen = sink.wait_seen("connect", "client=192.0.2.7", LIMIT);
    assert_eq!(seen.fact("proxy"), "127.0.0.1");
    assert_eq!(
        (
            seen.fact("port"),
            seen.fact("local"),
            seen.fact("local_port")
        ),
        ("40000", "198.51.100.1", "25")
    );
    let mut other = behind_proxy(address, "203.0.113.7");
    assert_eq!(other.reply().code, 220);
    other.expect("EHLO client.example.test", 250);
    other.expect("MAIL FROM:<a@example.org>", 250);
    other.expect("RCPT TO:<b@elsewhere.test>", 550);
    Ok(())
}

/// Though its own network may relay: it may speak for a client of which it knows no address.
fn a_proxy_that_names_nobody_may_not_relay() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let (_gateway, address) = set_up(&next_hop, &sink, "priority_from = [\"127.0.0.0/8\"]", "");
    let mut client = Client::open(address);
    client.send("PROXY UNKNOWN\r\n");
    assert_eq!(client.reply().code, 220);
    client.expect("EHLO client.example.test", 250);
    client.expect("MAIL FROM:<a@example.org> MT-PRIORITY=1", 555);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@elsewhere.test>", 550);
    client.expect("RCPT TO:<b@example.test>", 250);
    Ok(())
}

fn nobody_else_may_name_a_client() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let (gateway, address) = set_up(&next_hop, &sink, "", "");
    // One that is not listed is sent away, whatever it says.
    let mut stranger = Client::open_from("127.0.0.2".parse()?, address);
    assert_eq!(stranger.reply().code, 554);
    stranger.expect_closed();
    assert_eq!(
        gateway.metric("postern_limits_total{server=\"proxied\",limit=\"proxy_from\"}"),
        1
    );
    // On a listener for clients it is a command like any other that nobody knows.
    let (mut client, greeting) = Client::connect(gateway.smtp());
    assert_eq!(greeting.code, 220);
    client.expect("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25", 500);
    client.expect("EHLO client.example.test", 250);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@elsewhere.test>", 550);
    // Neither is a second header behind the first.
    let mut client = behind_proxy(address, "203.0.113.7");
    client.send("PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\r\n");
    let greeting = client.reply();
    let refused = client.try_reply().map_or(greeting.code, |reply| reply.code);
    assert!(refused >= 500, "{refused}");
    Ok(())
}

fn a_proxy_that_says_nothing_is_no_client() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let (gateway, address) = set_up(&next_hop, &sink, "", "");
    let silent = Client::open(address);
    for octets in [
        "EHLO client.example.test\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 25\n\n\n\n",
        &format!("PROXY TCP4 {}\r\n", "1".repeat(200)),
    ] {
        let mut proxy = Client::open(address);
        proxy.send(octets);
        proxy.expect_closed();
    }
    // One that says nothing at all has five seconds.
    let mut silent = silent;
    silent.expect_closed();
    assert_eq!(
        gateway.metric("postern_limits_total{server=\"proxied\",limit=\"proxy_header\"}"),
        5
    );
    assert!(
        gateway.log().contains("is it told to send the header?"),
        "{}",
        gateway.log()
    );
    assert_eq!(
        gateway.metric("postern_sessions_total{server=\"proxied\"}"),
        0
    );
    Ok(())
}

fn each_client_has_its_own_share() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let limits = "[server.limits]\nconnections_per_client = 2\nconnections = 6";
    let (_gateway, address) = set_up(&next_hop, &sink, limits, "");
    let mut open = Vec::new();
    for client in ["192.0.2.7", "192.0.2.7", "192.0.2.8", "192.0.2.8"] {
        let mut connection = behind_proxy(address, client);
        assert_eq!(connection.reply().code, 220);
        open.push(connection);
    }
    let mut third = behind_proxy(address, "192.0.2.7");
    assert_eq!(third.reply().code, 421);
    third.expect_closed();
    // Those that nobody is named for yet count among all.
    let _silent = [Client::open(address), Client::open(address)];
    let mut seventh = Client::open(address);
    assert_eq!(seventh.reply().code, 421);
    Ok(())
}

fn tls_comes_after_the_header() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::with(&[], &["--facts"]);
    let (_gateway, address) = set_up(&next_hop, &sink, "", ", tls = \"implicit\"");
    let mut client = behind_proxy(address, "192.0.2.7").into_tls("mx.example.test");
    assert_eq!(client.reply().code, 220);
    client.expect("EHLO client.example.test", 250);
    sink.wait_seen("connect", "client=192.0.2.7", LIMIT);
    Ok(())
}

/// Ended when dropped.
struct HaProxy(Child);

impl Drop for HaProxy {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn haproxy_speaks_for_its_clients() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let sink = Sink::with(&[], &["--facts"]);
    let (gateway, address) = set_up(&next_hop, &sink, "", "");
    let (first, second) = (free_address(), free_address());
    let configuration = gateway.folder().join("haproxy.cfg");
    std::fs::write(
        &configuration,
        format!(
            "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n\
             listen first\n bind {first}\n server postern {address} send-proxy\n\
             listen second\n bind {second}\n server postern {address} send-proxy-v2 check inter 100ms\n"
        ),
    )?;
    let program = HAPROXY.path().ok_or("no haproxy")?;
    let child = Command::new(program)
        .args(["-db", "-f"])
        .arg(&configuration)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let _haproxy = HaProxy(child);
    wait_for_listener(second)?;
    for (proxy, client) in [(first, "127.0.0.21"), (second, "127.0.0.22")] {
        let mut connection = Client::open_from(client.parse()?, proxy);
        assert_eq!(connection.reply().code, 220);
        connection.expect("EHLO client.example.test", 250);
        connection.deliver("a@example.org", &["b@example.test"], CONTENT);
        let seen = sink.wait_seen("connect", &format!("client={client}"), LIMIT);
        assert_eq!(seen.fact("proxy"), "127.0.0.1");
    }
    let received = next_hop.wait_for(2, LIMIT);
    assert!(
        received[1].text().contains("([127.0.0.22])"),
        "{}",
        received[1].text()
    );
    Ok(())
}
