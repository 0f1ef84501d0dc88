//! `postern check`: whether the whole can work, before it has to.

mod accept;
mod hops;
mod listing;
mod problems;
mod properties;
mod reach;
mod spool;

use std::collections::HashMap;

use clap::Args;
use postern_config::Effective;
use postern_events::plan::{Pin, Plan};

use self::reach::Reached;
use super::{ConfigFile, Exit, output};
use crate::{accepted, plan, preflight};

/// Arguments of `postern check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  postern check --offline     Configuration, certificates, rules and accepted descriptions only
  postern check               Asks each sink too; 69 if one cannot be reached
  postern check --accept      Accepts what the sinks ask for now, and writes it to the state folder;
                              run it as the user that runs the gateway")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask no sink
    #[arg(long, conflicts_with = "accept")]
    offline: bool,
    /// Accept what each sink asks for now: bindings without `events` and `may` get it from then on
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(args: &CheckArgs) -> Exit {
    let effective = match args.file.load() {
        Ok(effective) => effective,
        Err(exit) => return exit,
    };
    let mut findings = Findings::default();
    for error in preflight::files(&effective) {
        findings.wrong(&error);
    }
    if let Some(error) = spool::check(&effective) {
        findings.wrong(&error);
    }
    if !args.offline {
        for line in hops::away(&effective) {
            findings.note(&line);
        }
    }
    let reached = if args.offline {
        HashMap::new()
    } else {
        reach_all(&effective, &mut findings)
    };
    let pins = pins(&effective, args.accept, &reached, &mut findings);
    if let Some(pins) = pins {
        let misfits = properties::check(&effective, &reached);
        misfits.iter().for_each(|(_, error)| findings.wrong(error));
        match plan::build(&effective, &pins) {
            Ok(plan) => {
                let known: Vec<&str> = misfits.iter().map(|(binding, _)| *binding).collect();
                look(&effective, &plan, &reached, &known, &mut findings);
                for warning in plan.warnings() {
                    findings.note(&format!("note: {warning}"));
                }
                for line in accept::asks_for_more(&plan, &pins, &reached) {
                    findings.note(&line);
                }
                let shown = output::print(&listing::listing(&effective, &plan, &pins, &reached));
                findings.raise(shown);
            }
            Err(errors) => {
                errors.iter().for_each(|error| findings.wrong(error));
                for line in accept::not_accepted(&effective, &pins, &reached) {
                    findings.note(&line);
                }
            }
        }
    }
    findings.exit
}

/// What was found so far. Every finding is printed when it is found.
struct Findings {
    exit: Exit,
}

impl Default for Findings {
    fn default() -> Self {
        Self { exit: Exit::Ok }
    }
}

impl Findings {
    /// The configuration is wrong.
    fn wrong(&mut self, line: &dyn std::fmt::Display) {
        output::complain(line);
        self.raise(Exit::Config);
    }

    /// A sink cannot be reached.
    fn unreachable(&mut self, line: &dyn std::fmt::Display) {
        output::complain(line);
        self.raise(Exit::Unavailable);
    }

    /// Worth knowing.
    fn note(&mut self, line: &dyn std::fmt::Display) {
        output::complain(line);
    }

    /// A configuration that is wrong weighs more than a sink that is away: it does not pass by itself.
    fn raise(&mut self, exit: Exit) {
        if self.exit == Exit::Ok || exit == Exit::Config {
            self.exit = exit;
        }
    }
}

/// Asks every sink that an enabled binding uses. What fails is a line each; the others are still asked.
fn reach_all(effective: &Effective, findings: &mut Findings) -> HashMap<String, Reached> {
    let (reached, failures) = match reach::all(&effective.config) {
        Ok(results) => results,
        Err(error) => {
            findings.note(&format!("no runtime to ask the sinks with: {error}"));
            findings.raise(Exit::Software);
            return HashMap::new();
        }
    };
    for (sink, endpoint, why) in failures {
        let advice = "start the sink or correct the endpoint";
        let error = effective.error_at(
            &["sink", &sink, "endpoint"],
            format!("{endpoint} cannot be reached: {why}"),
            reach::advice(&endpoint, &why).unwrap_or(advice),
        );
        findings.unreachable(&error);
    }
    reached
}

/// Lets the sinks look at their bindings. `known` are wrong anyhow.
fn look(
    effective: &Effective,
    plan: &Plan,
    reached: &HashMap<String, Reached>,
    known: &[&str],
    findings: &mut Findings,
) {
    match problems::ask(effective, plan, reached, known) {
        Ok(found) => {
            found.notes.iter().for_each(|line| findings.note(line));
            found.wrong.iter().for_each(|error| findings.wrong(error));
        }
        Err(error) => {
            findings.note(&format!("no runtime to ask the sinks with: {error}"));
            findings.raise(Exit::Software);
        }
    }
}

/// The accepted descriptions, those accepted just now among them. `None` when they cannot be used.
fn pins(
    effective: &Effective,
    accept: bool,
    reached: &HashMap<String, Reached>,
    findings: &mut Findings,
) -> Option<HashMap<String, Pin>> {
    let config = &effective.config;
    let names = config.bindings.iter().map(|binding| binding.name.as_str());
    let mut pins = match accepted::load(&config.spool.path, names) {
        Ok(pins) => pins,
        Err(errors) => {
            errors.iter().for_each(|error| findings.wrong(error));
            return None;
        }
    };
    if !accept {
        return Some(pins);
    }
    for binding in config.bindings.iter().filter(|binding| binding.enabled) {
        let Some(sink) = reached.get(&binding.sink) else {
            continue;
        };
        let (pin, left_out) = accept::pin(&sink.response);
        for line in left_out {
            findings.note(&format!("note: binding.{}: {line}", binding.name));
        }
        let schema = &sink.response.properties_schema;
        let stored = accepted::store_schema(&config.spool.path, &binding.name, schema);
        if stored.is_ok() && pins.get(&binding.name) == Some(&pin) {
            continue;
        }
        let stored = stored.and_then(|()| accepted::store(&config.spool.path, &binding.name, &pin));
        if let Err(error) = stored {
            output::complain(&error);
            findings.raise(Exit::CantCreate);
            return None;
        }
        findings.note(&format!(
            "accepted: binding.{}: {} {}",
            binding.name, pin.name, pin.version
        ));
        pins.insert(binding.name.clone(), pin);
    }
    Some(pins)
}
