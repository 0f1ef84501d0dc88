//! How a replica is connected, and what it says of itself then.

use std::sync::Arc;

use postern_proto::v1::{DescribeRequest, DescribeResponse};
use tonic::transport::Endpoint as Remote;

use crate::connection::{Connection, remote};
use crate::fault::{Fault, FaultKind};
use crate::observer::What;
use crate::stream::describe;

use super::{CREDIT_DEFAULT, CREDIT_MAX, Described, PROTOCOL_VERSION, Phase, Replica};

impl Replica {
    pub(super) async fn connect(self: Arc<Self>) {
        let attempt = self.try_connect();
        let result = match tokio::time::timeout(self.tuning.connect_timeout, attempt).await {
            Ok(result) => result,
            Err(_) => Err(Fault::new(
                FaultKind::Unreachable,
                format!(
                    "no connection and description within {:?}",
                    self.tuning.connect_timeout
                ),
            )),
        };
        match result {
            Ok((remote, connection, response)) => self.came_up(remote, connection, &response),
            Err(fault) => self.went_down(&fault),
        }
    }

    pub(super) async fn try_connect(
        &self,
    ) -> Result<(Remote, Connection, DescribeResponse), Fault> {
        let remote = remote(&self.endpoint, &self.sink.tls, &self.tuning).await?;
        let connection = Connection::lazy(&remote, self.tuning.streams_per_connection);
        let request = DescribeRequest {
            gateway_version: concat!("postern ", env!("CARGO_PKG_VERSION")).to_owned(),
            protocol_version: PROTOCOL_VERSION,
        };
        let response = connection
            .client()
            .describe(request)
            .await
            .map_err(|status| Fault::new(FaultKind::Unreachable, describe(&status)))?
            .into_inner();
        if response.protocol_version == 0 {
            return Err(Fault::protocol("Describe names no protocol version"));
        }
        Ok((remote, connection, response))
    }

    pub(super) fn came_up(
        &self,
        remote: Remote,
        connection: Connection,
        response: &DescribeResponse,
    ) {
        let credit = match u64::from(response.initial_credit_bytes) {
            0 => CREDIT_DEFAULT,
            octets => octets.min(CREDIT_MAX),
        };
        let described = Described {
            instances_per_stream: (response.instances_per_stream as usize).max(1),
            initial_credit: credit,
            wants_settled: response.wants_settled,
        };
        {
            let mut state = self.state.lock();
            state.phase = Phase::Up;
            state.described = Some(Arc::new(described));
            state.remote = Some(remote);
            state.connections = vec![connection];
        }
        self.changed.notify_waiters();
        let clean = |text: &str| {
            text.chars()
                .filter(|c| !c.is_control())
                .take(63)
                .collect::<String>()
        };
        let description = format!("{} {}", clean(&response.name), clean(&response.version));
        self.observe(
            "",
            What::ReplicaUp {
                description: description.trim(),
            },
        );
        self.compare(response);
    }

    /// What the sink asks for beyond what its bindings were given stays ungiven, and is reported.
    pub(super) fn compare(&self, response: &DescribeResponse) {
        for binding in self.bindings.iter() {
            let given = binding.grants.words();
            let more: Vec<&str> = response
                .grants
                .iter()
                .map(String::as_str)
                .filter(|word| !matches!(*word, "reject" | "tempfail" | "quarantine"))
                .filter(|word| !given.iter().any(|own| own.eq_ignore_ascii_case(word)))
                .filter(|word| {
                    !(word.starts_with("headers:") && given.iter().any(|own| own == "headers"))
                })
                .collect();
            if !more.is_empty() {
                let more: String = more
                    .join(", ")
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(1024)
                    .collect();
                self.observe(&binding.name, What::AsksForMore { what: &more });
            }
        }
    }
}
