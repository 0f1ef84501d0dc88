//! What both peers have in common: a listener, processes that cost something, and filters.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// A program under measurement.
pub(crate) trait Gateway {
    /// Where it takes mail.
    fn address(&self) -> SocketAddr;
    /// Its own processes, without the filters; children are found from these.
    fn processes(&self) -> Vec<u32>;
    /// The filters that it asks.
    fn filters(&self) -> &Filters;
}

/// Filter processes; killed when dropped.
#[derive(Default)]
pub(crate) struct Filters {
    children: Vec<Child>,
    ports: Vec<u16>,
}

impl Filters {
    /// Takes a process that was just started and waits until it listens.
    pub(crate) fn push(&mut self, child: Child, port: u16) -> io::Result<()> {
        self.children.push(child);
        self.ports.push(port);
        wait_for_listener(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    pub(crate) fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub(crate) fn processes(&self) -> Vec<u32> {
        self.children.iter().map(Child::id).collect()
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        for child in &mut self.children {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                eprintln!("a filter does not end: {error}");
            }
        }
    }
}

/// A port of the loopback address that nobody has just now.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Waits until somebody listens at `address`.
pub(crate) fn wait_for_listener(address: SocketAddr) -> io::Result<()> {
    retry(address, |_| Ok(()))
}

/// Waits until an SMTP server greets at `address`.
pub(crate) fn wait_for_banner(address: SocketAddr) -> io::Result<()> {
    retry(address, |stream| {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        if line.starts_with("220") {
            Ok(())
        } else {
            Err(io::Error::other(format!("no greeting: {line:?}")))
        }
    })
}

fn retry(address: SocketAddr, probe: impl Fn(TcpStream) -> io::Result<()>) -> io::Result<()> {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match TcpStream::connect(address).and_then(&probe) {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > until => {
                return Err(io::Error::other(format!(
                    "nobody serves at {address}: {error}"
                )));
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}
