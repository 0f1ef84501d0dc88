//! `transport.route` and `transport.resolve`: sinks say where the mail of a destination goes, once for all messages that go
//! there, and are asked again when the answer runs out or fails.

#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const LIMIT: Duration = Duration::from_secs(60);
const CONTENT: &[u8] = b"From: me@sender.test\r\nSubject: x\r\n\r\nbody\r\n";

/// A gateway that relays to `hop` unless the router says otherwise.
fn setup(hop: &str, router: &Sink, event: &str, keys: &str) -> Setup {
    Setup::default()
        .server("relay_from = [\"127.0.0.0/8\"]")
        .with(&format!(
            "[outbound]\ndeliver = \"{hop}\"\n[queue]\nretry = [\"1s\"]"
        ))
        .with(&router.table("router"))
        .with(&format!(
            "[[binding]]\nname = \"router\"\nsink = \"router\"\nevents = [\"{event}\"]\nmay = [\"redirect\"]\n{keys}"
        ))
}

fn send(gateway: &Gateway, recipient: &str) {
    let mut client = Client::ready(gateway.smtp());
    let reply = client.deliver("me@sender.test", &[recipient], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
}

fn at(hop: &NextHop) -> String {
    format!("smtp://{}", hop.address())
}

fn wait_done(gateway: &Gateway) {
    let until = Instant::now() + LIMIT;
    let left = || gateway.spooled("submit") + gateway.spooled("deliver");
    while left() > 0 {
        assert!(Instant::now() < until, "{}", gateway.log());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_destination_is_asked_about_once_and_its_mail_goes_as_the_sink_says() {
    let (outside, inside) = (NextHop::start(), NextHop::start());
    let router = Sink::start(&[&format!("route:partner.test=hops:{}", at(&inside))]);
    let gateway = setup(&at(&outside), &router, "transport.route", "").start();
    for _ in 0..3 {
        send(&gateway, "a@partner.test");
        send(&gateway, "b@other.test");
    }
    inside.wait_for(3, LIMIT);
    outside.wait_for(3, LIMIT);
    assert_eq!(router.asked("route"), 2, "once for each destination");
    // It hears what would be done.
    let seen = router.wait_seen("route", "partner.test", LIMIT);
    assert!(seen.detail.contains(&at(&outside)), "{seen:?}");
    gateway.wait_for_log("a sink routes a domain", LIMIT);
}

#[test]
fn an_answer_holds_for_its_lifetime() {
    let hop = NextHop::start();
    let router = Sink::start(&[&format!("route=hops-for-1s:{}", at(&hop))]);
    let gateway = setup("smtp://127.0.0.1:1", &router, "transport.route", "").start();
    send(&gateway, "a@x.test");
    hop.wait_for(1, LIMIT);
    let until = Instant::now() + LIMIT;
    while router.asked("route") < 2 {
        assert!(Instant::now() < until, "{:?}", router.seen());
        send(&gateway, "a@x.test");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn next_hops_are_tried_in_their_order_and_a_failure_has_the_router_asked_again() {
    let away = format!("smtp://{}", free_address());
    let (second, third) = (NextHop::start(), NextHop::start());
    let router = Sink::start(&[
        &format!("route:first.test=hops:{away},{}", at(&second)),
        &format!("route:failures:1=hops:{}", at(&third)),
        &format!("route=hops:{away}"),
    ]);
    let gateway = setup("smtp://127.0.0.1:1", &router, "transport.route", "").start();
    send(&gateway, "a@first.test");
    second.wait_for(1, LIMIT);
    send(&gateway, "a@again.test");
    third.wait_for(1, LIMIT);
    let again = router.wait_seen("route", "failures:1", LIMIT);
    assert!(again.detail.contains("no_connection_to"), "{again:?}");
}

#[test]
fn stores_ends_and_words_that_cannot_be_used() {
    let senders = NextHop::start();
    let store = Sink::start(&["local_delivery=store:250 kept"]);
    let router = Sink::start(&[
        "route:kept.test=hops:sink:store",
        "route:never.test=hops:unreachable",
        "route:later.test=hops:unreachable:later",
        "route:files.test=hops:maildir:/etc/{user}",
        "route:tempfail.test=tempfail",
        &format!("route=hops:{}", at(&senders)),
    ]);
    let gateway = setup("smtp://127.0.0.1:1", &router, "transport.route", "")
        .with(&store.table("store"))
        .with("[[binding]]\nname = \"keep\"\nsink = \"store\"\nevents = [\"transport.local_delivery\"]\nmay = []")
        .start();
    send(&gateway, "a@kept.test");
    store.wait_asked("local_delivery", 1, LIMIT);
    send(&gateway, "a@never.test");
    let report = senders.wait_for(1, LIMIT)[0].text();
    assert!(
        report.contains("5.4.4") && report.contains("no route leads to this domain"),
        "{report}"
    );
    for (domain, why) in [
        ("later.test", "no route leads to this domain"),
        ("files.test", "its route cannot be used"),
        ("tempfail.test", "the sink is not sure"),
    ] {
        send(&gateway, &format!("a@{domain}"));
        gateway.wait_for_line(LIMIT, |line| {
            line.contains("deferred") && line.contains(domain) && line.contains(why)
        });
    }
    gateway.wait_for_log("no [[domain]] has maildir:/etc/{user}", LIMIT);
}

#[test]
fn a_router_that_is_away_is_passed_over_or_makes_mail_wait_as_its_policy_says() {
    for (policy, goes) in [("continue", true), ("tempfail", false)] {
        let hop = NextHop::start();
        let mut router = Sink::start(&[]);
        let setup = setup(
            &at(&hop),
            &router,
            "transport.route",
            &format!("on_failure = \"{policy}\""),
        );
        router.kill();
        let gateway = setup.start();
        send(&gateway, "a@x.test");
        match goes {
            true => drop(hop.wait_for(1, LIMIT)),
            false => {
                gateway.wait_for_line(LIMIT, |line| {
                    line.contains("deferred")
                        && line.contains("the filter router could not be reached")
                });
                assert_eq!(hop.count(), 0);
            }
        }
    }
}

#[test]
fn names_are_resolved_by_a_sink_for_hosts_and_for_mail_exchangers() {
    let hop = NextHop::start();
    let port = hop.address().port();
    let resolver = Sink::start(&[
        &format!("resolve:known.test=hosts:mx1.known.test 127.0.0.1 {port}"),
        &format!("resolve:relay.invalid=hosts:relay 127.0.0.1 {port}"),
        "resolve:gone.test=hosts:",
        "resolve:tempfail.test=tempfail",
    ]);
    let senders = NextHop::start();
    let gateway = setup("mx", &resolver, "transport.resolve", "")
        .with("[[route]]\nname = \"relay\"\nmatch = \"relayed.test\"\ndeliver = \"smtp://relay.invalid:2525\"")
        .domain("sender.test", &at(&senders));
    let gateway = gateway.start();
    send(&gateway, "a@known.test");
    send(&gateway, "a@relayed.test");
    hop.wait_for(2, LIMIT);
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("relayed") && line.contains("a@known.test")
    });
    let seen = resolver.wait_seen("resolve", "known.test", LIMIT);
    assert!(seen.detail.contains("mx=true"), "{seen:?}");
    let seen = resolver.wait_seen("resolve", "relay.invalid", LIMIT);
    assert!(seen.detail.contains("mx=false"), "{seen:?}");
    send(&gateway, "a@gone.test");
    let report = senders.wait_for(1, LIMIT)[0].text();
    assert!(
        report.contains("there is no host of the name gone.test"),
        "{report}"
    );
    send(&gateway, "a@tempfail.test");
    gateway.wait_for_line(LIMIT, |line| {
        line.contains("deferred") && line.contains("the sink is not sure")
    });
}

#[test]
fn who_has_nothing_to_say_leaves_it_to_dns() {
    let hop = NextHop::start();
    let resolver = Sink::start(&[]);
    let gateway = setup(
        &format!("smtp://localhost:{}", hop.address().port()),
        &resolver,
        "transport.resolve",
        "",
    )
    .start();
    send(&gateway, "a@x.test");
    hop.wait_for(1, LIMIT);
    resolver.wait_asked("resolve", 1, LIMIT);
    wait_done(&gateway);
}
