//! What the sinks themselves find wrong with their bindings, beyond what a schema can say.

use std::collections::HashMap;

use futures_util::future::join_all;
use postern_config::{ConfigError, Effective};
use postern_dispatch::describe::problems;
use postern_dispatch::settings::Settings as DispatchSettings;
use postern_events::plan::{Binding, Endpoint, Plan, SinkSpec};
use postern_proto::rules::bounds;
use postern_proto::v1::{BindingProblem, ConfiguredBinding};

use super::reach::Reached;
use crate::log::shown::is_unseen;

/// Characters of a sink's text that are shown.
const SHOWN: usize = 1000;

/// Octets of properties that fit into the frame that opens an instance, with all else that is in it.
const PROPERTIES: usize = bounds::FRAME_BYTES - (64 << 10);

/// What was found: errors, and notes about sinks that did not look.
#[derive(Default)]
pub(super) struct Found {
    pub(super) wrong: Vec<ConfigError>,
    pub(super) notes: Vec<String>,
}

/// Lets every sink that was reached look at its bindings, except for those that are known to be wrong.
pub(super) fn ask(
    effective: &Effective,
    plan: &Plan,
    reached: &HashMap<String, Reached>,
    known: &[&str],
) -> std::io::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let spec = crate::plan::spec(&effective.config);
    let mut found = Found::default();
    let is_too_long = |binding: &Binding| binding.properties_json.len() > PROPERTIES;
    for binding in plan.bindings().iter().filter(|own| is_too_long(own)) {
        let octets = binding.properties_json.len();
        found.wrong.push(effective.error_at(
            &["binding", &binding.name, "properties"],
            format!("{octets} octets as JSON, a sink takes {PROPERTIES}"),
            "shorten them",
        ));
    }
    let asked = spec.sinks.iter().filter_map(|sink| {
        let endpoint = &reached.get(&sink.name)?.replicas.first()?.endpoint;
        let of_sink = |binding: &&std::sync::Arc<Binding>| {
            *binding.sink.name == *sink.name
                && !known.contains(&&*binding.name)
                && !is_too_long(binding)
        };
        let bindings: Vec<_> = plan.bindings().iter().filter(of_sink).collect();
        let bindings: Vec<_> = bindings.into_iter().map(|own| configured(own)).collect();
        (!bindings.is_empty()).then(|| one(sink, endpoint, bindings))
    });
    let answers = runtime.block_on(join_all(asked));
    runtime.shutdown_background();
    for (sink, answer) in answers {
        match answer {
            Ok(problems) => found.wrong.extend(
                problems
                    .iter()
                    .map(|problem| error(effective, &sink, problem)),
            ),
            Err(why) => found.notes.push(format!(
                "sink.{sink}: it did not look at its bindings: {why}"
            )),
        }
    }
    Ok(found)
}

async fn one(
    sink: &SinkSpec,
    endpoint: &str,
    bindings: Vec<ConfiguredBinding>,
) -> (String, Result<Vec<BindingProblem>, String>) {
    let settings = DispatchSettings::default();
    let answer = match Endpoint::parse(endpoint, sink.plaintext) {
        Ok(endpoint) => problems(&sink.name, &endpoint, &sink.tls, &settings, bindings)
            .await
            .map_err(|fault| fault.detail),
        Err(error) => Err(error.to_string()),
    };
    (sink.name.clone(), answer)
}

fn configured(binding: &Binding) -> ConfiguredBinding {
    let wire = binding.wire();
    ConfiguredBinding {
        name: wire.name,
        events: wire.events,
        properties_json: wire.properties_json,
        reads: wire.reads,
        grants: wire.grants,
    }
}

fn error(effective: &Effective, sink: &str, problem: &BindingProblem) -> ConfigError {
    let detail: String = problem
        .detail
        .chars()
        .map(|c| if is_unseen(c) { ' ' } else { c })
        .take(SHOWN)
        .collect();
    let known = effective.config.bindings.iter();
    let mut known = known.filter(|binding| binding.name == problem.binding && binding.sink == sink);
    match known.next() {
        Some(binding) => effective.error_at(
            &["binding", &binding.name, "properties"],
            detail,
            format!("the sink \"{sink}\" says so"),
        ),
        None => effective.error_at(
            &["sink", sink],
            "it complains of a binding that it was not asked about",
            "correct the sink",
        ),
    }
}
