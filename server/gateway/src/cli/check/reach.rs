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
    /// Replicas that answered, as they are configured, with the time that it took.
    pub(super) replicas: Vec<(String, Duration)>,
    /// Replicas that describe themselves in another way than the first.
    pub(super) different: Vec<String>,
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

/// What to do about a failure whose words are a library's.
pub(super) fn advice(endpoint: &str, why: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| why.contains(word));
    let tls = endpoint.starts_with("https://");
    Some(
        if !tls && says(&["frame with invalid size", "invalid HTTP", "http2 error"]) {
            "what answers there speaks no plain HTTP/2; if it is the sink over TLS, write https://"
        } else if tls && says(&["InvalidContentType", "corrupt message", "received corrupt"]) {
            "what answers there speaks no TLS; if it is the sink in plain text, write http://"
        } else if says(&["CaUsedAsEndEntity"]) {
            "the sink shows the certificate of an authority as its own; issue it one that is not marked CA:TRUE"
        } else if says(&["UnknownIssuer"]) {
            "the sink's certificate leads to none of the authorities in tls.ca; name the file with the one that issued it"
        } else if says(&["NotValidForName"]) {
            "the sink's certificate is for another name; set tls.server_name to the one that it is for"
        } else if says(&["Expired"]) {
            "the sink's certificate has expired; renew it"
        } else if says(&["CertificateRequired", "certificate required"]) {
            "the sink wants a certificate of ours; set tls.cert and tls.key"
        } else {
            return None;
        },
    )
}

fn note(
    reached: &mut HashMap<String, Reached>,
    sink: &SinkSpec,
    endpoint: String,
    described: Described,
) {
    let response = described.response;
    let entry = reached.entry(sink.name.clone()).or_insert_with(|| Reached {
        response: response.clone(),
        replicas: Vec::new(),
        different: Vec::new(),
    });
    if entry.response != response {
        entry.different.push(endpoint.clone());
    }
    entry.replicas.push((endpoint, described.elapsed));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_libraries_come_with_what_to_do() {
        for (endpoint, why, part) in [
            (
                "http://a:1",
                "http2 error: frame with invalid size",
                "https://",
            ),
            (
                "https://a:1",
                "received corrupt message of type InvalidContentType",
                "http://",
            ),
            (
                "https://a:1",
                "invalid peer certificate: Other(CaUsedAsEndEntity)",
                "CA:TRUE",
            ),
            (
                "https://a:1",
                "invalid peer certificate: UnknownIssuer",
                "tls.ca",
            ),
            (
                "https://a:1",
                "invalid peer certificate: NotValidForName",
                "tls.server_name",
            ),
        ] {
            let advice = advice(endpoint, why).unwrap_or_default();
            assert!(advice.contains(part), "{why}: {advice}");
        }
        assert_eq!(advice("http://a:1", "connection refused"), None);
    }
}
