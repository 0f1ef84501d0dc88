//! Building all mutants at once, and running the tests with one of them switched on.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::mutants::{self, Mutant};
use crate::source::File;
use crate::text::{self, Wrap};
use crate::tree;

/// The switches: one module more in the crate. With the number of [`TRACE`] it notes which test reaches which switch: a test
/// runs in a thread of its name.
const SWITCHES: &str = r#"
#[allow(missing_docs, dead_code, clippy::all)]
mod mutation {
    use std::cell::RefCell;
    use std::io::Write as _;
    static ON: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    thread_local! {
        static SEEN: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
    }
    pub(crate) fn is(number: u32) -> bool {
        let on = *ON.get_or_init(|| {
            let given = std::env::var("POSTERN_MUTANT").ok();
            given.and_then(|text| text.parse().ok()).unwrap_or(0)
        });
        if on == u32::MAX {
            note(number);
        }
        on == number
    }
    fn note(number: u32) {
        let place = number as usize;
        let is_new = SEEN.try_with(|seen| {
            let Ok(mut seen) = seen.try_borrow_mut() else { return false };
            if seen.len() <= place {
                seen.resize(place + 1, false);
            }
            !std::mem::replace(&mut seen[place], true)
        });
        if is_new != Ok(true) {
            return;
        }
        let Ok(path) = std::env::var("POSTERN_MUTANT_TRACE") else { return };
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let thread = std::thread::current();
        if let Ok(mut file) = file {
            let _ = file.write_all(format!("{number} {}\n", thread.name().unwrap_or("?")).as_bytes());
        }
    }
}
"#;

/// The number that turns no mutant on and notes which are reached.
const TRACE: u32 = u32::MAX;

/// What a mutant is reached by, in one program of tests.
#[derive(Clone, Default)]
struct Reach {
    tests: BTreeSet<String>,
    /// Also by a thread that is no test's own: all tests are run.
    others: bool,
}

/// How often mutants that do not compile are taken out before it is given up.
const ROUNDS: usize = 12;

/// What the tests say of a mutant.
pub enum Outcome {
    Noticed,
    TimedOut,
    Survived,
}

/// One program of tests.
struct Program {
    path: PathBuf,
    tests: HashSet<String>,
    /// By the numbers of mutants.
    reached: HashMap<u32, Reach>,
}

impl Program {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            tests: HashSet::new(),
            reached: HashMap::new(),
        }
    }
}

/// The built tests of a crate.
pub struct Tests {
    programs: Vec<Program>,
    folder: PathBuf,
}

/// Builds the tests with all mutants that compile, and says which these are.
pub fn build<'a>(
    copy: &Path,
    package: &str,
    files: &[File],
    all: &'a [Mutant],
) -> Result<(Tests, Vec<&'a Mutant>), String> {
    let plain: Vec<(String, Wrap)> = mutants::plain(files)
        .into_iter()
        .map(|own| {
            let wrap = Wrap {
                range: own.range,
                before: String::new(),
                after: String::new(),
                instead: true,
            };
            (own.file, wrap)
        })
        .collect();
    let mut refused: HashSet<u32> = HashSet::new();
    for _ in 0..ROUNDS {
        for file in files {
            let own = all
                .iter()
                .filter(|mutant| mutant.file == file.path && !refused.contains(&mutant.number))
                .map(|mutant| &mutant.wrap);
            let plain = plain.iter().filter(|(of, _)| *of == file.path);
            let wraps: Vec<&Wrap> = own.chain(plain.map(|(_, wrap)| wrap)).collect();
            let mut made = text::apply(&file.text, &wraps);
            if file.path.ends_with("src/lib.rs") {
                made.push_str(SWITCHES);
            }
            tree::write(&copy.join(&file.path), made.as_bytes())?;
        }
        let (programs, errors) = compile(copy, package)?;
        if errors.is_empty() {
            let folder = files
                .first()
                .and_then(|file| Path::new(&file.path).parent()?.parent());
            let tests = Tests {
                programs: programs.into_iter().map(Program::new).collect(),
                folder: copy.join(folder.unwrap_or(Path::new(""))),
            };
            let compiled = all
                .iter()
                .filter(|mutant| !refused.contains(&mutant.number));
            return Ok((tests, compiled.collect()));
        }
        let before = refused.len();
        for error in &errors {
            let near = |lines: std::ops::RangeInclusive<usize>| {
                all.iter()
                    .filter(move |mutant| mutant.file == error.file && lines.contains(&mutant.line))
                    .map(|mutant| mutant.number)
                    .filter(|number| !refused.contains(number))
                    .collect::<Vec<_>>()
            };
            let mut found = near(error.from..=error.from);
            if found.is_empty() {
                found = near(error.from..=error.to);
            }
            if found.is_empty() {
                // Of a match that lacks an arm the compiler shows the head.
                found = near(error.from.saturating_sub(3)..=error.to + 40);
            }
            refused.extend(found);
        }
        eprintln!("mutation: {} mutants do not compile so far", refused.len());
        if refused.len() == before {
            let first = errors.first().map(|error| error.text.as_str());
            return Err(format!(
                "the mutants do not compile: {}",
                first.unwrap_or_default()
            ));
        }
    }
    Err(format!(
        "after {ROUNDS} rounds some mutants still do not compile"
    ))
}

/// An error of the compiler.
struct Error {
    file: String,
    from: usize,
    to: usize,
    text: String,
}

/// Compiles the tests: the programs, or the errors.
fn compile(copy: &Path, package: &str) -> Result<(Vec<PathBuf>, Vec<Error>), String> {
    let target = std::env::current_dir()
        .map_err(|error| error.to_string())?
        .join("target");
    let mut child = Command::new("cargo")
        .args([
            "test",
            "--locked",
            "--lib",
            "--tests",
            "--no-run",
            "--message-format=json",
        ])
        .args(["--package", package])
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .current_dir(copy)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let (mut programs, mut errors) = (Vec::new(), Vec::new());
    let printed = child.stdout.take().ok_or("cargo prints nothing")?;
    for line in BufReader::new(printed).lines() {
        let line = line.map_err(|error| error.to_string())?;
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            continue;
        };
        if let Some(program) = message["executable"].as_str()
            && message["profile"]["test"] == true
        {
            programs.push(PathBuf::from(program));
        }
        let error = &message["message"];
        if error["level"] == "error" {
            let text = error["rendered"].as_str().unwrap_or_default();
            for span in error["spans"].as_array().into_iter().flatten() {
                if span["is_primary"] != true {
                    continue;
                }
                let line = |key: &str| {
                    span[key]
                        .as_u64()
                        .and_then(|line| usize::try_from(line).ok())
                        .unwrap_or(0)
                };
                errors.push(Error {
                    file: span["file_name"].as_str().unwrap_or_default().to_owned(),
                    from: line("line_start"),
                    to: line("line_end"),
                    text: text.to_owned(),
                });
            }
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if !status.success() && errors.is_empty() {
        return Err(
            "cargo failed without an error of the compiler; run it by hand in target/mutation/tree"
                .into(),
        );
    }
    Ok((programs, errors))
}

impl Tests {
    /// Runs the tests without a mutant, finds which mutants each reaches, and says how long to wait for a run with one.
    pub fn baseline(&mut self) -> Result<Duration, String> {
        let began = Instant::now();
        let patience = Duration::from_secs(3600);
        for place in 0..self.programs.len() {
            let trace = self.folder.join(format!("mutation-trace-{place}"));
            // There is none of an earlier run, mostly.
            let _none = std::fs::remove_file(&trace).is_err();
            let trace = std::path::absolute(trace).map_err(|error| error.to_string())?;
            let Some(program) = self.programs.get_mut(place) else {
                continue;
            };
            let listed =
                tree::output(Command::new(&program.path).args(["--list", "--format=terse"]))?;
            let names = listed
                .lines()
                .filter_map(|line| line.strip_suffix(": test"));
            program.tests = names.map(str::to_owned).collect();
            let mut command = command(&program.path, &self.folder, TRACE);
            command.env("POSTERN_MUTANT_TRACE", &trace);
            match watch(command, Instant::now() + patience)? {
                Outcome::Survived => {}
                _ => return Err("the tests fail as they are".to_owned()),
            }
            let noted = std::fs::read_to_string(&trace).unwrap_or_default();
            for line in noted.lines() {
                let Some((number, name)) = line.split_once(' ') else {
                    continue;
                };
                let Ok(number) = number.parse() else { continue };
                let reach: &mut Reach = program.reached.entry(number).or_default();
                if program.tests.contains(name) {
                    reach.tests.insert(name.to_owned());
                } else {
                    reach.others = true;
                }
            }
        }
        let took = began.elapsed();
        println!("the tests take {:.1} s", took.as_secs_f64());
        Ok(took * 3 + Duration::from_secs(60))
    }

    /// Runs the tests that reach a mutant with it turned on, until the first that fails.
    pub fn run(&self, mutant: u32, patience: Duration) -> Result<Outcome, String> {
        let until = Instant::now() + patience;
        for program in &self.programs {
            let Some(reach) = program.reached.get(&mutant) else {
                continue;
            };
            let mut command = command(&program.path, &self.folder, mutant);
            if !reach.others {
                command.arg("--exact").args(&reach.tests);
            }
            match watch(command, until)? {
                Outcome::Survived => {}
                other => return Ok(other),
            }
        }
        Ok(Outcome::Survived)
    }
}

/// What ends a program that has used up its CPU time.
const SIGXCPU: i32 = 24;

/// CPU time that a run may take: what loops is stopped by it on a busy machine as on an idle one.
const CPU_SECONDS: u32 = 40;

/// A program of tests with a mutant turned on.
fn command(program: &Path, folder: &Path, mutant: u32) -> Command {
    let mut command = Command::new("sh");
    let seconds = if mutant == TRACE { 3600 } else { CPU_SECONDS };
    command
        .args(["-c", "ulimit -t \"$1\" && shift && exec \"$@\"", "sh"])
        .arg(seconds.to_string())
        .arg(program)
        .env("POSTERN_MUTANT", mutant.to_string())
        .env("RUST_BACKTRACE", "0")
        // What proptest finds in one mutant is not for the others.
        .env("PROPTEST_FAILURE_PERSISTENCE", "off")
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Waits for a program of tests to end, or to say that one failed.
fn watch(mut command: Command, until: Instant) -> Result<Outcome, String> {
    let mut child = command
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let printed = child.stdout.take().ok_or("the tests print nothing")?;
    let (failed, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            if line.ends_with("... FAILED") && failed.send(()).is_err() {
                return;
            }
        }
    });
    // The channel closes with the program's output.
    let heard = heard.recv_timeout(until.saturating_duration_since(Instant::now()));
    let outcome = match heard {
        Ok(()) => Some(Outcome::Noticed),
        Err(mpsc::RecvTimeoutError::Timeout) => Some(Outcome::TimedOut),
        Err(mpsc::RecvTimeoutError::Disconnected) => None,
    };
    if let Some(outcome) = outcome {
        // It may have ended meanwhile.
        let _gone = child.kill().is_err();
        child.wait().map_err(|error| error.to_string())?;
        return Ok(outcome);
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(match status.signal() {
        Some(SIGXCPU) => Outcome::TimedOut,
        _ if status.success() => Outcome::Survived,
        _ => Outcome::Noticed,
    })
}
