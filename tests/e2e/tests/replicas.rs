//! Sinks with replicas that fall silent, are too busy, restart, or have no stream to spare: what the gateway's clients
//! notice of it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use postern_e2e::client::{Client, Reply};
use postern_e2e::gateway::{Gateway, Setup};
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;
use rustix::process::Signal;

const LIMIT: Duration = Duration::from_secs(20);

/// A binding at MAIL and RCPT whose sink has these endpoints.
fn set_up(next_hop: &NextHop, sinks: &[&Sink], timeout: &str) -> Gateway {
    let endpoints: Vec<_> = sinks
        .iter()
        .map(|sink| format!("\"{}\"", sink.endpoint()))
        .collect();
    Setup::default()
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&format!(
            "[[sink]]\nname = \"sink\"\nendpoint = [{}]\n\
             [[binding]]\nname = \"sink\"\nsink = \"sink\"\nevents = [\"inbound.mail\", \"inbound.rcpt\"]\n\
             may = []\ntimeout = \"{timeout}\"\non_failure = \"tempfail\"",
            endpoints.join(", ")
        ))
        .start()
}

/// What `/metrics` says under this name with these labels, in order and with their quotes.
fn metric(gateway: &Gateway, name: &str, labels: &str) -> Option<f64> {
    let (_, text) = gateway.http("/metrics");
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('{') && rest.contains(labels))
    });
    lines.next()?.rsplit(' ').next()?.parse().ok()
}

fn until(gateway: &Gateway, what: &str, limit: Duration, holds: impl Fn() -> bool) {
    let until = Instant::now() + limit;
    while !holds() {
        assert!(
            Instant::now() < until,
            "{what}: {}",
            gateway.http("/metrics").1
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn all_up(gateway: &Gateway, count: usize) -> bool {
    let (_, text) = gateway.http("/metrics");
    let up = text
        .lines()
        .filter(|line| line.starts_with("postern_sink_replica_up{") && line.ends_with("} 1"));
    up.count() == count
}

fn rcpt(client: &mut Client, name: &str) -> Reply {
    client.command(&format!("RCPT TO:<{name}@example.test>"))
}

/// V11: nobody asks it anything meanwhile.
#[test]
fn a_recovered_sink_is_noticed_without_a_question_and_described_anew_first() {
    let next_hop = NextHop::start();
    let mut sink = Sink::with(&[], &["--instances", "16", "--verbose"]);
    let endpoint = sink.endpoint();
    let gateway = set_up(&next_hop, &[&sink], "5s");
    until(&gateway, "it is up", LIMIT, || all_up(&gateway, 1));
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    sink.kill();
    until(&gateway, "it is down", LIMIT, || all_up(&gateway, 0));
    assert!(gateway.http("/readyz").1.contains("sink sink: down"));
    // It serves one instance at a time now: several at once on one stream would be served one after the other, and the
    // first that hangs would keep the others.
    let again = Sink::at_with(&endpoint, &["rcpt:slow=delay:3000"], &["--verbose"]);
    until(&gateway, "it is up again", LIMIT, || all_up(&gateway, 1));
    let first: Vec<_> = again.seen().into_iter().map(|seen| seen.what).collect();
    assert!(!first.contains(&"attached".to_owned()), "{first:?}");
    assert!(first.contains(&"described".to_owned()), "{first:?}");
    let mut others: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            client
        })
        .collect();
    let slow = others.first_mut().unwrap();
    slow.send("RCPT TO:<slow@example.test>\r\n");
    again.wait_seen("rcpt", "slow", LIMIT);
    let began = Instant::now();
    for client in others.iter_mut().skip(1) {
        assert_eq!(rcpt(client, "b").code, 250);
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(others.first_mut().unwrap().reply().code, 250);
    // The session whose instance was at the old process goes on.
    assert_eq!(rcpt(&mut client, "c").code, 250);
    let labels = |change| format!("change=\"{change}\"");
    for change in ["up", "down"] {
        let count = metric(
            &gateway,
            "postern_sink_replica_changes_total",
            &labels(change),
        );
        assert_eq!(count, Some(1.0), "{change}");
    }
}

/// V11: the sink's own word counts, both ways, while its port is open.
#[test]
fn a_sink_that_says_it_does_not_serve_is_left_alone_until_it_says_otherwise() {
    let next_hop = NextHop::start();
    let sink = Sink::with(&[], &["--instances", "16", "--health"]);
    let gateway = set_up(&next_hop, &[&sink], "5s");
    until(&gateway, "it is up", LIMIT, || all_up(&gateway, 1));
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    sink.signal(Signal::USR1);
    until(&gateway, "it is down", LIMIT, || all_up(&gateway, 0));
    let asked = sink.asked("mail");
    let mut other = Client::ready(gateway.smtp());
    assert_eq!(other.command("MAIL FROM:<b@example.org>").code, 451);
    assert_eq!(sink.asked("mail"), asked);
    sink.signal(Signal::USR2);
    until(&gateway, "it is up again", LIMIT, || all_up(&gateway, 1));
    other.expect("MAIL FROM:<b@example.org>", 250);
}

/// V12
#[test]
fn a_hung_replica_costs_one_question_and_its_sessions_move() {
    let next_hop = NextHop::start();
    let (one, two) = (
        Sink::with(&[], &["--instances", "16"]),
        Sink::with(&[], &["--instances", "16"]),
    );
    let gateway = set_up(&next_hop, &[&one, &two], "1s");
    until(&gateway, "both are up", LIMIT, || all_up(&gateway, 2));
    // Sessions at either replica.
    let mut clients: Vec<Client> = Vec::new();
    while one.asked("mail") < 2 || two.asked("mail") < 2 {
        assert!(clients.len() < 60, "all of them are at one replica");
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        clients.push(client);
    }
    one.signal(Signal::STOP);
    let mut lost = 0;
    let mut slow = 0;
    for round in 0..3 {
        for client in &mut clients {
            let began = Instant::now();
            let reply = rcpt(client, &format!("b{round}"));
            slow += usize::from(began.elapsed() > Duration::from_millis(900));
            lost += usize::from(reply.code != 250);
        }
    }
    for _ in 0..10 {
        let mut client = Client::ready(gateway.smtp());
        let began = Instant::now();
        let reply = client.command("MAIL FROM:<a@example.org>");
        slow += usize::from(began.elapsed() > Duration::from_millis(900));
        lost += usize::from(reply.code != 250);
    }
    // Each runtime thread finds out by itself, one of them perhaps not before the new sessions; what it has asked on the
    // same stream by then is lost with it.
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(lost <= threads, "{lost} questions were lost");
    assert!(slow <= threads, "{slow} questions waited");
    // It was moved by snapshot and replay: its transaction is known where it is asked now.
    let moved = two.history();
    let replayed = moved
        .iter()
        .any(|line| line.starts_with("mail") && line.contains("replayed"));
    assert!(replayed, "{moved:?}");
    one.signal(Signal::CONT);
}

/// V13
#[test]
fn a_sink_that_raises_for_one_recipient_serves_the_others() {
    for instances in ["1", "16"] {
        let next_hop = NextHop::start();
        let sink = Sink::with(
            &["rcpt:bad=fault", "rcpt:worse=close"],
            &["--instances", instances],
        );
        let gateway = set_up(&next_hop, &[&sink], "5s");
        until(&gateway, "it is up", LIMIT, || all_up(&gateway, 1));
        for round in 0..60 {
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            // Raised by a framework that ends the stream, or told as a fault.
            let name = if round % 2 == 0 { "bad" } else { "worse" };
            assert_eq!(rcpt(&mut client, name).code, 451, "{round}");
            let mut other = Client::ready(gateway.smtp());
            other.expect("MAIL FROM:<a@example.org>", 250);
            let reply = rcpt(&mut other, "good");
            assert_eq!(reply.code, 250, "{round}: {reply:?}\n{}", gateway.log());
        }
        let down = metric(
            &gateway,
            "postern_sink_replica_changes_total",
            "change=\"down\"",
        );
        assert_eq!(down, None, "nobody was ejected");
    }
}

/// V13
#[test]
fn a_stream_that_is_refused_ends_none_that_works() {
    let next_hop = NextHop::start();
    let sink = Sink::with(
        &["rcpt:slow=delay:1500"],
        &["--shed-over", "1", "--verbose"],
    );
    let gateway = set_up(&next_hop, &[&sink], "5s");
    until(&gateway, "it is up", LIMIT, || all_up(&gateway, 1));
    let mut first = Client::ready(gateway.smtp());
    first.expect("MAIL FROM:<a@example.org>", 250);
    first.send("RCPT TO:<slow@example.test>\r\n");
    sink.wait_seen("rcpt", "slow", LIMIT);
    let mut refused = 0;
    for _ in 0..10 {
        let mut client = Client::ready(gateway.smtp());
        refused += usize::from(client.command("MAIL FROM:<b@example.org>").code == 451);
    }
    assert!(
        sink.seen().iter().any(|seen| seen.what == "shed"),
        "none was refused"
    );
    println!("{refused} of 10 found no stream");
    assert_eq!(first.reply().code, 250, "{}", gateway.log());
}

/// V14
#[test]
fn a_replica_that_is_too_busy_is_no_ones_trouble_while_another_is_not() {
    let next_hop = NextHop::start();
    let busy = Sink::with(&["rcpt=overload"], &["--instances", "16"]);
    let free = Sink::with(&[], &["--instances", "16"]);
    let gateway = set_up(&next_hop, &[&busy, &free], "5s");
    until(&gateway, "both are up", LIMIT, || all_up(&gateway, 2));
    for round in 0..20 {
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        let reply = rcpt(&mut client, "b");
        assert_eq!(reply.code, 250, "{round}: {reply:?}\n{}", gateway.log());
    }
    assert!(busy.asked("rcpt") > 0, "the busy one was asked too");
}

/// V21
#[test]
fn streams_of_a_sink_that_serves_one_at_a_time_are_bounded_by_its_server_and_given_back() {
    let next_hop = NextHop::start();
    // A server that takes four streams on a connection.
    let sink = Sink::with(&[], &["--streams", "4"]);
    let gateway = set_up(&next_hop, &[&sink], "5s");
    until(&gateway, "it is up", LIMIT, || all_up(&gateway, 1));
    let mut clients: Vec<_> = (0..16)
        .map(|_| {
            let mut client = Client::ready(gateway.smtp());
            client.expect("MAIL FROM:<a@example.org>", 250);
            client
        })
        .collect();
    for client in &mut clients {
        let began = Instant::now();
        assert_eq!(rcpt(client, "b").code, 250);
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
    let streams = || metric(&gateway, "postern_sink_replica_streams", "sink=\"sink\"");
    assert!(streams().unwrap() >= 12.0, "{:?}", streams());
    for mut client in clients {
        client.expect("QUIT", 221);
    }
    let limit = Duration::from_secs(60);
    until(&gateway, "streams are given back", limit, || {
        streams() == Some(0.0)
    });
    let instances = metric(&gateway, "postern_sink_instances", "sink=\"sink\"");
    assert_eq!(instances, Some(0.0));
}
