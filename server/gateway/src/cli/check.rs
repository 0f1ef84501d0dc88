//! `postern check`: whether the whole can work, before it has to.

mod accept;
mod consent;
mod hops;
mod listing;
mod problems;
mod properties;
mod reach;
mod report;
mod spool;

use std::collections::HashMap;
use std::time::SystemTime;

use clap::Args;
use postern_config::Effective;

use self::consent::Consent;
use self::hops::Hops;
use self::listing::Listing;
use self::reach::Reached;
use self::report::Report;
use super::{ConfigFile, Exit, output};
use crate::{plan, preflight, sink_advice};

/// Arguments of `postern check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  postern check --offline            Configuration, certificates, rules and accepted descriptions only
  postern check                      Asks each sink and next hop too, and shows what the sinks ask for
  postern check --accept footer      Accepts what the sink of the binding \"footer\" asks for now
  postern check --accept             The same for every binding, but for sinks that are others than before
  postern check --strict             Warnings are errors too, and a next hop that is away

What is accepted is written to the state folder, and only while the configuration has no error. The last line says
whether it is well. Exit codes: 0 well, 64 usage, 69 a sink (with --strict also a next hop) cannot be reached,
73 what was accepted cannot be written, 78 the configuration is wrong.")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask no sink and no next hop
    #[arg(long, conflicts_with = "accept")]
    offline: bool,
    /// Accept what the sink of this binding asks for now, or those of all bindings; may be repeated. Bindings without
    /// `events` and `may` get it from then on
    #[arg(long, value_name = "BINDING", num_args = 0..=1, default_missing_value = consent::ALL)]
    accept: Vec<String>,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
}

pub(crate) fn run(args: &CheckArgs) -> Exit {
    let mut report = Report::new(args.strict);
    let effective = match args.file.read() {
        Ok(effective) => effective,
        Err(errors) => {
            errors.iter().for_each(|error| report.wrong(error));
            return report.finish();
        }
    };
    let consent = match Consent::of(&args.accept, &effective) {
        Ok(consent) => consent,
        Err(line) => {
            output::complain(&line);
            return Exit::Usage;
        }
    };
    for error in preflight::files(&effective) {
        report.wrong(&error);
    }
    for concern in preflight::concerns(&effective, SystemTime::now()) {
        match concern.severe {
            true => report.wrong(&concern.error),
            false => report.warning(&concern.error),
        }
    }
    let spool = spool::look(&effective, &mut report);
    let (hops, reached) = match args.offline {
        true => {
            report.leave_out("; no sink and no next hop was asked");
            (Hops::default(), HashMap::new())
        }
        false => (
            Hops::ask(&effective, &mut report),
            reach_all(&effective, &mut report),
        ),
    };
    let (bound, pins) = accept::bindings(&effective, &consent, &reached, &mut report);
    if let Some(bound) = &bound {
        for warning in bound.warnings() {
            report.warning(&plan::located_warning(&effective, warning));
        }
    }
    let listing = Listing {
        effective: &effective,
        plan: bound.as_ref(),
        pins: &pins,
        reached: &reached,
        hops: &hops,
        spool: &spool,
    };
    report.list(listing.to_string());
    report.finish()
}

/// Asks every sink that an enabled binding uses. What fails is a line each; the others are still asked.
fn reach_all(effective: &Effective, report: &mut Report) -> HashMap<String, Reached> {
    let (reached, failures) = match reach::all(&effective.config) {
        Ok(results) => results,
        Err(error) => {
            let line = format!("no runtime to ask the sinks with: {error}");
            report.error(Exit::Software, &line);
            return HashMap::new();
        }
    };
    for (sink, endpoint, why) in failures {
        let advice = sink_advice::for_failure(&endpoint, &why)
            .unwrap_or("start the sink or correct the endpoint");
        report.unreachable(&effective.error_at(
            &["sink", &sink, "endpoint"],
            format!("{endpoint} cannot be reached: {why}"),
            advice,
        ));
    }
    reached
}
