//! Connections to one replica: how they are made, and how many streams each may carry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use postern_proto::v1::event_sink_client::EventSinkClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint as Remote, Identity};

use crate::fault::{Fault, FaultKind};
use crate::plan::{Endpoint, SinkTls};
use crate::settings::{FRAME_MAX_BYTES, Tuning};

/// Window of one stream for what the sink sends, in octets.
const STREAM_WINDOW: u32 = 1 << 20;

/// Window of one connection for what the sink sends, in octets.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// One HTTP/2 connection.
pub(crate) struct Connection {
    client: EventSinkClient<Channel>,
    slots: Arc<()>,
    limit: usize,
}

/// The place of one stream on a connection; free again when dropped.
pub(crate) struct Slot {
    _place: Arc<()>,
}

impl Connection {
    /// A connection that is made when it is first used.
    pub(crate) fn lazy(remote: &Remote, limit: usize) -> Self {
        let client = EventSinkClient::new(remote.connect_lazy())
            .max_decoding_message_size(FRAME_MAX_BYTES)
            .max_encoding_message_size(FRAME_MAX_BYTES);
        Self {
            client,
            slots: Arc::new(()),
            limit: limit.max(1),
        }
    }

    /// A place for one more stream, if the peer's usual limit leaves one.
    pub(crate) fn slot(&self) -> Option<(EventSinkClient<Channel>, Slot)> {
        let used = Arc::strong_count(&self.slots).saturating_sub(1);
        (used < self.limit).then(|| {
            (
                self.client.clone(),
                Slot {
                    _place: Arc::clone(&self.slots),
                },
            )
        })
    }

    /// No stream is on it.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.slots) == 1
    }

    /// The client, for a short call.
    pub(crate) fn client(&self) -> EventSinkClient<Channel> {
        self.client.clone()
    }
}

/// The settings of connections to an endpoint. Reads the TLS files anew.
pub(crate) async fn remote(
    endpoint: &Endpoint,
    tls: &SinkTls,
    tuning: &Tuning,
) -> Result<Remote, Fault> {
    let (address, secure, host) = match endpoint {
        Endpoint::Url { tls, host, port } | Endpoint::Dns { tls, host, port } => {
            let scheme = if *tls { "https" } else { "http" };
            let host_part = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            (
                format!("{scheme}://{host_part}:{port}"),
                *tls,
                host.as_str(),
            )
        }
        Endpoint::Unix(path) => (format!("unix:{}", path.display()), false, "localhost"),
    };
    let mut remote = Remote::from_shared(address)
        .map_err(|error| unusable(&error))?
        .connect_timeout(tuning.connect_timeout)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(tuning.keep_alive_interval))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(16 << 10);
    if secure {
        remote = remote
            .tls_config(tls_config(tls, host).await?)
            .map_err(|error| unusable(&error))?;
    }
    Ok(remote)
}

async fn tls_config(tls: &SinkTls, host: &str) -> Result<ClientTlsConfig, Fault> {
    let name = tls.server_name.as_deref().unwrap_or(host);
    let mut config = ClientTlsConfig::new().domain_name(name);
    config = match &tls.ca {
        Some(path) => config.ca_certificate(Certificate::from_pem(read(path).await?)),
        None => config.with_enabled_roots(),
    };
    if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        config = config.identity(Identity::from_pem(read(cert).await?, read(key).await?));
    }
    Ok(config)
}

async fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let path: PathBuf = path.to_owned();
    let text = path.display().to_string();
    // The read goes to the blocking pool.
    match tokio::task::spawn_blocking(move || std::fs::read(path)).await {
        Ok(Ok(octets)) => Ok(octets),
        Ok(Err(error)) => Err(Fault::new(
            FaultKind::Unreachable,
            format!("cannot read {text}: {error}"),
        )),
        Err(error) => Err(Fault::new(
            FaultKind::Unreachable,
            format!("cannot read {text}: {error}"),
        )),
    }
}

fn unusable(error: &tonic::transport::Error) -> Fault {
    Fault::new(FaultKind::Unreachable, with_sources(error))
}

/// An error with what caused it, in one line: the outermost alone says little.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
