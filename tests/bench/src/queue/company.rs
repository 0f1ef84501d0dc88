//! Live mail beside destinations that hang and one that is dead with a long queue.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use postern_e2e::gateway::{Gateway, Setup, free_address};

use super::fill::fill;
use super::{Plan, median};
use crate::load::{self, Shape};
use crate::receiver::Receiver;
use crate::report::Section;

const HUNG: usize = 10;
/// Messages for each of them.
const HUNG_MESSAGES: u64 = 300;
const LIVE: Shape = Shape {
    size_bytes: 4 << 10,
    sessions: 20,
    recipients: 1,
    pipelined: true,
    messages: 8_000,
    pace: Duration::ZERO,
};
const ALLOWED_RATE: f64 = 0.9;
const ALLOWED_P99: f64 = 2.0;

#[derive(Default)]
struct Runs {
    accepted: Vec<f64>,
    delivered: Vec<f64>,
    p99_ms: Vec<f64>,
}

pub(super) fn measure(plan: &Plan) -> io::Result<Section> {
    let receiver = Receiver::start()?;
    let live = format!("smtp://{}", receiver.address());
    let alone = Setup::default().domain("bench.test", &live).start();
    let mut setup = Setup::default()
        .with("[queue]\nretry = [\"1m\"]")
        .domain("bench.test", &live)
        .domain("dead.test", &format!("smtp://{}", free_address()));
    for number in 0..HUNG {
        setup = setup.domain(
            &format!("hung{number}.test"),
            &format!("smtp://{}", hang()?),
        );
    }
    let company = setup.start();
    for number in 0..HUNG {
        fill(company.smtp(), &format!("hung{number}.test"), HUNG_MESSAGES)?;
    }
    fill(company.smtp(), "dead.test", plan.dead)?;

    // A first run of each warms up and is thrown away.
    run(&alone, &receiver, &mut Runs::default())?;
    run(&company, &receiver, &mut Runs::default())?;
    let (mut without, mut beside) = (Runs::default(), Runs::default());
    for round in 0..plan.rounds {
        match round % 2 {
            0 => {
                run(&alone, &receiver, &mut without)?;
                run(&company, &receiver, &mut beside)?;
            }
            _ => {
                run(&company, &receiver, &mut beside)?;
                run(&alone, &receiver, &mut without)?;
            }
        }
    }
    let mut section = Section::new("Beside bad destinations");
    section.line(&format!(
        "{} messages of 4 KiB from {} sessions for a healthy destination; another gateway has {HUNG} destinations beside it that take \
         connections and say nothing, with {HUNG_MESSAGES} messages each, and one that refuses connections, with {}, all tried again \
         each minute. Medians of {} runs in turn. Allowed: {ALLOWED_RATE} of the rate, {ALLOWED_P99} times the p99.\n",
        LIVE.messages, LIVE.sessions, plan.dead, plan.rounds
    ));
    section.line(
        "| | accepted/s | delivered/s | delivered, ratio | final reply p99 ms | p99, ratio |",
    );
    section.line("| --- | --- | --- | --- | --- | --- |");
    let (rate, p99) = (median(without.delivered), median(without.p99_ms));
    section.line(&format!(
        "| alone | {:.0} | {rate:.0} | | {p99:.1} | |",
        median(without.accepted)
    ));
    let (own_rate, own_p99) = (median(beside.delivered), median(beside.p99_ms));
    let of_rate = section.judged(
        format!("{:.2}", own_rate / rate),
        own_rate / rate >= ALLOWED_RATE,
    );
    let of_p99 = section.judged(
        format!("{:.2}", own_p99 / p99),
        own_p99 / p99 <= ALLOWED_P99,
    );
    section.line(&format!(
        "| beside them | {:.0} | {own_rate:.0} | {of_rate} | {own_p99:.1} | {of_p99} |",
        median(beside.accepted)
    ));
    Ok(section)
}

fn run(gateway: &Gateway, receiver: &Receiver, runs: &mut Runs) -> io::Result<()> {
    receiver.reset();
    let begun = Instant::now();
    let load = load::run(gateway.smtp(), LIVE)?;
    let last = receiver
        .wait_for(LIVE.messages, Duration::from_secs(120))
        .map_err(|seen| io::Error::other(format!("{seen} delivered")))?;
    let accepted = load.accepted as f64;
    runs.accepted.push(accepted / load.elapsed.as_secs_f64());
    let all = last.saturating_duration_since(begun);
    runs.delivered.push(accepted / all.as_secs_f64());
    let p99 = load.final_reply_us.value_at_quantile(0.99) as f64 / 1000.0;
    runs.p99_ms.push(p99);
    Ok(())
}

/// A server that takes connections and never says a word.
fn hang() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let _kept: Vec<TcpStream> = listener.incoming().flatten().collect();
    });
    Ok(address)
}
