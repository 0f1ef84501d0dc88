//! How busy the machine is with other things: numbers of a busy machine prove little.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

/// The share of all processors' time, in percent, that is used while this program waits.
pub(crate) fn busy_with_others() -> io::Result<f64> {
    let before = times()?;
    thread::sleep(Duration::from_secs(2));
    let after = times()?;
    let all = after.all.saturating_sub(before.all).max(1);
    let idle = after.idle.saturating_sub(before.idle);
    Ok(100.0 * (1.0 - idle as f64 / all as f64))
}

struct Times {
    all: u64,
    idle: u64,
}

/// The first line of /proc/stat: user, nice, system, idle, waiting for disks, and others.
fn times() -> io::Result<Times> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let ticks = line.split_whitespace().skip(1).take(8);
    let ticks: Vec<u64> = ticks.filter_map(|word| word.parse().ok()).collect();
    let idle = ticks.iter().skip(3).take(2).sum();
    Ok(Times {
        all: ticks.iter().sum(),
        idle,
    })
}
