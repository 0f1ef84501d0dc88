//! Sinks on this machine that anybody on it can take the place of.

use postern_config::Effective;
use postern_config::settings::sink::Endpoint;

use super::Concern;

/// A concern for each sink in use that is reached by a port of the loopback address, in plain text.
pub(super) fn concerns(effective: &Effective) -> Vec<Concern> {
    let config = &effective.config;
    let in_use = |name: &str| {
        let mut bindings = config.bindings.iter();
        bindings.any(|binding| binding.enabled && binding.sink == name)
    };
    let mut found = Vec::new();
    for sink in config.sinks.iter().filter(|sink| in_use(&sink.name)) {
        let open = |endpoint: &&Endpoint| {
            matches!(endpoint, Endpoint::Tcp { tls: false, .. }) && endpoint.is_private()
        };
        let Some(endpoint) = sink.endpoints.iter().find(open) else {
            continue;
        };
        found.push(Concern {
            error: effective.error_at(
                &["sink", &sink.name, "endpoint"],
                format!(
                    "{endpoint}: while this sink is down, any user of this machine can answer in its place, with its \
                     grants"
                ),
                "use a Unix socket in a folder that only the sink may write to, \
                 such as endpoint = \"unix:/run/NAME/sink.sock\", or TLS",
            ),
            severe: false,
        });
    }
    found
}
