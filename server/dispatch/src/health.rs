//! What a sink's health service says while the connection lasts (grpc.health.v1).

use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Watches the whole server's state: whether it serves, each time that changes. The last that is said is `None`: there
/// is no such service, or the watch has ended, and the sink has to be probed otherwise.
pub(crate) async fn watch<T: Copy>(
    channel: Channel,
    name: T,
    states: mpsc::Sender<(T, Option<bool>)>,
) {
    let request = HealthCheckRequest {
        service: String::new(),
    };
    if let Ok(response) = HealthClient::new(channel).watch(request).await {
        let mut statuses = response.into_inner();
        while let Ok(Some(status)) = statuses.message().await {
            let serves = match status.status() {
                ServingStatus::Serving => Some(true),
                ServingStatus::NotServing => Some(false),
                // The service has not registered itself: it says nothing.
                ServingStatus::Unknown | ServingStatus::ServiceUnknown => None,
            };
            if states.send((name, serves)).await.is_err() {
                return;
            }
        }
    }
    // Nobody listens where the connection was given up.
    let _unheard = states.send((name, None)).await.is_err();
}
