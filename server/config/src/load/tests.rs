#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::registry::{self, Shape};
use crate::settings::binding::{AskMode, AskModes, BodyDepth, EventGroup, FaultKind, Policy};
use crate::settings::delivery::{Deliver, Recipients};
use crate::settings::server::ListenAddress;
use crate::settings::sink::Endpoint;

pub(crate) const GOOD: &str = r#"
[spool]
driver = "embedded"
path = "state"
min_free = "64 MiB"

[metrics]
listen = "127.0.0.1:8726"

[[server]]
name = "inbound"
hostname = "mx.example.test"
protocol = "smtp"
listen = ["127.0.0.1:2525", { address = "[::1]:2465", tls = "implicit" }]
max_message_size = "25 MiB"
relay_from = ["127.0.0.0/8", "192.0.2.1"]
mixed_verdicts = "reject"
early_refusal = "close"
tls = [{ cert = "a.pem", key = "/etc/a.key" }, { cert = "b.pem", key = "b.key" }]

[server.limits]
connections = 50
body_rate_min = "0 B"

[server.budgets]
message = "2m"

[[sink]]
name = "disclaimer"
endpoint = ["http://127.0.0.1:7001", "https://[2001:db8::1]", "unix:run/sink.sock"]
tls = { ca = "ca.pem" }

[[binding]]
name = "outgoing-disclaimer"
description = "Company footer on what leaves"
servers = ["inbound"]
sink = "disclaimer"
events = ["transport.submit"]
rule = "MAIL FROM=*@example.test"
when = 'message.size < 10485760'
priority = 16000
timeout = { message = "7s" }
on_failure = { message = "hold", transport = { timeout = "quarantine", default = "continue" } }
body = { prefix = "64 KiB" }
reads = ["body"]
may = ["body", "headers:X-*"]
side_effects = true
ask = { "inbound.connect" = "at-rcpt", inbound.mail = "at-once" }

[binding.attributes]
size = "message.size"
from = 'mail.from'

[binding.properties]
text = "This message is confidential."
nested = { api_token = "geheim", list = [1, 2.5, true] }

[[binding]]
name = "second"
sink = "disclaimer"
timeout = "3s"
ask = "at-rcpt"

[[domain]]
name = "Example.Test"
recipients = "any"
deliver = "maildir:mail/{user}"

[[domain]]
name = "*.example.test"
recipients = { file = "people" }
deliver = "lmtp+unix:/run/lmtp"

[outbound]
deliver = "smtp://relay.example.test"

[queue]
retry = ["1m", "2h"]
expire = "2d"

[log]
addresses = "hashed"
"#;

fn load_one(text: &str) -> Result<Effective, Vec<String>> {
    load_with(&[("p.toml", text)], &[])
}

fn load_with(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Effective, Vec<String>> {
    let texts: Vec<_> = files
        .iter()
        .map(|(file, text)| (PathBuf::from(file), (*text).to_owned()))
        .collect();
    load_texts(
        Path::new("/etc/postern/p.toml"),
        &texts,
        env_of(env),
        Vec::new(),
    )
    .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

fn env_of<'a>(env: &'a [(&'a str, &'a str)]) -> &'a dyn Env {
    // A slice has no size of its own to make a trait object of.
    Box::leak(Box::new(Given(
        env.iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    )))
}

struct Given(Vec<(String, String)>);

impl Env for Given {
    fn variables(&self) -> Vec<(String, String)> {
        self.0.clone()
    }
}

fn errors_of(text: &str) -> Vec<String> {
    load_one(text)
        .map(|_| Vec::new())
        .unwrap_or_else(|errors| errors)
}

#[test]
fn a_good_file_becomes_typed_values() {
    let config = load_one(GOOD).unwrap().config;
    assert_eq!(config.spool.path, PathBuf::from("/etc/postern/state"));
    assert_eq!(config.spool.min_free, 64 << 20);

    let server = &config.servers[0];
    assert_eq!(
        server.listen[0].address,
        ListenAddress::Tcp("127.0.0.1:2525".parse().unwrap())
    );
    assert!(server.listen[1].implicit_tls && !server.listen[0].implicit_tls);
    assert_eq!(server.relay_from[1], "192.0.2.1/32".parse().unwrap());
    assert_eq!(server.tls[0].cert, PathBuf::from("/etc/postern/a.pem"));
    assert_eq!(server.tls[0].key, PathBuf::from("/etc/a.key"));
    assert_eq!(
        (
            server.limits.connections,
            server.limits.connections_per_client
        ),
        (50, 100)
    );
    assert_eq!(server.limits.body_rate_min, 0);
    assert_eq!(server.budgets.command, Duration::from_secs(90));
    assert_eq!(server.budgets.message, Duration::from_secs(120));

    let sink = &config.sinks[0];
    assert_eq!(
        sink.endpoints[1],
        Endpoint::Tcp {
            tls: true,
            host: "2001:db8::1".into(),
            port: 443
        }
    );
    assert_eq!(
        sink.endpoints[2],
        Endpoint::Unix("/etc/postern/run/sink.sock".into())
    );

    let binding = &config.bindings[0];
    assert_eq!(binding.timeout.message, Duration::from_secs(7));
    assert_eq!(binding.timeout.headers, Duration::from_secs(10));
    assert_eq!(binding.body, Some(BodyDepth::Prefix(64 << 10)));
    let policy = |group, fault| binding.on_failure.policy(group, fault);
    assert_eq!(
        policy(EventGroup::Command, FaultKind::Timeout),
        Policy::Tempfail
    );
    assert_eq!(
        policy(EventGroup::Message, FaultKind::Overload),
        Policy::Hold
    );
    assert_eq!(
        policy(EventGroup::Transport, FaultKind::Timeout),
        Policy::Quarantine
    );
    assert_eq!(
        policy(EventGroup::Transport, FaultKind::Fault),
        Policy::Continue
    );
    assert_eq!(binding.properties["nested"]["list"][1], 2.5);
    assert_eq!(binding.side_effects, Some(true));
    assert_eq!(
        binding.ask,
        Some(AskModes::ByEvent(vec![
            ("inbound.connect".to_owned(), AskMode::AtRcpt),
            ("inbound.mail".to_owned(), AskMode::AtOnce),
        ]))
    );
    assert_eq!(
        binding.attributes,
        [
            ("size".to_owned(), "message.size".to_owned()),
            ("from".to_owned(), "mail.from".to_owned())
        ]
    );

    let second = &config.bindings[1];
    assert_eq!((second.priority, second.enabled), (24575, true));
    assert_eq!(second.timeout.transport, Duration::from_secs(3));
    assert_eq!((&second.events, &second.may), (&None, &None));
    assert_eq!(second.ask, Some(AskModes::Every(AskMode::AtRcpt)));
    assert_eq!((second.side_effects, second.attributes.len()), (None, 0));

    assert_eq!(config.domains[0].name, "example.test");
    assert_eq!(
        config.domains[0].deliver,
        Deliver::Maildir("/etc/postern/mail/{user}".into())
    );
    assert_eq!(
        config.domains[1].recipients,
        Recipients::File("/etc/postern/people".into())
    );
    assert_eq!(
        config.outbound.deliver,
        Some(Deliver::Smtp {
            host: "relay.example.test".into(),
            port: 25
        })
    );
    assert_eq!(
        config.queue.retry,
        [Duration::from_secs(60), Duration::from_secs(7200)]
    );
}

#[test]
fn an_empty_file_has_the_defaults_of_the_design() {
    let config = load_one("").unwrap().config;
    assert_eq!(config.spool.path, PathBuf::from("/var/lib/postern"));
    assert_eq!(config.outbound.deliver, None);
    assert_eq!(config.outbound.data_timeout, Duration::from_secs(600));
    assert_eq!(config.queue.retry.len(), 5);
    assert_eq!(config.queue.expire, Duration::from_secs(5 * 86_400));
}

/// What is wrong, and the exact lines that say so.
const BAD: &[(&str, &[&str])] = &[
    (
        "[spool\n",
        &[
            "p.toml:1:7: is not TOML: unclosed table, expected `]`; correct the line; text stands in quotes",
        ],
    ),
    (
        "[spool]\nmin_fre = \"1 GiB\"\n",
        &["p.toml:2:1: spool.min_fre: unknown key; did you mean \"min_free\"?"],
    ),
    (
        "[spol]\npath = \"x\"\n",
        &["p.toml:1:2: spol: unknown key; did you mean \"spool\"?"],
    ),
    (
        "hostname = \"x\"\n",
        &["p.toml:1:1: hostname: unknown key; did you mean \"server.hostname\"?"],
    ),
    (
        "[metrics]\nzzzzzzzz = 1\n",
        &[
            "p.toml:2:1: metrics.zzzzzzzz: unknown key; remove it, or see \"postern config explain\"",
        ],
    ),
    (
        "[spool]\ndriver = \"postgres\"\n",
        &["p.toml:2:10: spool.driver: \"postgres\" is not in this version; write \"embedded\""],
    ),
    (
        "[spool]\ndriver = \"embeded\"\n",
        &["p.toml:2:10: spool.driver: \"embeded\" is unknown; did you mean \"embedded\"?"],
    ),
    (
        "[spool]\nmin_free = 512\n",
        &[
            "p.toml:2:12: spool.min_free: has no unit; write a number and B, KiB, MiB or GiB, such as \"25 MiB\"",
        ],
    ),
    (
        "[spool]\nmin_free = \"512MB\"\n",
        &[
            "p.toml:2:12: spool.min_free: \"512MB\" is not a size; write a number and B, KiB, MiB or GiB, such as \"25 MiB\"",
        ],
    ),
    (
        "[spool]\nmin_free = \"99999999999999 GiB\"\n",
        &[
            "p.toml:2:12: spool.min_free: \"99999999999999 GiB\" is not a size; write a number and B, KiB, MiB or GiB, such as \"25 MiB\"",
        ],
    ),
    (
        "[admin]\nlisten = \"x\"\n",
        &["p.toml:2:1: admin.listen: is not in this version; remove it"],
    ),
    (
        "[trace]\nkeep = \"3d\"\n",
        &["p.toml:1:2: trace: is not in this version; remove it"],
    ),
    (
        "[[route]]\nname = \"a\"\ndeliver = \"smtp://r.test\"\nmatch = \"*.example.org\"\n\
         auth = { user = \"me\", password = \"hidden\", password_file = \"p\" }\n\
         [[route]]\nname = \"b\"\nmatch = \"*.Example.org\"\nca = \"x\"\ndeliver = \"maildir:/x\"\nretry = []\n\
         source = [\"192.0.2.1\", \"192.0.2.2\"]\n",
        &[
            "p.toml:1:1: route.a.tls: would let a password go in clear text; write tls = \"verified\", or \"required\" if its certificate cannot be",
            "p.toml:5:8: route.a.auth: needs password or password_file, and not both; name a file with the password in it",
            "p.toml:8:9: route.b.match: is that of [[route]] \"a\" too; leave one of them out",
            "p.toml:9:6: route.b.ca: has no effect here; set tls = \"verified\"",
            "p.toml:10:11: route.b.deliver: is a store, and other domains than ours have none here; name a next hop, or add a [[domain]]",
            "p.toml:11:9: route.b.retry: is empty; name at least one wait",
            "p.toml:12:10: route.b.source: has two addresses of one kind; name one for IPv4 and one for IPv6",
        ],
    ),
    (
        "[outbound]\ndeliver = \"mx\"\n[[domain]]\nname = \"ours.test\"\nrecipients = \"any\"\ndeliver = \"smtp://in.test\"\n\
         [[route]]\nname = \"a\"\nmatch = \"*\"\nauth = { user = \"me\", password = \"x\" }\n\
         [[route]]\nname = \"b\"\nmatch = \"ours.test\"\ntls = \"verified\"\nauth = { user = \"me\", password = \"x\" }\n\
         [[route]]\nname = \"c\"\nmatch = \"c.test\"\nretry = [\"2h\"]\nexpire = \"1h\"\n\
         [[route]]\nname = \"d\"\nmatch = \"d.test\"\nretry = [\"90d\"]\n",
        &[
            "p.toml:10:8: route.a.auth: would give the password to whatever host DNS names; name the host that it is for: deliver = \"smtp://host:port\"",
            "p.toml:15:8: route.b.auth: has no effect here: the [[domain]] of this name says where its mail goes; leave it out",
            "p.toml:20:10: route.c.expire: is shorter than the first wait of retry; write a longer time",
            "p.toml:24:9: route.d.retry: begins with a longer wait than queue.expire; write a shorter one, or set expire here",
        ],
    ),
    (
        "[[route]]\nname = \"a\"\nmatch = \"example.org\"\ntls = \"required\"\nauth = { user = \"me\", password = 7 }\n",
        &["p.toml:5:34: route.a.auth.password: is a whole number; write it as text in quotes"],
    ),
    (
        "[server]\nname = \"a\"\n",
        &["p.toml:1:1: server: is a table; write [[server]] with a name"],
    ),
    (
        "[queue]\nwarn_after = 4\nexpire = 5\nretry = [\"5m\", 7, \"1 week\"]\n",
        &[
            "p.toml:2:14: queue.warn_after: has no unit; write a number and ms, s, m, h or d, such as \"30s\"",
            "p.toml:3:10: queue.expire: has no unit; write a number and ms, s, m, h or d, such as \"30s\"",
            "p.toml:4:16: queue.retry: has no unit; write a number and ms, s, m, h or d, such as \"30s\"",
            "p.toml:4:19: queue.retry: \"1 week\" is not a duration; write a number and ms, s, m, h or d, such as \"30s\"",
        ],
    ),
    (
        "[queue]\nexpire = \"0s\"\n",
        &["p.toml:2:10: queue.expire: is no time at all; write more than 0"],
    ),
    (
        "[queue]\nexpire = \"9999999d\"\n",
        &["p.toml:2:10: queue.expire: \"9999999d\" is too long; write 3650d or less"],
    ),
    (
        "[queue]\nretry = []\n",
        &["p.toml:2:9: queue.retry: is empty; name at least one wait"],
    ),
    (
        "[[server]]\nname = \"In bound\"\nhostname = \"mx\"\nlisten = \"127.0.0.1:25\"\n",
        &[
            "p.toml:2:8: server.\"In bound\".name: \"In bound\" is not a name; write lower-case letters, digits, dots and hyphens, 63 at most, a letter or digit first",
        ],
    ),
    (
        "[[server]]\nhostname = \"mx\"\n",
        &["p.toml:1:1: server.name: is missing; give the element a name"],
    ),
    (
        "[[server]]\nname = \"a\"\n",
        &[
            "p.toml:1:1: server.a.hostname: is missing; set it, see \"postern config explain server.hostname\"",
            "p.toml:1:1: server.a.listen: is missing; set it, see \"postern config explain server.listen\"",
        ],
    ),
    (
        "[[server]]\nname = \"a\"\nhostname = \"mx\"\nprotocol = \"milter\"\nlisten = [{ address = \"localhost:25\" }, { address = \"127.0.0.1:25\", proxy = true }, \"fd:a:b\"]\nxclient_from = []\nmixed_verdicts = \"split\"\n",
        &[
            "p.toml:4:12: server.a.protocol: \"milter\" is not in this version; write \"smtp\", \"submission\" or \"lmtp\"",
            "p.toml:5:23: server.a.listen.address: \"localhost:25\" is not an address; write IP address and port, such as \"127.0.0.1:2525\" or \"[::]:25\"",
            "p.toml:5:85: server.a.listen: \"a:b\" is not the name of a socket; write the FileDescriptorName of its unit: up to 255 printable characters of ASCII, without a colon",
            "p.toml:6:1: server.a.xclient_from: is not in this version; remove it",
            "p.toml:7:18: server.a.mixed_verdicts: \"split\" is not in this version; write \"reject\"",
        ],
    ),
    (
        "[[server]]\nname = \"a\"\nhostname = \"mx\"\nlisten = \"127.0.0.1:25\"\nrelay_from = [\"10.0.0.1/8\"]\ntls = { cert = \"c\" }\n[server.limits]\nconnections = 0\nerrors = \"20\"\nline_length = \"100 B\"\n",
        &[
            "p.toml:5:15: server.a.relay_from: \"10.0.0.1/8\" has bits beyond its prefix; write \"10.0.0.0/8\" for the network or \"10.0.0.1\" for the one address",
            "p.toml:6:7: server.a.tls.key: is missing; set it, see \"postern config explain server.tls.key\"",
            "p.toml:8:15: server.a.limits.connections: 0 is out of range; write 1 to 4294967295",
            "p.toml:9:10: server.a.limits.errors: is text; write a whole number without quotes",
        ],
    ),
    (
        "[metrics]\nlisten = \"127.0.0.1:25\"\n[[server]]\nname = \"a\"\nhostname = \"mx\"\nlisten = \"127.0.0.1:25\"\n[[server]]\nname = \"b\"\nhostname = \"mx\"\nlisten = { address = \"127.0.0.1:465\", tls = \"implicit\" }\n[server.limits]\nline_length = \"100 B\"\n",
        &[
            "p.toml:6:10: server.a.listen: 127.0.0.1:25 is taken by metrics.listen; choose another address or port",
            "p.toml:10:10: server.b.listen: has tls = \"implicit\", but the server has no certificate; set tls = { cert = \"…\", key = \"…\" } in this [[server]]",
            "p.toml:12:15: server.b.limits.line_length: is shorter than RFC 5321 allows; write \"1000 B\" or more",
        ],
    ),
    (
        "[[sink]]\nname = \"s\"\nendpoint = \"http://sink.example.test:7001\"\n",
        &[
            "p.toml:3:12: sink.s.endpoint: http://sink.example.test:7001 is neither loopback nor TLS; write https://, or allow it with plaintext = true",
        ],
    ),
    (
        "[[sink]]\nname = \"s\"\nendpoint = [\"dns://sinks:7001\", \"ftp://x\", \"http://a_b:x\", \"127.0.0.1:7001\"]\n",
        &[
            "p.toml:3:13: sink.s.endpoint: \"dns://\" is not in this version; list the replicas one by one",
            "p.toml:3:33: sink.s.endpoint: \"ftp://\" is unknown; write \"http://host:port\", \"https://host:port\" or \"unix:/path\"",
            "p.toml:3:44: sink.s.endpoint: \"http://a_b:x\" has no usable host and port; write \"http://host:port\", \"https://host:port\" or \"unix:/path\"",
            "p.toml:3:60: sink.s.endpoint: \"127.0.0.1:7001\" is not an endpoint; write \"http://host:port\", \"https://host:port\" or \"unix:/path\"",
        ],
    ),
    (
        "[[sink]]\nname = \"s\"\nendpoint = \"https://s\"\ntls = { cert = \"c.pem\" }\n",
        &["p.toml:4:16: sink.s.tls.cert: has no key; set tls.key too"],
    ),
    (
        "[[sink]]\nname = \"stamp\"\nendpoint = \"http://127.0.0.1:1\"\n[[binding]]\nname = \"b\"\nsink = \"stmp\"\nservers = [\"inbound\"]\npriority = 40000\nmode = \"shadow\"\nsample = 0.5\nbody = \"ful\"\n",
        &[
            "p.toml:8:12: binding.b.priority: 40000 is out of range; write 0 to 32767",
            "p.toml:9:8: binding.b.mode: \"shadow\" is not in this version; write \"enforce\"",
            "p.toml:10:1: binding.b.sample: is not in this version; remove it",
            "p.toml:11:8: binding.b.body: \"ful\" is unknown; did you mean \"full\"?",
        ],
    ),
    (
        "[[sink]]\nname = \"stamp\"\nendpoint = \"http://127.0.0.1:1\"\n[[binding]]\nname = \"b\"\nsink = \"stmp\"\nservers = [\"inbound\"]\nevents = []\n",
        &[
            "p.toml:6:8: binding.b.sink: there is no [[sink]] named \"stmp\"; did you mean \"stamp\"?",
            "p.toml:7:11: binding.b.servers: there is no [[server]] named \"inbound\"; add it, or name one that is there",
            "p.toml:8:10: binding.b.events: is empty; name an event, or set enabled = false",
        ],
    ),
    (
        "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:1\"\n[[binding]]\nname = \"c\"\nsink = \"s\"\n[binding.on_failure]\ncommand = { timeout = \"continu\", tiemout = \"reject\" }\noutgoing = \"tempfail\"\n",
        &[
            "p.toml:8:23: binding.c.on_failure.command.timeout: \"continu\" is unknown; did you mean \"continue\"?",
            "p.toml:8:34: binding.c.on_failure.command.tiemout: unknown key; did you mean \"timeout\"?",
            "p.toml:9:1: binding.c.on_failure.outgoing: is not in this version; remove it",
        ],
    ),
    (
        "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:1\"\n[[binding]]\nname = \"c\"\nsink = \"s\"\nside_effects = 1\nask = { \"inbound.helo\" = \"at-rctp\", \"inbound.mail\" = true }\nattributes = { a = 1, b = \"\" }\n[[binding]]\nname = \"d\"\nsink = \"s\"\nask = \"told\"\nattributes = \"x\"\n",
        &[
            "p.toml:7:16: binding.c.side_effects: is a whole number; write true or false without quotes",
            "p.toml:8:26: binding.c.ask.\"inbound.helo\": \"at-rctp\" is unknown; did you mean \"at-rcpt\"?",
            "p.toml:8:54: binding.c.ask.\"inbound.mail\": is true or false; write \"at-once\" or \"at-rcpt\"",
            "p.toml:9:20: binding.c.attributes.a: is a whole number; write text in quotes",
            "p.toml:9:27: binding.c.attributes.b: is empty; write something or leave the key out",
            "p.toml:13:7: binding.d.ask: \"told\" is unknown; write \"at-once\" or \"at-rcpt\"",
            "p.toml:14:14: binding.d.attributes: is text; write a table",
        ],
    ),
    (
        "[[domain]]\nname = \"bücher.example\"\nrecipients = \"verify\"\ndeliver = \"smtps://x\"\n[[domain]]\nname = \"b.example\"\nrecipients = {}\ndeliver = \"maildir:/m/{home}\"\n",
        &[
            "p.toml:2:8: domain.\"bücher.example\".name: \"bücher.example\" is not a domain; write letters, digits, hyphens and dots, other scripts in their xn-- form",
            "p.toml:3:14: domain.\"bücher.example\".recipients: \"verify\" is not in this version; write \"any\"",
            "p.toml:4:11: domain.\"bücher.example\".deliver: \"smtps://\" is not in this version; name the next hop as \"smtp://host:port\"",
            "p.toml:7:14: domain.\"b.example\".recipients.file: is missing; set it, see \"postern config explain domain.recipients.file\"",
            "p.toml:8:11: domain.\"b.example\".deliver: has an unknown placeholder; use {user} and {domain} only",
        ],
    ),
    (
        "[[domain]]\nname = \"a.example\"\n",
        &[
            "p.toml:1:1: domain.\"a.example\".recipients: is missing; set it, see \"postern config explain domain.recipients\"",
            "p.toml:1:1: domain.\"a.example\".deliver: is missing; set it, see \"postern config explain domain.deliver\"",
        ],
    ),
    (
        "[\"a\\nb\"]\n",
        &["p.toml:1:2: \"a\\nb\": unknown key; remove it, or see \"postern config explain\""],
    ),
];

#[test]
fn what_is_wrong_is_said_in_exact_lines() {
    for (text, lines) in BAD {
        assert_eq!(errors_of(text), *lines, "for\n{text}");
    }
}

#[test]
fn one_name_in_two_files_names_both_places() {
    let sink = "[[sink]]\nname = \"s\"\nendpoint = \"http://127.0.0.1:1\"\n";
    let errors = load_with(&[("p.toml", sink), ("conf.d/10.toml", sink)], &[]).unwrap_err();
    assert_eq!(
        errors,
        ["conf.d/10.toml:2:8: sink.s.name: the name is taken at p.toml:2:8; choose another name"]
    );
}

#[test]
fn later_files_win_key_by_key_and_add_elements() {
    let main = "[spool]\npath = \"/a\"\nmin_free = \"1 GiB\"\n[[sink]]\nname = \"z\"\nendpoint = \"http://127.0.0.1:1\"\n";
    let beside =
        "[spool]\npath = \"/b\"\n[[sink]]\nname = \"a\"\nendpoint = \"http://127.0.0.1:2\"\n";
    let effective = load_with(&[("p.toml", main), ("conf.d/10.toml", beside)], &[]).unwrap();
    assert_eq!(effective.config.spool.path, PathBuf::from("/b"));
    assert_eq!(effective.config.spool.min_free, 1 << 30);
    let names: Vec<_> = effective
        .config
        .sinks
        .iter()
        .map(|sink| sink.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["z", "a"],
        "the order of the files, not of the alphabet"
    );
    assert_eq!(
        effective.origin(&["spool", "path"]).to_string(),
        "conf.d/10.toml:2:8"
    );
    assert_eq!(
        effective.origin(&["spool", "min_free"]).to_string(),
        "p.toml:3:12"
    );
    assert_eq!(
        effective.origin(&["queue", "expire"]).to_string(),
        "p.toml:1:1"
    );
    assert_eq!(
        effective.origin(&["sink", "a", "plaintext"]).to_string(),
        "conf.d/10.toml:3:1"
    );
}

#[test]
fn files_beside_are_read_in_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("postern.toml");
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    std::fs::write(&main, "[spool]\nmin_free = \"1 B\"\n").unwrap();
    std::fs::write(
        folder.path().join("conf.d/9.toml"),
        "[spool]\nmin_free = \"9 B\"\n",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("conf.d/10.toml"),
        "[spool]\nmin_free = \"10 B\"\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("conf.d/99.toml.bak"), "nonsense").unwrap();
    let effective = load(&main, &[("OTHER", "x")]).unwrap();
    assert_eq!(effective.config.spool.min_free, 9);
    assert_eq!(effective.files().len(), 3);
}

#[test]
fn a_file_that_is_not_there_is_one_line() {
    let errors = load(Path::new("/nowhere/postern.toml"), &[("OTHER", "x")]).unwrap_err();
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "/nowhere/postern.toml:1:1: cannot be read: No such file or directory (os error 2); create it, or name another with --config"
        ]
    );
}

#[test]
fn the_environment_wins_over_files_and_is_read_by_type() {
    let env = [
        ("POSTERN__SPOOL__PATH", "/env"),
        ("POSTERN__SERVER__INBOUND__LIMITS__CONNECTIONS", "7"),
        (
            "POSTERN__SERVER__INBOUND__RELAY_FROM",
            "10.0.0.0/8, 192.0.2.7",
        ),
        (
            "POSTERN__SERVER__INBOUND__LISTEN",
            "[{ address = \"127.0.0.1:465\", tls = \"implicit\" }]",
        ),
        ("POSTERN__BINDING__OUTGOING_DISCLAIMER__ENABLED", "false"),
        (
            "POSTERN__BINDING__OUTGOING_DISCLAIMER__TIMEOUT__COMMAND",
            "1s",
        ),
        (
            "POSTERN__BINDING__OUTGOING_DISCLAIMER__PROPERTIES__TEXT",
            "42",
        ),
        ("POSTERN__DOMAIN__EXAMPLE_TEST__DELIVER", "smtp://next"),
        ("POSTERN__QUEUE__RETRY", "1s,2s"),
        ("POSTERN_PORT", "tcp://10.0.0.1:25"),
    ];
    let effective = load_with(&[("p.toml", GOOD)], &env).unwrap();
    let config = &effective.config;
    assert_eq!(config.spool.path, PathBuf::from("/env"));
    assert_eq!(config.servers[0].limits.connections, 7);
    assert_eq!(config.servers[0].relay_from.len(), 2);
    assert!(config.servers[0].listen[0].implicit_tls);
    let binding = config
        .bindings
        .iter()
        .find(|binding| binding.name == "outgoing-disclaimer")
        .unwrap();
    assert!(!binding.enabled);
    assert_eq!(binding.timeout.command, Duration::from_secs(1));
    assert_eq!(
        binding.timeout.message,
        Duration::from_secs(7),
        "what the variable does not name stays"
    );
    assert_eq!(binding.properties["text"], "42");
    assert_eq!(
        config.bindings[1].name, "second",
        "the order is that of the files"
    );
    assert_eq!(
        config.domains[0].deliver,
        Deliver::Smtp {
            host: "next".into(),
            port: 25
        }
    );
    assert_eq!(config.queue.retry.len(), 2);
    assert_eq!(
        effective.origin(&["spool", "path"]).to_string(),
        "environment POSTERN__SPOOL__PATH"
    );
}

#[test]
fn wrong_variables_are_named() {
    let env = [
        ("POSTERN__TRACE__KEEP", "3d"),
        ("POSTERN__SERVER__OUTBOUND__HOSTNAME", "x"),
        ("POSTERN__SERVER__INBOUND__LIMITS__CONECTIONS", "7"),
        ("POSTERN__SERVER__INBOUND__LIMITS__ERRORS", "many"),
        ("POSTERN__SPOOL__MIN_FREE", "7"),
    ];
    let errors = load_with(&[("p.toml", GOOD)], &env).unwrap_err();
    assert_eq!(
        errors,
        [
            "environment POSTERN__SERVER__INBOUND__LIMITS__CONECTIONS: unknown key; did you mean POSTERN__SERVER__INBOUND__LIMITS__CONNECTIONS?",
            "environment POSTERN__SERVER__INBOUND__LIMITS__ERRORS: server.inbound.limits.errors: is not a whole number; write a whole number, 1 or more",
            "environment POSTERN__SERVER__OUTBOUND__HOSTNAME: server: no [[server]] has a name that is written OUTBOUND; add the element to a file; variables only change what a file has",
            "environment POSTERN__TRACE__KEEP: trace: is not in this version; remove the variable",
            "environment POSTERN__SPOOL__MIN_FREE: spool.min_free: \"7\" is not a size; write a number and B, KiB, MiB or GiB, such as \"25 MiB\"",
        ]
    );
}

#[test]
fn settings_show_every_value_with_its_place_and_no_secret() {
    let effective = load_one(GOOD).unwrap();
    let shown = |key: &str| {
        effective
            .settings()
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
    };
    assert_eq!(shown("spool.min_free").value, "64 MiB");
    assert_eq!(shown("spool.min_free").origin.to_string(), "p.toml:5:12");
    assert_eq!(shown("server.inbound.limits.errors").value, 20);
    assert_eq!(
        shown("server.inbound.limits.errors").origin,
        Origin::Default
    );
    assert_eq!(shown("binding.second.timeout").value, "3s");
    assert_eq!(
        shown("domain.\"example.test\".deliver").value,
        "maildir:mail/{user}"
    );
    let properties = &shown("binding.outgoing-disclaimer.properties").value;
    assert_eq!(properties["nested"]["api_token"], "(set)");
    assert_eq!(
        properties["text"], "(set)",
        "only the sink knows what is public"
    );
}

#[test]
fn user_and_password_of_a_url_are_shown_nowhere() {
    use crate::reader::without_user_info;
    assert_eq!(
        without_user_info("http://me:secret@host:1/x@y"),
        "http://(set)@host:1/x@y"
    );
    assert_eq!(without_user_info("http://host:1"), "http://host:1");
    assert_eq!(without_user_info("a@b.test"), "a@b.test");
    let text = GOOD.replace("http://127.0.0.1:7001", "http://me:secret@127.0.0.1:7001");
    assert_ne!(text, GOOD);
    let errors = errors_of(&text);
    assert!(!errors.is_empty());
    assert!(
        !errors.iter().any(|line| line.contains("secret")),
        "{errors:#?}"
    );
}

#[test]
fn a_section_in_the_plural_is_told_from_the_one_that_was_meant() {
    let errors = errors_of(&GOOD.replace("[[binding]]", "[[bindings]]"));
    assert!(
        errors
            .iter()
            .any(|line| line.contains("did you mean [[binding]]?")),
        "{errors:#?}"
    );
}

#[test]
fn every_default_is_a_value_of_its_key() {
    for known in registry::keys() {
        if let Some(default) = known.key.default {
            assert!(
                known
                    .key
                    .shape
                    .parse_text(default, &Origin::Default)
                    .is_ok(),
                "{}",
                known.path
            );
        }
    }
    // Read for real, defaults give no error either.
    assert_eq!(
        errors_of("[[server]]\nname = \"a\"\nhostname = \"a\"\nlisten = \"127.0.0.1:0\"\n"),
        [""; 0]
    );
}

#[test]
fn no_key_both_works_and_is_still_to_come() {
    for section in registry::sections() {
        let works: BTreeSet<_> = section.keys.iter().map(|key| key.name).collect();
        assert_eq!(
            works.len(),
            section.keys.len(),
            "{} has a key twice",
            section.path
        );
        for (later, step) in section.later {
            assert!(!works.contains(later), "{}.{later}", section.path);
            assert!((2..=9).contains(step), "{}.{later}", section.path);
        }
    }
}

#[test]
fn keys_of_nested_tables_are_found_under_the_path_they_say() {
    for section in registry::sections() {
        for key in &section.keys {
            for inner in key.shape.sections() {
                let path = registry::join(section.path, key.name);
                let shared = inner.path == "binding.on_failure.command";
                assert!(
                    shared || inner.path == path,
                    "{} stands under {path}",
                    inner.path
                );
            }
            assert!(
                !key.doc.is_empty() && key.doc.ends_with('.'),
                "{}.{}",
                section.path,
                key.name
            );
            if let Shape::Choice(words) = &key.shape {
                assert!(words.words.iter().all(|(_, doc)| !doc.is_empty()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn mutated_documents_never_panic(at in 0..GOOD.len(), cut in 0usize..40, insert in "[\\[\\]{}=\"'a-z0-9 .\n\u{0}é#,-]{0,12}") {
        let mut text = GOOD.to_owned();
        let end = (at + cut).min(text.len());
        if text.is_char_boundary(at) && text.is_char_boundary(end) {
            text.replace_range(at..end, &insert);
        }
        if let Err(errors) = load_one(&text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(!error.contains('\n'), "{error}");
                prop_assert!(error.starts_with("p.toml:"), "{error}");
                prop_assert!(error.contains("; "), "{error}");
            }
        }
    }

    #[test]
    fn any_variable_is_a_value_or_one_error(name in "[A-Z_]{0,40}", value in "\\PC{0,30}") {
        let name = format!("POSTERN__{name}");
        if let Err(errors) = load_with(&[("p.toml", GOOD)], &[(name.as_str(), value.as_str())]) {
            prop_assert!(errors.iter().all(|error| error.starts_with("environment POSTERN__")));
        }
    }
}
