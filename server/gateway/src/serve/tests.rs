#![allow(clippy::unwrap_used)]
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::cli::Exit;

const PATIENCE: Duration = Duration::from_secs(20);

struct Setup {
    folder: tempfile::TempDir,
}

impl Setup {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn load(&self, listen: &str, rest: &str) -> Effective {
        let file = self.folder.path().join("postern.toml");
        let text = format!(
            "[spool]\npath = \"state\"\nmin_free = \"1 MiB\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [[domain]]\nname = \"example.test\"\nrecipients = \"any\"\ndeliver = \"maildir:mail/{{user}}\"\ncreate = true\n\
             [[server]]\nname = \"inbound\"\nhostname = \"mx.example.test\"\nlisten = \"{listen}\"\n{rest}\n"
        );
        std::fs::write(&file, text).unwrap();
        postern_config::load(&file, &[("NONE", "")]).unwrap()
    }

    fn prepare(&self, rest: &str, listen: Option<Listen>) -> Gateway {
        let options = Options {
            listen,
            signals: false,
            runtimes: 2,
            ..Options::default()
        };
        Gateway::prepare(&self.load("127.0.0.1:0", rest), options).unwrap()
    }
}

fn smtp(gateway: &Gateway) -> SocketAddr {
    match gateway.addresses().remove(0).address {
        ListenAddress::Tcp(address) => address,
        other => panic!("{other}"),
    }
}

/// Runs the gateway beside the test and ends it with it.
struct Running {
    shutdown: Shutdown,
    thread: Option<thread::JoinHandle<Result<(), ServeError>>>,
}

impl Running {
    fn start(gateway: Gateway) -> Self {
        let shutdown = gateway.shutdown();
        Self {
            shutdown,
            thread: Some(thread::spawn(|| gateway.run())),
        }
    }

    fn stop(mut self) -> Result<(), ServeError> {
        self.shutdown.drain(Duration::from_secs(10));
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.now();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            assert_ne!(
                self.0.read_line(&mut reply).unwrap(),
                0,
                "closed after {reply:?}"
            );
            if reply.as_bytes().get(start + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn expect(&mut self, line: &str, start: &str) {
        self.send(&format!("{line}\r\n"));
        let reply = self.reply();
        assert!(reply.starts_with(start), "{line}: {reply}");
    }
}

fn http(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_message_goes_through_the_whole_gateway() {
    let setup = Setup::new();
    let (sender, told) = mpsc::channel();
    let listen: Listen = Arc::new(move |event: &ServiceEvent<'_>| {
        let word = match event {
            ServiceEvent::Ready => "ready".to_owned(),
            ServiceEvent::Accepted(message) => format!("accepted {}", message.recipients.len()),
            ServiceEvent::Delivery { server, result, .. } => {
                format!(
                    "{server} {:?}",
                    result.recipients.first().map(|one| one.status)
                )
            }
            ServiceEvent::Stopping => "stopping".to_owned(),
        };
        sender.send(word).unwrap();
    });
    let gateway = setup.prepare("", Some(listen));
    let (address, metrics) = (smtp(&gateway), gateway.metrics_address().unwrap());
    let running = Running::start(gateway);
    let next = || told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(next(), "ready");
    let mut client = Client::connect(address);
    assert!(client.reply().starts_with("220 mx.example.test"));
    client.expect("EHLO client.example.org", "250-");
    client.expect("MAIL FROM:<anna@example.org>", "250");
    client.expect("RCPT TO:<carl@example.test>", "250");
    client.expect("DATA", "354");
    client.send("Subject: hello\r\n\r\nbody\r\n.\r\n");
    assert!(client.reply().starts_with("250 2.0.0 Ok: queued as "));
    assert_eq!(next(), "accepted 1");
    assert_eq!(next(), "inbound Some(Delivered)");
    let mail: Vec<PathBuf> = std::fs::read_dir(setup.folder.path().join("mail/carl/new"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let text = std::fs::read_to_string(&mail[0]).unwrap();
    assert!(
        text.contains("Received: from client.example.org") && text.contains("Subject: hello"),
        "{text}"
    );

    let text = http(metrics, "/metrics");
    assert!(
        text.contains("postern_messages_total{server=\"inbound\",end=\"accepted\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("postern_deliveries_total{server=\"inbound\",result=\"delivered\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("postern_sessions_open{server=\"inbound\"} 1"),
        "{text}"
    );
    assert!(http(metrics, "/livez").starts_with("HTTP/1.1 200"));
    assert!(http(metrics, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(http(metrics, "/other").starts_with("HTTP/1.1 404"));

    // The idle client is told, and the gateway comes to its end.
    let ended = thread::spawn(move || running.stop());
    assert!(client.reply().starts_with("421 4.3.2"));
    ended.join().unwrap().unwrap();
    assert_eq!(next(), "stopping");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_end_shows_in_readyz_while_a_body_is_waited_for() {
    let setup = Setup::new();
    let gateway = setup.prepare("", None);
    let (address, metrics) = (smtp(&gateway), gateway.metrics_address().unwrap());
    let running = Running::start(gateway);
    let mut client = Client::connect(address);
    client.reply();
    client.expect("EHLO c", "250-");
    client.expect("MAIL FROM:<>", "250");
    client.expect("RCPT TO:<carl@example.test>", "250");
    client.expect("DATA", "354");
    let ended = thread::spawn(move || running.stop());
    while !http(metrics, "/readyz").starts_with("HTTP/1.1 503") {
        thread::yield_now();
    }
    client.send("\r\nbody\r\n.\r\n");
    assert!(client.reply().starts_with("250 2.0.0"));
    assert!(client.reply().starts_with("421 4.3.2"));
    ended.join().unwrap().unwrap();
}

#[test]
fn connections_over_a_limit_are_told_so_and_closed() {
    let setup = Setup::new();
    let gateway = setup.prepare(
        "[server.limits]\nconnections = 2\nconnections_per_client = 1",
        None,
    );
    let address = smtp(&gateway);
    let _running = Running::start(gateway);
    let mut first = Client::connect(address);
    assert!(first.reply().starts_with("220"));
    let mut second = Client::connect(address);
    assert!(second.reply().starts_with("421 4.7.0 "));
    assert_eq!(second.0.read_line(&mut String::new()).unwrap(), 0);
    first.expect("QUIT", "221");
    assert_eq!(first.0.read_line(&mut String::new()).unwrap(), 0);
    // The place is free once the session has gone.
    loop {
        if Client::connect(address).reply().starts_with("220") {
            break;
        }
        thread::yield_now();
    }
}

#[test]
fn what_is_taken_is_refused_with_its_own_exit_code() {
    let setup = Setup::new();
    let gateway = setup.prepare("", None);
    let other = Setup::new();
    let options = || Options {
        signals: false,
        ..Options::default()
    };
    let taken = other.load(&smtp(&gateway).to_string(), "");
    let error = Gateway::prepare(&taken, options()).err().unwrap();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    assert!(
        error.to_string().contains(&smtp(&gateway).to_string()),
        "{error}"
    );
    assert!(
        !other.folder.path().join("state").exists(),
        "a spool was begun"
    );
    let locked = setup.load("127.0.0.1:0", "");
    let error = Gateway::prepare(&locked, options()).err().unwrap();
    assert_eq!(error.exit(), Exit::TempFail, "{error}");
    let no_files = other.load(
        "127.0.0.1:0",
        "tls = { cert = \"no.pem\", key = \"no.key\" }",
    );
    let error = Gateway::prepare(&no_files, options()).err().unwrap();
    assert_eq!(error.exit(), Exit::Config, "{error}");
    assert!(error.to_string().contains("no.pem"), "{error}");
}

/// A disk that does not bring the spool's log to stable storage, once it is told so.
#[derive(Default)]
struct Failing(std::sync::atomic::AtomicBool);

impl Disk for Failing {
    fn sync(&self, file: &std::fs::File, path: &Path) -> std::io::Result<()> {
        let is_log = path.extension().is_some_and(|ending| ending == "db-wal");
        if is_log && self.0.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(std::io::Error::from_raw_os_error(5));
        }
        file.sync_data()
    }
}

#[test]
fn a_failed_sync_is_the_end_and_no_message_is_promised_after_it() {
    let setup = Setup::new();
    let disk = Arc::new(Failing::default());
    let options = Options {
        signals: false,
        runtimes: 2,
        disk: Arc::clone(&disk) as Arc<dyn Disk>,
        ..Options::default()
    };
    let gateway = Gateway::prepare(&setup.load("127.0.0.1:0", ""), options).unwrap();
    let (address, metrics) = (smtp(&gateway), gateway.metrics_address().unwrap());
    let mut running = Running::start(gateway);
    let mut client = Client::connect(address);
    assert!(client.reply().starts_with("220"));
    client.expect("EHLO client.test", "250");
    client.expect("MAIL FROM:<a@sender.test>", "250");
    client.expect("RCPT TO:<b@example.test>", "250");
    client.expect("DATA", "354");
    assert!(http(metrics, "/readyz").contains("200 OK"));
    disk.0.store(true, std::sync::atomic::Ordering::Relaxed);
    client.send("Subject: x\r\n\r\nx\r\n.\r\n");
    let reply = client.reply();
    assert!(reply.starts_with("451"), "{reply}");
    // It may have ended by now.
    if let Ok(mut stream) = TcpStream::connect(metrics) {
        let mut text = String::new();
        let asked = write!(
            stream,
            "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .and_then(|()| stream.read_to_string(&mut text));
        assert!(
            asked.is_err() || text.is_empty() || text.contains("503"),
            "{text}"
        );
    }
    let start = std::time::Instant::now();
    let ended = running.thread.take().unwrap().join().unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    let error = ended.unwrap_err();
    assert_eq!(error.exit(), Exit::IoErr, "{error}");
    // The next start finds out what the disk holds, and goes on.
    let again = Running::start(setup.prepare("", None));
    again.stop().unwrap();
}

#[test]
fn a_path_that_no_socket_can_have_keeps_mail_from_nothing_unless_it_was_configured() {
    let long = "x".repeat(100);
    let folder = tempfile::Builder::new().prefix(&long).tempdir().unwrap();
    let setup = Setup { folder };
    let gateway = setup.prepare("", None);
    assert!(gateway.admin.is_none());
    drop(gateway);
    let configured = format!("[admin]\nsocket = \"{long}.sock\"");
    let refused = preflight::run(&setup.load("127.0.0.1:0", &configured)).unwrap_err();
    let lines: Vec<_> = refused.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("admin.socket: "), "{lines:?}");
}
