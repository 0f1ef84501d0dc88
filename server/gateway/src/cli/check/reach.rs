//! Asking the sinks what they are.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use postern_config::Config;
use postern_dispatch::describe::{Described, describe};
use postern_dispatch::settings::Settings as DispatchSettings;
use postern_events::plan::{Endpoint, SinkSpec};
use postern_proto::v1::DescribeResponse;

/// A sink of which at least one replica answered.
pub(super) struct Reached {
    /// What its first replica said.
    pub(super) response: DescribeResponse,
    /// Those that answered.
    pub(super) replicas: Vec<Replica>,
}

/// A replica that answered.
pub(super) struct Replica {
    /// Where it is.
    pub(super) endpoint: String,
    /// What it calls itself.
    pub(super) name: String,
    /// The user id of its process, where it answers on a Unix socket.
    pub(super) user: Option<u32>,
    /// The time that it took.
    pub(super) elapsed: Duration,
    /// It describes itself in another way than the first.
    pub(super) differs: bool,
}

impl Reached {
    /// The user ids of its processes on Unix sockets, each once.
    pub(super) fn users(&self) -> Vec<u32> {
        let mut users: Vec<u32> = self.replicas.iter().filter_map(|own| own.user).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// One without replicas, for tests.
    #[cfg(test)]
    pub(super) fn saying(response: DescribeResponse) -> Self {
        Self {
            response,
            replicas: Vec::new(),
        }
    }
}

/// Sink, endpoint, and why it cannot be reached.
pub(super) type Failure = (String, String, String);

/// Asks all replicas of the sinks that an enabled binding uses, all at the same time.
pub(super) fn all(config: &Config) -> std::io::Result<(HashMap<String, Reached>, Vec<Failure>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let spec = crate::plan::spec(config);
    let used = |sink: &&SinkSpec| {
        spec.bindings
            .iter()
            .any(|binding| binding.enabled && binding.sink == sink.name)
    };
    let sinks: Vec<_> = spec.sinks.iter().filter(used).collect();
    let answers = runtime.block_on(join_all(sinks.iter().map(|sink| ask(sink))));
    // A look-up of a name that hangs is left behind.
    runtime.shutdown_background();
    let mut reached = HashMap::new();
    let mut failures = Vec::new();
    for (sink, answers) in sinks.iter().zip(answers) {
        for (endpoint, answer) in answers {
            match answer {
                Ok(described) => note(&mut reached, sink, endpoint, described),
                Err(why) => failures.push((sink.name.clone(), endpoint, why)),
            }
        }
    }
    Ok((reached, failures))
}

fn note(
    reached: &mut HashMap<String, Reached>,
    sink: &SinkSpec,
    endpoint: String,
    described: Described,
) {
    let Described {
        response,
        user,
        elapsed,
    } = described;
    let name = response.name.clone();
    let entry = reached.entry(sink.name.clone()).or_insert_with(|| Reached {
        response: response.clone(),
        replicas: Vec::new(),
    });
    let differs = entry.response != response;
    entry.replicas.push(Replica {
        endpoint,
        name,
        user,
        elapsed,
        differs,
    });
}

async fn ask(sink: &SinkSpec) -> Vec<(String, Result<Described, String>)> {
    let settings = DispatchSettings::default();
    let one = async |text: &String| {
        let answer = match Endpoint::parse(text, sink.plaintext) {
            Ok(endpoint) => describe(&sink.name, &endpoint, &sink.tls, &settings)
                .await
                .map_err(|fault| fault.detail),
            Err(error) => Err(error.to_string()),
        };
        (text.clone(), answer)
    };
    join_all(sink.endpoints.iter().map(one)).await
}
