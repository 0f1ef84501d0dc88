//! Kill -9 at any moment: what was acknowledged is there, what was removed is gone, nothing is
//! half there.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

const FOLDER: &str = "POSTERN_SPOOL_CRASH_FOLDER";
const ROUNDS: u64 = 8;

/// What the child said of a message before it died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Acknowledged { size: usize, seed: u64 },
    Removing,
    Removed,
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        child(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut said = HashMap::new();
    for round in 0..ROUNDS {
        let before = said.len();
        said.extend(run_and_kill(
            folder.path(),
            Duration::from_millis(60 + 97 * round),
        ));
        assert!(said.len() > before, "round {round} did something");
        check(folder.path(), &said);
    }
}

fn run_and_kill(folder: &Path, after: Duration) -> HashMap<MessageId, Said> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("embedded::tests::crash::nothing_acknowledged_is_lost_to_a_kill")
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The time runs from the first acknowledgement on.
    let mut said = HashMap::new();
    let mut note = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let (id, what) = match words[..] {
            ["ack", id, size, seed] => {
                let (size, seed) = (size.parse().unwrap(), seed.parse().unwrap());
                (id, Said::Acknowledged { size, seed })
            }
            ["removing", id] => (id, Said::Removing),
            ["removed", id] => (id, Said::Removed),
            // What the test harness prints.
            _ => return false,
        };
        said.insert(id.parse().unwrap(), what);
        true
    };
    while !note(&lines.next().unwrap().unwrap()) {}
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    for line in lines {
        note(&line.unwrap());
    }
    killer.join().unwrap();
    said
}

fn check(folder: &Path, said: &HashMap<MessageId, Said>) {
    let spool = open(folder);
    assert_eq!(spool.set_aside(), None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (id, what) in said {
            let loaded = spool.load(*id).await.unwrap();
            match what {
                Said::Acknowledged { size, seed } => {
                    let loaded = loaded.unwrap_or_else(|| panic!("{id} is lost"));
                    assert_eq!(read(&*loaded.content).await, content(*size, *seed));
                }
                Said::Removed => assert!(loaded.is_none(), "{id} is back"),
                // Either, but whole: loading checks it.
                Said::Removing => {}
            }
        }
        // What is there beyond that was not acknowledged any more, and is whole too.
        for id in due(&spool, time(99), usize::MAX).await {
            assert!(spool.load(id).await.unwrap().is_some());
        }
        let counts = spool.counts().await.unwrap();
        assert_eq!(counts.damaged, 0);
    });
}

/// Commits, acknowledges and removes until it is killed.
fn child(folder: &Path) {
    let spool = Arc::new(open(folder));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let say = |line: String| {
        // One write, so that a line is there wholly or not at all.
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    };
    runtime.block_on(async {
        let tasks = (0..12_u64).map(|task| {
            let spool = Arc::clone(&spool);
            tokio::spawn(async move {
                for round in 0.. {
                    let seed = task * 1_000_003 + round;
                    let size = match seed % 7 {
                        0 => 40_000,
                        1 => 400_000,
                        3 => 200_000,
                        2 => 20_000,
                        _ => 3_000,
                    };
                    let id = commit(&*spool, &content(size, seed)).await;
                    say(format!("ack {id} {size} {seed}\n"));
                    if seed % 3 != 0 {
                        say(format!("removing {id}\n"));
                        spool.remove(id).await.unwrap();
                        say(format!("removed {id}\n"));
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}
