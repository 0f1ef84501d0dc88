//! A gateway beside sinks that misbehave: each is asked about the clients that greet with its name, a good one about all
//! others.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Reply};
use crate::gateway::{Gateway, Setup};
use crate::next_hop::NextHop;
use crate::sink::Sink;

const LIMIT: Duration = Duration::from_secs(20);
const CONTENT: &[u8] = b"From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

/// A gateway, its next hop, and a good sink that is asked about the messages of `client.example.test`.
#[derive(Debug)]
pub struct Hostile {
    /// The gateway.
    pub gateway: Gateway,
    /// Where accepted mail arrives.
    pub next_hop: NextHop,
    good: Sink,
}

impl Hostile {
    /// Starts it. Each of `sinks`, a name with the `[[sink]]` of that name and further keys of its binding, is asked at
    /// `event` in sessions of NAME.example.test. What fails is `tempfail`.
    pub fn start(event: &str, sinks: &[(&str, String, &str)]) -> Self {
        Self::with(Setup::default(), event, sinks)
    }

    /// The same on top of `setup`.
    pub fn with(mut setup: Setup, event: &str, sinks: &[(&str, String, &str)]) -> Self {
        let next_hop = NextHop::start();
        let good = Sink::start(&[]);
        let target = format!("smtp://{}", next_hop.address());
        setup = setup
            .domain("good.test", &target)
            .with(&good.table("good"))
            .with(
                "[[binding]]\nname = \"good\"\nsink = \"good\"\nevents = [\"inbound.message\"]\n\
                 may = []\nbody = \"headers\"\nwhen = 'session.helo == \"client.example.test\"'",
            );
        for (name, table, keys) in sinks {
            let may = if keys.contains("may = ") {
                ""
            } else {
                "may = []"
            };
            setup = setup.with(table).with(&format!(
                "[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [\"{event}\"]\n\
                 when = 'session.helo == \"{name}.example.test\"'\n{may}\n{keys}"
            ));
        }
        Self {
            gateway: setup.start(),
            next_hop,
            good,
        }
    }

    /// A session about which the sink `name` is asked.
    pub fn session(&self, name: &str) -> Client {
        let (mut client, greeting) = Client::connect(self.gateway.smtp());
        assert_eq!(greeting.code, 220, "{greeting:?}");
        client.expect(&format!("EHLO {name}.example.test"), 250);
        client
    }

    /// The reply to a recipient that the sink `name` is asked about, in a session of its own that then goes on.
    pub fn rcpt(&self, name: &str) -> Reply {
        let mut client = self.session(name);
        client.expect("MAIL FROM:<a@example.org>", 250);
        let reply = client.command("RCPT TO:<b@good.test>");
        // One reply and no more: the next one is that of the next command.
        client.expect("NOOP", 250);
        client.expect("RSET", 250);
        reply
    }

    /// The reply to a message that the sink `name` is asked about, in a session of its own that then goes on.
    pub fn message(&self, name: &str) -> Reply {
        let mut client = self.session(name);
        let reply = client.deliver("a@example.org", &["b@good.test"], CONTENT);
        client.expect("NOOP", 250);
        client.expect("RSET", 250);
        reply
    }

    /// Fails unless `reply` is that to the failure of the sink `name`, with one of these kinds on record; the kind.
    pub fn is_failure(&self, reply: &Reply, name: &str, kinds: &[&str]) -> String {
        assert_eq!(reply.code, 451, "{name}: {reply:?}\n{}", self.gateway.log());
        assert!(
            reply.text().starts_with("4.7.1 Service unavailable"),
            "{name}: {reply:?}"
        );
        self.failed(name, kinds)
    }

    /// The kind under which the failure of the sink `name` is on record: one of these, in the log and in the metrics.
    pub fn failed(&self, name: &str, kinds: &[&str]) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let metrics = self.gateway.http("/metrics").1;
            let log = self.gateway.log();
            if let Some(kind) = on_record(name, kinds, &metrics, &log) {
                return kind;
            }
            // The log is written behind what it says.
            let faults: Vec<&str> = metrics.lines().filter(|l| l.contains("faults")).collect();
            let faults = faults.join("\n");
            assert!(
                Instant::now() < until,
                "{name} is none of {kinds:?}:\n{faults}\n{log}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often the metrics say that `metric` happened to the sink `name`.
    pub fn count(&self, metric: &str, name: &str) -> u64 {
        let metrics = self.gateway.http("/metrics").1;
        let of_sink = metrics
            .lines()
            .filter(|line| line.starts_with(metric) && line.contains(&format!("sink=\"{name}\"")));
        let numbers = of_sink.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        numbers.sum()
    }

    /// Fails unless the next message is judged by the good sink and accepted.
    pub fn stands(&self) {
        let asked = self.good.asked("message");
        let mut client = Client::ready(self.gateway.smtp());
        let reply = client.deliver("a@example.org", &["b@good.test"], CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}\n{}", self.gateway.log());
        self.good.wait_asked("message", asked + 1, LIMIT);
    }
}

/// That of `kinds` which metrics and log both say of the sink `name`.
fn on_record(name: &str, kinds: &[&str], metrics: &str, log: &str) -> Option<String> {
    let says = |text: &str, what: &str, kind: &str| {
        text.lines().any(|line| {
            line.contains(what)
                && line.contains(&format!("sink=\"{name}\""))
                && line.contains(&format!("kind=\"{kind}\""))
        })
    };
    let both = |kind: &&&str| {
        says(metrics, "postern_sink_faults_total", kind) && says(log, "sink failed", kind)
    };
    kinds.iter().find(both).map(|kind| (*kind).to_owned())
}
