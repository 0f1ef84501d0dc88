//! `deliver = "mx"` with a real name server: hosts, their order, and the domains that take no mail.
//!
//! A test whose peer is missing is listed as ignored, with the Debian package in its name; with `CI=true` it fails.

#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::name_server::NameServer;
use postern_e2e::next_hop::{Manners, NextHop};
use postern_e2e::peer::{self, KNOT};
use postern_e2e::programs::program;

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// Hosts are `127.0.0.N`. Ours is `us.test`, and `mx.example.test` by name.
const ZONE: &str = "
us A 127.0.0.1
two A 127.0.0.2
three A 127.0.0.3
four A 127.0.0.4
both A 127.0.0.2
both AAAA 2001:db8::1
six AAAA ::1
private A 10.1.2.3
metadata A 169.254.169.254
mapped AAAA ::ffff:10.1.2.3

ordered MX 20 three
ordered MX 10 two
ordered MX 30 four
implicit A 127.0.0.2
alias CNAME implicit
named CNAME ordered
null MX 0 .
null A 127.0.0.2
own MX 10 us
own MX 20 two
named-own MX 10 mx.example.test.
backup MX 10 two
backup MX 20 us
backup MX 30 three
forbidden MX 10 private
forbidden MX 20 metadata
forbidden MX 30 mapped
rescued MX 10 private
rescued MX 20 two
addressed MX 10 192.0.2.1.
hostless MX 10 nowhere
empty TXT nothing
v6 MX 10 six
dual MX 10 both
";

/// A gateway that delivers by MX, to hosts of the loopback network at its own port; reports go to `senders`.
struct World {
    gateway: Gateway,
    senders: NextHop,
    port: u16,
    name_server: NameServer,
}

impl World {
    fn start() -> Self {
        Self::with("127.0.0.0/8\", \"::1", "")
    }

    /// `allowed`: networks beside the Internet that mail may go to.
    fn with(allowed: &str, queue: &str) -> Self {
        let name_server = NameServer::start(ZONE).unwrap();
        let senders = NextHop::start();
        let setup = Setup::default();
        let port = setup.smtp().port();
        let allowed = match allowed {
            "" => String::new(),
            allowed => format!("\"{allowed}\""),
        };
        let gateway = setup
            .server("relay_from = [\"127.0.0.0/8\"]")
            .with(&format!(
                "[dns]\nservers = [\"{}\"]\n[outbound]\ndeliver = \"mx\"\nmx_port = {port}\n\
                 allow_private = [{allowed}]\nconnect_timeout = \"4s\"\n[queue]\n{queue}",
                name_server.address()
            ))
            .domain("sender.test", &format!("smtp://{}", senders.address()))
            .start();
        Self {
            gateway,
            senders,
            port,
            name_server,
        }
    }

    fn host(&self, last: u8) -> NextHop {
        self.host_with(last, Manners::default())
    }

    fn host_with(&self, last: u8, manners: Manners) -> NextHop {
        NextHop::at((Ipv4Addr::new(127, 0, 0, last), self.port).into(), manners)
    }

    fn send(&self, recipients: &[&str]) {
        let mut client = Client::ready(self.gateway.smtp());
        let reply = client.deliver("me@sender.test", recipients, CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
    }

    /// The report that a message to `recipient` comes back with.
    fn report(&self, recipient: &str) -> String {
        let before = self.senders.count();
        self.send(&[recipient]);
        let reports = self.senders.wait_for(before + 1, LIMIT);
        let report = reports.last().unwrap().text();
        assert!(report.contains(recipient), "{report}");
        report
    }

    /// Waits until a message to `recipient` was put off, and returns the line that says so.
    fn deferred(&self, recipient: &str) -> String {
        self.send(&[recipient]);
        let fits = |line: &str| line.contains(recipient) && line.contains("deferred");
        self.gateway.wait_for_line(LIMIT, fits);
        let log = self.gateway.log();
        log.lines().rfind(|line| fits(line)).unwrap().to_owned()
    }
}

fn better_hosts_come_first_and_the_next_one_when_they_do_not_serve() {
    let world = World::start();
    let (two, three, four) = (world.host(2), world.host(3), world.host(4));
    world.send(&["a@ordered.test"]);
    two.wait_for(1, LIMIT);
    assert_eq!(three.connections() + four.connections(), 0);
    // It wants no session: the next host is tried in the same attempt.
    let world = World::start();
    let (_two, three) = (
        world.host_with(
            2,
            Manners {
                greeting: "554 5.7.1 not you",
                ..Manners::default()
            },
        ),
        world.host(3),
    );
    world.send(&["a@ordered.test"]);
    three.wait_for(1, LIMIT);
    // Neither two nor three: nobody listens there.
    let world = World::start();
    let four = world.host(4);
    world.send(&["a@ordered.test"]);
    four.wait_for(1, LIMIT);
    world.gateway.wait_for_line(LIMIT, |line| {
        line.contains("relayed") && line.contains("127.0.0.4")
    });
    let metric = "postern_dns_lookups_total{record=\"mx\",result=\"found\"}";
    assert!(world.gateway.metric(metric) > 0);
}

fn domains_without_mx_and_aliases_are_hosts_too() {
    let world = World::start();
    let two = world.host(2);
    for (count, domain) in [
        "implicit.test",
        "alias.test",
        "named.test",
        "dual.test",
        "rescued.test",
    ]
    .into_iter()
    .enumerate()
    {
        world.send(&[&format!("a@{domain}")]);
        let received = two.wait_for(count + 1, LIMIT);
        let last = received.last().unwrap();
        assert!(last.recipients[0].contains(domain), "{last:?}");
    }
    world.send(&["a@[127.0.0.2]"]);
    two.wait_for(6, LIMIT);
    assert_eq!(world.senders.count(), 0);
}

fn ipv6_hosts_are_reached() {
    let here = (IpAddr::from(Ipv6Addr::LOCALHOST), 0);
    if TcpListener::bind(here).is_err() {
        return;
    }
    let world = World::start();
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, world.port));
    let six = NextHop::at(address, Manners::default());
    world.send(&["a@v6.test"]);
    six.wait_for(1, LIMIT);
    world.send(&["a@[IPv6:::1]"]);
    six.wait_for(2, LIMIT);
}

fn what_dns_says_for_certain_comes_back_at_once() {
    let world = World::start();
    let two = world.host(2);
    for (recipient, status, said) in [
        ("a@null.test", "5.1.10", "556 null.test takes no mail"),
        ("a@missing.test", "5.1.2", "does not exist"),
        ("a@addressed.test", "5.4.4", "name no host"),
        ("a@hostless.test", "5.4.4", "nowhere.test has none"),
        ("a@empty.test", "5.4.4", "neither MX records nor addresses"),
        ("a@own.test", "5.4.6", "us.test, which is this gateway"),
        (
            "a@named-own.test",
            "5.4.6",
            "mx.example.test, which is this gateway",
        ),
        ("a@[10.1.2.3]", "5.4.4", "an address of a private network"),
        ("a@[127.0.0.1]", "5.4.6", "this gateway"),
    ] {
        // The second one while the first is remembered.
        for _ in 0..2 {
            let report = world.report(recipient);
            let line = format!("Status: {status}\r\n");
            assert!(report.contains(&line), "{recipient}\n{report}");
            let unfolded = report.replace("\r\n ", " ").replace("=\r\n", "");
            assert!(unfolded.contains(said), "{recipient}\n{report}");
        }
    }
    assert_eq!(two.connections(), 0, "nobody was tried");
}

fn what_dns_does_not_say_waits() {
    let world = World::with("127.0.0.0/8", "retry = [\"1s\"]");
    // It may be a mistake, and the operator hears of it.
    let line = world.deferred("a@forbidden.test");
    assert!(line.contains("an address of a private network"), "{line}");
    world
        .gateway
        .wait_for_line(LIMIT, |line| line.contains("allow_private"));
    // Not a zone of this server, which refuses it.
    let line = world.deferred("a@elsewhere.example");
    assert!(line.contains("cannot be looked up"), "{line}");
    let World {
        gateway,
        senders,
        name_server,
        port,
    } = world;
    let address = name_server.address();
    drop(name_server);
    let mut client = Client::ready(gateway.smtp());
    client.deliver("me@sender.test", &["b@implicit.test"], CONTENT);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("b@implicit.test") && line.contains("deferred")
    });
    assert_eq!(senders.count(), 0, "nothing failed");
    let back = NameServer::start_at(address, ZONE).unwrap();
    let two = NextHop::at(
        (Ipv4Addr::new(127, 0, 0, 2), port).into(),
        Manners::default(),
    );
    two.wait_for(1, LIMIT);
    drop(back);
}

fn a_backup_hands_mail_only_to_better_hosts() {
    let world = World::with("127.0.0.0/8", "retry = [\"1s\"]");
    let three = world.host(3);
    // `two` is down: we wait for it, and neither keep nor pass on what is not ours.
    let line = world.deferred("a@backup.test");
    assert!(line.contains("127.0.0.2"), "{line}");
    let two = world.host(2);
    two.wait_for(1, LIMIT);
    assert_eq!((three.connections(), world.senders.count()), (0, 0));
}

fn loopback_is_not_reached_unless_it_is_allowed() {
    let world = World::with("", "");
    let two = world.host(2);
    for recipient in ["a@implicit.test", "a@ordered.test"] {
        let line = world.deferred(recipient);
        assert!(line.contains("a loopback address"), "{line}");
    }
    let report = world.report("a@[127.0.0.2]");
    assert!(report.contains("Status: 5.4.4"), "{report}");
    assert!(report.contains("a loopback address"), "{report}");
    assert_eq!(two.connections(), 0);
}

fn check_says_where_mx_leads() {
    let name_server = NameServer::start(ZONE).unwrap();
    let setup = Setup::default();
    let port = setup.smtp().port();
    let setup = setup.with(&format!(
        "[dns]\nservers = [\"{}\"]\n[outbound]\nmx_port = {port}\nallow_private = [\"127.0.0.0/8\"]",
        name_server.address()
    ));
    let two = NextHop::at(
        (Ipv4Addr::new(127, 0, 0, 2), port).into(),
        Manners::default(),
    );
    let setup = setup
        .domain("ordered.test", "mx")
        .domain("own.test", "mx")
        .domain("null.test", "mx");
    let output = Command::new(program("postern"))
        .args(["check", "--config"])
        .arg(setup.write())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    for part in [
        "mx, two.test greets in ",
        "domain.\"own.test\".deliver: mx leads nowhere: mail for own.test would loop",
        "domain.\"null.test\".deliver: mx leads nowhere: null.test takes no mail",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert_eq!(two.connections(), 1);
}

fn main() {
    let tests: [(&str, fn()); 8] = [
        (
            "better_hosts_come_first_and_the_next_one_when_they_do_not_serve",
            better_hosts_come_first_and_the_next_one_when_they_do_not_serve,
        ),
        (
            "domains_without_mx_and_aliases_are_hosts_too",
            domains_without_mx_and_aliases_are_hosts_too,
        ),
        ("ipv6_hosts_are_reached", ipv6_hosts_are_reached),
        (
            "what_dns_says_for_certain_comes_back_at_once",
            what_dns_says_for_certain_comes_back_at_once,
        ),
        ("what_dns_does_not_say_waits", what_dns_does_not_say_waits),
        (
            "a_backup_hands_mail_only_to_better_hosts",
            a_backup_hands_mail_only_to_better_hosts,
        ),
        (
            "loopback_is_not_reached_unless_it_is_allowed",
            loopback_is_not_reached_unless_it_is_allowed,
        ),
        ("check_says_where_mx_leads", check_says_where_mx_leads),
    ];
    peer::run(tests.map(|(name, run)| {
        let trial = move || {
            run();
            Ok(())
        };
        (name, &[KNOT][..], trial)
    }));
}
