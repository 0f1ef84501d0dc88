//! Runs a crate's tests on changed versions of its code, and says which changes no test notices.

mod mutants;
mod source;
mod text;
mod tree;
mod trial;

use std::process::ExitCode;

use mutants::Mutant;

/// What is to be done.
struct Options {
    package: String,
    sample: u64,
    seed: u64,
    only: Vec<u32>,
    list: bool,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            package: String::new(),
            sample: 1,
            seed: 1,
            only: Vec::new(),
            list: false,
        };
        while let Some(word) = words.next() {
            let mut number = |what: &str| {
                let given = words.next().and_then(|text| text.parse::<u64>().ok());
                given
                    .filter(|n| *n > 0)
                    .ok_or(format!("{what} needs a number above 0"))
            };
            match word.as_str() {
                "--sample" => options.sample = number("--sample")?,
                "--seed" => options.seed = number("--seed")?,
                "--only" => {
                    let list = words.next().unwrap_or_default();
                    let numbers = list.split(',').map(str::parse);
                    options.only = numbers
                        .collect::<Result<_, _>>()
                        .map_err(|_| "--only needs numbers with commas between them")?;
                }
                "--list" => options.list = true,
                name if !name.starts_with('-') && options.package.is_empty() => {
                    options.package = word;
                }
                other => return Err(format!("{other} is no option")),
            }
        }
        if options.package.is_empty() {
            return Err("which package? postern-events, postern-attach, ...".to_owned());
        }
        Ok(options)
    }

    /// The same mutants for the same seed and the same code.
    fn chooses(&self, mutant: &Mutant) -> bool {
        if !self.only.is_empty() {
            return self.only.contains(&mutant.number);
        }
        mixed(self.seed ^ u64::from(mutant.number).wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .is_multiple_of(self.sample)
    }
}

/// The finaliser of SplitMix64.
fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| work(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mutation: {error}");
            ExitCode::FAILURE
        }
    }
}

fn work(options: &Options) -> Result<(), String> {
    let folder = tree::folder_of(&options.package)?;
    let files = source::files(&folder)?;
    let all = mutants::find(&files);
    if options.list {
        for mutant in all.iter().filter(|mutant| options.chooses(mutant)) {
            println!("{mutant}");
        }
        return Ok(());
    }
    let _lock = tree::lock()?;
    let copy = tree::copy()?;
    let (mut tests, compiled) = trial::build(&copy, &options.package, &files, &all)?;
    let chosen: Vec<&Mutant> = compiled
        .into_iter()
        .filter(|mutant| options.chooses(mutant))
        .collect();
    println!(
        "{}: {} mutants, {} of them to be tried (1 in {}, seed {})",
        options.package,
        all.len(),
        chosen.len(),
        options.sample,
        options.seed
    );
    let patience = tests.baseline()?;
    let mut survivors = Vec::new();
    let mut timeouts = 0_usize;
    for (done, mutant) in chosen.iter().enumerate() {
        match tests.run(mutant.number, patience)? {
            trial::Outcome::Noticed => {}
            trial::Outcome::TimedOut => timeouts += 1,
            trial::Outcome::Survived => {
                println!("survived  {mutant}");
                survivors.push(*mutant);
            }
        }
        if (done + 1) % 50 == 0 {
            println!(
                "… {} of {}, {} survived",
                done + 1,
                chosen.len(),
                survivors.len()
            );
        }
    }
    let noticed = chosen.len() - survivors.len();
    let share = 100.0 * noticed as f64 / chosen.len().max(1) as f64;
    println!(
        "{}: {noticed} of {} noticed ({share:.1} %), {timeouts} of them by running into the time limit; {} survived",
        options.package,
        chosen.len(),
        survivors.len()
    );
    Ok(())
}
