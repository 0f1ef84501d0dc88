//! One sink asked what it is, outside of any session: what `postern check` does.

use std::time::{Duration, Instant};

use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::{Endpoint, SinkTls};
use postern_proto::v1::DescribeResponse;

use crate::connection::{Target, connect};
use crate::settings::Settings;

/// What a sink said of itself, and how long it took, name resolution and handshakes included.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its answer.
    pub response: DescribeResponse,
    /// The user id of its process, where it answers on a Unix socket.
    pub user: Option<u32>,
    /// From the first look-up to the answer.
    pub elapsed: Duration,
}

/// Asks one replica for its description, within the time for a connection.
///
/// # Errors
/// A fault that says in one line why there is no description.
pub async fn describe(
    sink: &str,
    endpoint: &Endpoint,
    tls: &SinkTls,
    settings: &Settings,
) -> Result<Described, Fault> {
    let began = Instant::now();
    let target = Target {
        endpoint: endpoint.clone(),
        address: None,
    };
    let limit = settings.fleet.connect_timeout;
    let connected = tokio::time::timeout(limit, connect(&target, tls, sink, settings))
        .await
        .map_err(|_| {
            Fault::new(
                FaultKind::Unreachable,
                format!("no description within {limit:?}"),
            )
        })??;
    Ok(Described {
        response: connected.response,
        user: connected.user,
        elapsed: began.elapsed(),
    })
}
