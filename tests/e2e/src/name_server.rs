//! A name server with a zone of its own: Knot DNS in a temporary folder.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};

use crate::gateway::wait_for_listener;
use crate::peer::KNOT;

/// A running server for the zone `test.`, and for no other one; killed when dropped.
#[derive(Debug)]
pub struct NameServer {
    _folder: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
}

impl NameServer {
    /// Starts it on loopback. `records` are lines of the zone file, with names relative to `test.`; a record lasts a second, and
    /// so does it that there is none.
    ///
    /// # Errors
    /// When it does not start, or cannot read the zone. Needs the Debian package `knot`.
    pub fn start(records: &str) -> io::Result<Self> {
        Self::start_at(free_address()?, records)
    }

    /// As [`NameServer::start`], at an address.
    ///
    /// # Errors
    /// As there.
    pub fn start_at(address: SocketAddr, records: &str) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().display();
        let zone = format!(
            "$ORIGIN test.\n$TTL 1\n@ SOA ns.test. admin.test. 1 60 60 60 1\n@ NS ns.test.\nns A 127.0.0.1\n{records}\n"
        );
        fs::write(folder.path().join("test.zone"), zone)?;
        let configuration = format!(
            "server:\n  rundir: \"{path}\"\n  listen: \"{ip}@{port}\"\n  udp-workers: 1\n  tcp-workers: 1\n  \
             background-workers: 1\ndatabase:\n  storage: \"{path}\"\n\
             log:\n  - target: stderr\n    any: warning\n\
             zone:\n  - domain: test.\n    file: \"{path}/test.zone\"\n    semantic-checks: off\n    zonefile-sync: -1\n    \
             journal-content: none\n",
            ip = address.ip(),
            port = address.port(),
        );
        let file = folder.path().join("knot.conf");
        fs::write(&file, configuration)?;
        let program = KNOT
            .path()
            .ok_or_else(|| io::Error::other("there is no knotd"))?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let server = Self {
            _folder: folder,
            child,
            address,
        };
        wait_for_listener(address)?;
        server.wait_for_zone()?;
        Ok(server)
    }

    /// Where it answers, over UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The zone is loaded behind the sockets: before that it refuses every question.
    fn wait_for_zone(&self) -> io::Result<()> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(std::time::Duration::from_millis(100)))?;
        // The SOA of `test.`.
        let question = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x04test\0\0\x06\0\x01";
        for _ in 0..300 {
            socket.send_to(question, self.address)?;
            let mut answer = [0; 512];
            match socket.recv(&mut answer) {
                Ok(read) if read > 8 && answer[3] & 0x0f == 0 && answer[7] > 0 => return Ok(()),
                Ok(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
                // It was not there yet.
                Err(_) => {}
            }
        }
        Err(io::Error::other("the zone is not served"))
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).ok();
    }
}

/// An address whose port nobody has, neither for TCP nor for UDP.
fn free_address() -> io::Result<SocketAddr> {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
}
