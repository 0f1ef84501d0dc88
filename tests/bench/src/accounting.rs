//! What a program and its children cost: CPU time and memory, read from /proc.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// Clock ticks per second of /proc/PID/stat; 100 on every Linux that this runs on.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time used so far by the processes `roots`, their living descendants and their dead,
/// waited-for ones.
pub(crate) fn cpu(roots: &[u32]) -> Duration {
    let stats = all();
    let ticks: u64 = family(&stats, roots)
        .iter()
        .filter_map(|pid| stats.get(pid))
        .map(|stat| stat.ticks)
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// Resident memory of `roots` and their descendants now, in KiB. Pages that they share are
/// counted once for each proportionally (Pss).
pub(crate) fn memory_kib(roots: &[u32]) -> u64 {
    let stats = all();
    family(&stats, roots).into_iter().map(pss_kib).sum()
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn all() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, stat(pid)?)))
        .collect()
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold blanks: the fields start behind its end.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |n: usize| fields.get(n).and_then(|f| f.parse::<u64>().ok());
    Some(Stat {
        parent: u32::try_from(field(1)?).ok()?,
        ticks: field(11)? + field(12)? + field(13)? + field(14)?,
    })
}

fn family(stats: &HashMap<u32, Stat>, roots: &[u32]) -> HashSet<u32> {
    let mut members: HashSet<u32> = roots.iter().copied().collect();
    loop {
        let before = members.len();
        for (pid, stat) in stats {
            if members.contains(&stat.parent) {
                members.insert(*pid);
            }
        }
        if members.len() == before {
            return members;
        }
    }
}

fn pss_kib(pid: u32) -> u64 {
    fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}
