//! Real peers: Postfix, its smtp-source and smtp-sink, swaks, Python's smtplib.
//!
//! A test whose peer is missing is listed as ignored, with the Debian package in its name; with
//! `CI=true` it fails.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use postern_e2e::certificate::Authority;
use postern_e2e::client::Client;
use postern_e2e::gateway::{Gateway, Setup, free_address, wait_for_listener};
use postern_e2e::next_hop::NextHop;
use postern_e2e::peer::{self, PYTHON, Peer, SMTP_SINK, SMTP_SOURCE, SWAKS};
use postern_e2e::postfix::Postfix;
use postern_e2e::programs::root;
use postern_e2e::submission::{PASSWORD, Submission, USER};

const LIMIT: Duration = Duration::from_secs(60);
const POSTFIX: Peer = Peer {
    program: "postfix",
    package: "postfix",
};

/// Dots, eight-bit text, a line of 998 octets, several parts.
fn content() -> Vec<u8> {
    let mut text = String::from(
        "From: <a@example.org>\r\nTo: <b@example.test>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
         Date: Sat, 21 Nov 2026 06:00:00 +0000\r\nMessage-ID: <peers@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n\
         --x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         .\r\n..\r\nDer Fluß fließt übers Gefälle.\r\n",
    );
    text.push_str(&"y".repeat(998));
    text.push_str("\r\n--x--\r\n");
    text.into_bytes()
}

/// Name, peers that it needs, test.
type Case = (&'static str, &'static [Peer], fn() -> Result<(), Failed>);

fn main() {
    let tests: [Case; 16] = [
        (
            "smtp_source_in_smtp_sink_out",
            &[SMTP_SOURCE, SMTP_SINK],
            smtp_source_in_smtp_sink_out,
        ),
        ("swaks_plain", &[SWAKS], || swaks(&[])),
        ("swaks_starttls", &[SWAKS], || swaks(&["--tls"])),
        ("swaks_pipelined", &[SWAKS], || swaks(&["--pipeline"])),
        ("smtplib_plain", &[PYTHON], || {
            smtplib(&[], "b@example.test")
        }),
        ("smtplib_starttls", &[PYTHON], || {
            smtplib(&["starttls"], "b@example.test")
        }),
        ("smtplib_smtputf8", &[PYTHON], || {
            smtplib(&["smtputf8"], "bé@example.test")
        }),
        ("smtplib_bdat_over_tls", &[PYTHON], || {
            smtplib(&["starttls", "bdat"], "b@example.test")
        }),
        ("swaks_submits_plain_on_587", &[SWAKS], || {
            swaks_submits(&["--tls", "--auth", "PLAIN"])
        }),
        ("swaks_submits_login_on_587", &[SWAKS], || {
            swaks_submits(&["--tls", "--auth", "LOGIN"])
        }),
        ("swaks_submits_plain_on_465", &[SWAKS], || {
            swaks_submits(&["--tls-on-connect", "--auth", "PLAIN"])
        }),
        ("smtplib_submits_plain_on_465", &[PYTHON], || {
            smtplib_submits("PLAIN", "implicit")
        }),
        ("smtplib_submits_login_on_587", &[PYTHON], || {
            smtplib_submits("LOGIN", "starttls")
        }),
        ("smtplib_submits_scram_on_587", &[PYTHON], || {
            smtplib_submits("SCRAM-SHA-256", "starttls")
        }),
        ("postfix_takes_over_tls", &[POSTFIX], postfix_takes_over_tls),
        (
            "postfix_delivers_to_us_over_tls",
            &[POSTFIX],
            postfix_delivers_to_us_over_tls,
        ),
    ];
    peer::run(tests);
}

fn gateway(next_hop: &str) -> Gateway {
    let setup = Setup::default();
    Authority::default().issue(setup.folder(), "mx", "mx.example.test");
    setup
        .server("tls = { cert = \"mx.pem\", key = \"mx.key\" }")
        .domain("example.test", &format!("smtp://{next_hop}"))
        .start()
}

fn smtp_source_in_smtp_sink_out() -> Result<(), Failed> {
    let address = free_address();
    let folder = tempfile::tempdir()?;
    // It gives up root before it writes.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777))?;
    let mut sink = Command::new(SMTP_SINK.path().unwrap())
        .current_dir(folder.path())
        .args(["-u", "nobody", "-d", "%H%M."])
        .args([&address.to_string(), "100"])
        .spawn()?;
    wait_for_listener(address)?;
    let gateway = gateway(&address.to_string());
    let count = 500;
    let status = Command::new(SMTP_SOURCE.path().unwrap())
        .args([
            "-s",
            "10",
            "-m",
            &count.to_string(),
            "-l",
            "4096",
            "-r",
            "3",
        ])
        .args(["-f", "a@example.org", "-t", "b@example.test"])
        .arg(gateway.smtp().to_string())
        .status()?;
    assert!(status.success(), "{status}");
    let until = Instant::now() + LIMIT;
    let delivered = || std::fs::read_dir(folder.path()).unwrap().count();
    while delivered() < count {
        assert!(
            Instant::now() < until,
            "{} of {count} in smtp-sink\n{}",
            delivered(),
            gateway.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    sink.kill()?;
    sink.wait()?;
    Ok(())
}

fn swaks(arguments: &[&str]) -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop.address().to_string());
    let file = gateway.folder().join("message.eml");
    // It adds the last line's end itself.
    std::fs::write(&file, content().trim_ascii_end())?;
    let output = Command::new(SWAKS.path().unwrap())
        .args([
            "--server",
            &gateway.smtp().to_string(),
            "--from",
            "a@example.org",
        ])
        .args([
            "--to",
            "b@example.test",
            "--helo",
            "swaks.example.test",
            "--data",
        ])
        .arg(format!("@{}", file.display()))
        .args(arguments)
        .output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    arrived(
        &next_hop,
        if arguments.contains(&"--tls") {
            "ESMTPS"
        } else {
            "ESMTP"
        },
    );
    Ok(())
}

fn smtplib(how: &[&str], recipient: &str) -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop.address().to_string());
    let mut python = Command::new(PYTHON.path().unwrap())
        .arg(root().join("tests/peers/python/send.py"))
        .args([
            "127.0.0.1",
            &gateway.smtp().port().to_string(),
            "a@example.org",
            recipient,
        ])
        .args(how)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    python.stdin.take().unwrap().write_all(&content())?;
    let output = python.wait_with_output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let with = match (how.contains(&"smtputf8"), how.contains(&"starttls")) {
        (true, _) => "UTF8SMTP",
        (false, true) => "ESMTPS",
        (false, false) => "ESMTP",
    };
    let message = arrived(&next_hop, with);
    assert_eq!(message.recipients, [format!("<{recipient}>")]);
    Ok(())
}

/// A real MSA session of swaks.
fn swaks_submits(arguments: &[&str]) -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let file = submission.gateway.folder().join("content");
    std::fs::write(&file, content().trim_ascii_end())?;
    let to = match arguments.contains(&"--tls-on-connect") {
        true => submission.implicit,
        false => submission.starttls,
    };
    let output = Command::new(SWAKS.path().unwrap())
        .args(["--server", &to.to_string(), "--from", USER])
        .args(["--to", "b@example.test", "--helo", "swaks.example.test"])
        .args(["--auth-user", USER, "--auth-password", PASSWORD, "--data"])
        .arg(format!("@{}", file.display()))
        .args(arguments)
        .output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    arrived(&next_hop, "ESMTPSA");
    Ok(())
}

/// A real MSA session of smtplib.
fn smtplib_submits(mechanism: &str, how: &str) -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let submission = Submission::start("", next_hop.address());
    let to = match how {
        "implicit" => submission.implicit,
        _ => submission.starttls,
    };
    let mut python = Command::new(PYTHON.path().unwrap())
        .arg(root().join("tests/peers/python/submit.py"))
        .args(["127.0.0.1", &to.port().to_string(), USER, "b@example.test"])
        .args([USER, PASSWORD, mechanism, how])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    python.stdin.take().unwrap().write_all(&content())?;
    let output = python.wait_with_output()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    arrived(&next_hop, "ESMTPSA");
    Ok(())
}

/// One message is at the next hop, byte for byte, and its trace field says how it came.
fn arrived(next_hop: &NextHop, with: &str) -> postern_e2e::next_hop::Received {
    let received = next_hop.wait_for(1, LIMIT);
    let message = received.first().unwrap().clone();
    let content_arrived = message.from_line("From: <a@").unwrap();
    assert!(
        content_arrived == content(),
        "{}",
        String::from_utf8_lossy(content_arrived)
    );
    let trace = message.text().split("\r\nFrom:").next().unwrap().to_owned();
    let words: Vec<&str> = trace.split_ascii_whitespace().collect();
    assert!(words.windows(2).any(|w| w == ["with", with]), "{trace}");
    message
}

/// Our delivery speaks STARTTLS to a real Postfix, which throws the mail away and says so.
fn postfix_takes_over_tls() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let issued = Authority::default().issue(folder.path(), "postfix", "postfix.test");
    let made = issued.files;
    let postfix = Postfix::start(&format!(
        "smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_security_level = encrypt\n\
         smtpd_tls_loglevel = 1\nrelay_transport = discard\ndefault_transport = discard\n",
        made.certificate.display(),
        made.key.display()
    ))?;
    let gateway = gateway(&postfix.address().to_string());
    let mut client = Client::ready(gateway.smtp());
    assert_eq!(
        client
            .deliver("a@example.org", &["b@example.test"], &content())
            .code,
        250
    );
    let until = Instant::now() + LIMIT;
    while !postfix.log().contains("status=sent (example.test)")
        && !postfix.log().contains("status=sent")
    {
        assert!(
            Instant::now() < until,
            "{}\n{}",
            postfix.log(),
            gateway.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        postfix.log().contains("TLS connection established"),
        "{}",
        postfix.log()
    );
    Ok(())
}

/// Postfix in front of us: it relays over STARTTLS, and each message arrives once.
fn postfix_delivers_to_us_over_tls() -> Result<(), Failed> {
    let next_hop = NextHop::start();
    let gateway = gateway(&next_hop.address().to_string());
    let postfix = Postfix::start(&format!(
        "relayhost = [127.0.0.1]:{}\nsmtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\n",
        gateway.smtp().port()
    ))?;
    let mut client = Client::ready(postfix.address());
    for _ in 0..20 {
        assert_eq!(
            client
                .deliver("a@example.org", &["b@example.test"], &content())
                .code,
            250
        );
    }
    let received = next_hop.wait_for(20, LIMIT);
    for message in &received {
        let arrived = message.from_line("From: <a@").unwrap();
        assert!(arrived == content(), "{}", String::from_utf8_lossy(arrived));
    }
    Ok(())
}
