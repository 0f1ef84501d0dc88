//! One sink asked what it is, outside of any session: what `postern check` does.

use std::time::{Duration, Instant};

use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::{Endpoint, SinkTls};
use postern_proto::v1::{BindingProblem, ConfiguredBinding, DescribeResponse};

use crate::connection::{self, Connected, Target, connect};
use crate::settings::Settings;
use crate::tls_files::TlsFiles;

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
    let connected = within(settings, connected(sink, endpoint, tls, settings)).await?;
    Ok(Described {
        response: connected.response,
        user: connected.user,
        elapsed: began.elapsed(),
    })
}

/// Lets one replica look at bindings of its own, one at a time, each within the time for a connection. Returns what it
/// finds wrong with them.
///
/// # Errors
/// A fault that says in one line why it did not look.
pub async fn problems(
    sink: &str,
    endpoint: &Endpoint,
    tls: &SinkTls,
    settings: &Settings,
    bindings: Vec<ConfiguredBinding>,
) -> Result<Vec<BindingProblem>, Fault> {
    let connected = within(settings, connected(sink, endpoint, tls, settings)).await?;
    let mut found = Vec::new();
    for binding in bindings {
        let asked = connection::describe(&connected.channel, sink, settings, vec![binding]);
        found.extend(within(settings, asked).await?.problems);
    }
    Ok(found)
}

async fn connected(
    sink: &str,
    endpoint: &Endpoint,
    tls: &SinkTls,
    settings: &Settings,
) -> Result<Connected, Fault> {
    let target = Target {
        endpoint: endpoint.clone(),
        address: None,
    };
    connect(&target, &TlsFiles::new(tls.clone()), sink, settings).await
}

async fn within<T>(
    settings: &Settings,
    asked: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let limit = settings.fleet.connect_timeout;
    let late = |_| {
        Fault::new(
            FaultKind::Unreachable,
            format!("no description within {limit:?}"),
        )
    };
    tokio::time::timeout(limit, asked).await.map_err(late)?
}
