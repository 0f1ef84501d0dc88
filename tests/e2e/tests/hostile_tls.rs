//! Sinks that are not who they should be over TLS, or do not speak it; and certificates that change while all is running.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::certificate::{Authority, Issued, issue_to_itself};
use postern_e2e::gateway::Setup;
use postern_e2e::hostile::Hostile;
use postern_e2e::raw_sink::{Manners, RawSink, proceed, tls_config};

const LIMIT: Duration = Duration::from_secs(30);
const HOST: &str = "sink.example.test";

/// A sink that answers well, over TLS with this certificate and these protocols.
fn tls_sink(issued: &Issued, protocols: &[&str]) -> RawSink {
    let manners = Manners {
        tls: Some(tls_config(&issued.files, protocols)),
        ..Manners::default()
    };
    RawSink::with(manners, proceed)
}

fn table(name: &str, sink: &RawSink) -> String {
    format!(
        "[[sink]]\nname = \"{name}\"\nendpoint = \"{}\"\ntls = {{ ca = \"ca.pem\", server_name = \"{HOST}\" }}\n",
        sink.endpoint().replace("http://", "https://")
    )
}

/// A TLS 1.1 ServerHello: version 3.2, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
fn old_hello() -> Vec<u8> {
    let mut body = vec![3, 2];
    body.extend([7; 32]);
    body.extend([0, 0x00, 0x2f, 0]);
    let mut handshake = vec![2, 0, 0, body.len() as u8];
    handshake.extend(body);
    let mut record = vec![22, 3, 2, 0, handshake.len() as u8];
    record.extend(handshake);
    record
}

#[test]
fn a_sink_that_cannot_prove_who_it_is_is_asked_nothing_and_each_reason_reads_differently() {
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let (good, other) = (Authority::named("good"), Authority::named("other"));
    good.write(&folder.join("ca.pem"));
    let h2: &[&str] = &["h2"];
    let sinks: [(&str, RawSink); 8] = [
        (
            "of-another-authority",
            tls_sink(&other.issue(&folder, "other", HOST), h2),
        ),
        (
            "of-another-name",
            tls_sink(&good.issue(&folder, "name", "else.example.test"), h2),
        ),
        (
            "expired",
            tls_sink(&good.issue_expired(&folder, "expired", HOST), h2),
        ),
        (
            "of-its-own-authority",
            tls_sink(&issue_to_itself(&folder, "own", HOST), h2),
        ),
        (
            "without-http2",
            tls_sink(&good.issue(&folder, "no-alpn", HOST), &[]),
        ),
        (
            "with-http1-alone",
            tls_sink(&good.issue(&folder, "http1", HOST), &["http/1.1"]),
        ),
        ("in-the-clear", RawSink::start(proceed)),
        (
            "of-tls-1-1",
            RawSink::octets(|mut stream| {
                let mut hello = [0; 5];
                stream.read_exact(&mut hello)?;
                stream.write_all(&old_hello())?;
                stream.read_to_end(&mut Vec::new()).map(drop)
            }),
        ),
    ];
    let mut tables: Vec<_> = sinks
        .iter()
        .map(|(name, sink)| (*name, table(name, sink), "timeout = \"10s\""))
        .collect();
    // The other way about: TLS where none is expected.
    let encrypted = tls_sink(&good.issue(&folder, "good", HOST), h2);
    let well = tls_sink(&good.issue(&folder, "well", HOST), h2);
    tables.push(("in-tls-unasked", encrypted.table("in-tls-unasked"), ""));
    tables.push(("well", table("well", &well), ""));
    let hostile = Hostile::with(setup, "inbound.rcpt", &tables);
    thread::scope(|scope| {
        for (name, _, _) in &tables {
            if *name != "well" {
                let hostile = &hostile;
                scope
                    .spawn(move || hostile.is_failure(&hostile.rcpt(name), name, &["unreachable"]));
            }
        }
    });
    assert_eq!(hostile.rcpt("well").code, 250, "{}", hostile.gateway.log());
    for (name, sink) in &sinks {
        assert_eq!(sink.asked(), 0, "{name}");
    }
    hostile.stands();

    let log = hostile.gateway.log();
    let mut reasons: HashMap<String, &str> = HashMap::new();
    for (name, _, _) in tables.iter().filter(|(name, _, _)| *name != "well") {
        let line = log.lines().find(|line| {
            line.contains("sink failed") && line.contains(&format!("sink=\"{name}\""))
        });
        let detail = line.and_then(|line| line.split_once("detail=")).unwrap().1;
        assert!(!detail.contains("private"), "{detail}");
        let earlier = reasons.insert(detail.to_owned(), name);
        // An authority of its own is another authority; both kinds of no HTTP/2 are one.
        let alike = ["of-its-own-authority", "with-http1-alone", "without-http2"];
        assert!(
            earlier.is_none() || alike.contains(name),
            "{name} reads like {earlier:?}: {detail}"
        );
    }
}

fn rcpt_until(hostile: &Hostile, code: u16) {
    let until = Instant::now() + LIMIT;
    while hostile.rcpt("rotates").code != code {
        assert!(Instant::now() < until, "{}", hostile.gateway.log());
    }
}

/// New files count from the next connection on; connections that are there live on, whatever the files hold.
#[test]
fn certificates_of_sinks_and_of_their_authority_change_without_a_restart() {
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let (first, second) = (Authority::named("first"), Authority::named("second"));
    first.write(&folder.join("ca.pem"));
    let sink = tls_sink(&first.issue(&folder, "one", HOST), &["h2"]);
    let address = sink.endpoint();
    let tables = [("rotates", table("rotates", &sink), "timeout = \"5s\"")];
    let hostile = Hostile::with(setup, "inbound.rcpt", &tables);
    assert_eq!(hostile.rcpt("rotates").code, 250);

    // The authority is replaced by something that is none: what runs goes on.
    fs::write(folder.join("ca.pem"), "no certificate\n").unwrap();
    assert_eq!(hostile.rcpt("rotates").code, 250);
    hostile.stands();

    // The sink comes back with a certificate of the new authority, of which the gateway has heard.
    drop(sink);
    let manners = Manners {
        tls: Some(tls_config(
            &second.issue(&folder, "two", HOST).files,
            &["h2"],
        )),
        ..Manners::default()
    };
    let back = Arc::new(RawSink::at(&address, manners, proceed));
    rcpt_until(&hostile, 451);
    assert_eq!(back.asked(), 0, "nobody vouches for it yet");
    second.write(&folder.join("ca.pem"));
    rcpt_until(&hostile, 250);
    assert!(back.asked() > 0);
    hostile.stands();
}

/// What becomes of a file: another text, or none at all.
type Broken<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Files that break while all is running, as in the middle of their replacement: what was read before stays in use for new
/// connections.
#[test]
fn a_file_of_a_sinks_tls_that_breaks_leaves_the_one_before_in_use() {
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let authority = Authority::default();
    authority.write(&folder.join("ca.pem"));
    authority.issue(&folder, "own", "gateway.example.test");
    authority.issue(&folder, "other", "gateway.example.test");
    let issued = authority.issue(&folder, "sink", HOST);
    let mut sink = tls_sink(&issued, &["h2"]);
    let address = sink.endpoint();
    let table = table("rotates", &sink).replace(
        "ca = \"ca.pem\"",
        "ca = \"ca.pem\", cert = \"own.pem\", key = \"own.key\"",
    );
    let tables = [("rotates", table, "timeout = \"5s\"")];
    let hostile = Hostile::with(setup, "inbound.rcpt", &tables);
    rcpt_until(&hostile, 250);

    let half = |text: &str| text[..text.len() / 2].to_owned();
    let other = fs::read_to_string(folder.join("other.key")).unwrap();
    let breaks: [(&str, Broken<'_>, &str); 8] = [
        ("ca.pem", &|_| None, "cannot read"),
        (
            "ca.pem",
            &|_| Some("nonsense\n".to_owned()),
            "no certificate in PEM",
        ),
        ("ca.pem", &|_| Some(String::new()), "no certificate in PEM"),
        ("ca.pem", &|text| Some(half(text)), "ca.pem: "),
        ("own.pem", &|text| Some(half(text)), "own.pem: "),
        ("own.key", &|_| None, "cannot read"),
        ("own.key", &|text| Some(half(text)), "own.key: "),
        (
            "own.key",
            &|_| Some(other.clone()),
            "cannot be used together",
        ),
    ];
    for (file, broken, why) in breaks {
        let path = folder.join(file);
        let whole = fs::read_to_string(&path).unwrap();
        match broken(&whole) {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let tls = Some(tls_config(&issued.files, &["h2"]));
        drop(sink);
        sink = RawSink::at(
            &address,
            Manners {
                tls,
                ..Manners::default()
            },
            proceed,
        );
        rcpt_until(&hostile, 250);
        let told = |line: &str| {
            let what = "files of the sink's TLS cannot be used, those read before stay in use";
            line.contains("WARN")
                && line.contains(what)
                && line.contains(file)
                && line.contains(why)
        };
        hostile.gateway.wait_for_line(LIMIT, told);
        fs::write(&path, whole).unwrap();
    }
    hostile.stands();
}

/// However many threads and connections find it out, it is said once until it changes.
#[test]
fn a_file_of_a_sinks_tls_that_breaks_is_told_once() {
    let setup = Setup::default();
    let folder = setup.folder().to_path_buf();
    let authority = Authority::default();
    authority.write(&folder.join("ca.pem"));
    let issued = authority.issue(&folder, "sink", HOST);
    let mut sink = tls_sink(&issued, &["h2"]);
    let address = sink.endpoint();
    let tables = [("rotates", table("rotates", &sink), "timeout = \"5s\"")];
    let hostile = Hostile::with(setup, "inbound.rcpt", &tables);
    rcpt_until(&hostile, 250);
    let mut again = || {
        let tls = Some(tls_config(&issued.files, &["h2"]));
        let manners = Manners {
            tls,
            ..Manners::default()
        };
        // The old one must be gone before another takes its port.
        sink = RawSink::octets(|_| Ok(()));
        sink = RawSink::at(&address, manners, proceed);
        rcpt_until(&hostile, 250);
    };
    fs::write(folder.join("ca.pem"), "nonsense\n").unwrap();
    for _ in 0..3 {
        again();
    }
    // The log is written behind what it says.
    let told = |times: usize, why: &str| {
        hostile.gateway.wait_for_line(LIMIT, |line| {
            line.contains("TLS cannot be used") && line.contains(why)
        });
        let log = hostile.gateway.log();
        assert_eq!(log.matches("TLS cannot be used").count(), times, "{log}");
    };
    told(1, "no certificate in PEM");
    authority.write(&folder.join("ca.pem"));
    again();
    hostile.gateway.wait_for_log("TLS can be used again", LIMIT);
    fs::remove_file(folder.join("ca.pem")).unwrap();
    again();
    told(2, "cannot read");
}
