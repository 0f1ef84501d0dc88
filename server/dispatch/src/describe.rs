//! One sink asked what it is, outside of any session: what `postern check` does.

use std::time::Instant;

use postern_proto::v1::{DescribeRequest, DescribeResponse};

use crate::connection::{Connection, remote};
use crate::fault::{Fault, FaultKind};
use crate::plan::{Endpoint, SinkTls};
use crate::settings::Tuning;

/// The protocol version that this gateway speaks.
const PROTOCOL_VERSION: u32 = 1;

/// What a sink said of itself, and how long it took, name resolution and handshakes included.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its answer.
    pub response: DescribeResponse,
    /// From the first look-up to the answer.
    pub elapsed: std::time::Duration,
}

/// Asks one replica for its description, within [`Tuning::connect_timeout`].
///
/// # Errors
/// A fault that says in one line why there is no description.
pub async fn describe(
    endpoint: &Endpoint,
    tls: &SinkTls,
    tuning: &Tuning,
) -> Result<Described, Fault> {
    let began = Instant::now();
    let response = tokio::time::timeout(tuning.connect_timeout, ask(endpoint, tls, tuning))
        .await
        .map_err(|_| {
            let detail = format!("no description within {:?}", tuning.connect_timeout);
            Fault::new(FaultKind::Unreachable, detail)
        })??;
    if response.protocol_version == 0 {
        return Err(Fault::protocol("Describe names no protocol version"));
    }
    Ok(Described {
        response,
        elapsed: began.elapsed(),
    })
}

async fn ask(
    endpoint: &Endpoint,
    tls: &SinkTls,
    tuning: &Tuning,
) -> Result<DescribeResponse, Fault> {
    let remote = remote(endpoint, tls, tuning).await?;
    let request = DescribeRequest {
        gateway_version: concat!("postern ", env!("CARGO_PKG_VERSION")).to_owned(),
        protocol_version: PROTOCOL_VERSION,
    };
    let answer = Connection::lazy(&remote, 1)
        .client()
        .describe(request)
        .await;
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) if std::error::Error::source(&status).is_some() => {
            Err(Fault::new(FaultKind::Unreachable, cause(&status)))
        }
        Err(status) => Err(Fault::new(
            FaultKind::Protocol,
            format!("{:?}: {}", status.code(), status.message()),
        )),
    }
}

/// What stood in the way, without the layers that only pass it on.
fn cause(status: &tonic::Status) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let text = error.to_string();
        if text != "transport error" && !texts.contains(&text) {
            texts.push(text);
        }
        source = error.source();
    }
    if texts.is_empty() {
        status.message().to_owned()
    } else {
        texts.join(": ")
    }
}
