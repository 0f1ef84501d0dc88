//! Twenty large uploads at once, each shown whole to a sink: the gateway holds none of them.

#![allow(clippy::unwrap_used, missing_docs)]

use std::thread;
use std::time::Duration;

use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::NextHop;
use postern_e2e::sink::Sink;

const UPLOADS: usize = 20;
const SIZE: usize = 25 << 20;
const CEILING_KIB: u64 = 150 << 10;

#[test]
fn twenty_uploads_of_25_mib_stay_under_150_mib() {
    let next_hop = NextHop::start();
    let sink = Sink::start(&[]);
    let gateway = Setup::default()
        .server("max_message_size = \"30 MiB\"")
        .domain("example.test", &format!("smtp://{}", next_hop.address()))
        .with(&sink.table("reader"))
        .with(
            "[[binding]]\nname = \"reader\"\nsink = \"reader\"\nevents = [\"inbound.message\"]\n\
             may = []\nbody = \"full\"",
        )
        .start();
    let smtp = gateway.smtp();
    let line = "0123456789".repeat(7) + "01234567\r\n";
    let block = line.repeat(1024);
    thread::scope(|scope| {
        for _ in 0..UPLOADS {
            scope.spawn(|| {
                let mut client = Client::ready(smtp);
                client.expect("MAIL FROM:<a@example.org>", 250);
                client.expect("RCPT TO:<b@example.test>", 250);
                client.expect("DATA", 354);
                client.send("Subject: large\r\n\r\n");
                for _ in 0..SIZE / block.len() {
                    client.send(&block);
                }
                client.send(".\r\n");
                assert_eq!(client.reply().code, 250);
            });
        }
    });
    next_hop.wait_for(UPLOADS, Duration::from_secs(120));
    let peak = gateway.peak_memory_kib();
    println!("peak: {} MiB", peak >> 10);
    assert!(peak < CEILING_KIB, "{} MiB", peak >> 10);
}
