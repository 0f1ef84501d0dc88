//! A served sink over real gRPC: many instances on a stream, heartbeats, draining, health, TLS.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use postern_sdk::v1::event_sink_client::EventSinkClient;
use postern_sdk::v1::{self, attach_request, attach_response, event};
use postern_sdk::{
    DeliveryResult, Fault, Mail, Options, ServeError, Sink, Verdict, delivery, inbound, serve, sink,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const TIME: Duration = Duration::from_secs(20);

/// Hangs on one sender, answers the others.
fn picky() -> Sink {
    async fn mail(mail: Mail) -> Result<Verdict, Fault> {
        match mail.sender().to_string().as_str() {
            "hang@example.test" => std::future::pending().await,
            "panic@example.test" => panic!("a bug"),
            _ => Ok(Verdict::proceed()),
        }
    }
    sink!().on(inbound::MAIL, mail)
}

pub(super) struct Served {
    channel: Channel,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::result::Result<(), ServeError>>,
}

async fn served(folder: &Path, more: &[&str]) -> Served {
    serving(picky(), folder, more).await
}

pub(super) async fn serving(sink: Sink, folder: &Path, more: &[&str]) -> Served {
    let listen = format!("--listen=unix:{}/sink.sock", folder.display());
    let options = Options::from_args([&[listen.as_str()], more].concat()).unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(serve(sink, options, async {
        stopped.await.ok();
    }));
    let endpoint = Endpoint::from_shared(format!("unix:{}/sink.sock", folder.display())).unwrap();
    let channel = loop {
        assert!(!serving.is_finished(), "{:?}", serving.await);
        match endpoint.connect().await {
            Ok(channel) => break channel,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    Served {
        channel,
        stop: Some(stop),
        serving,
    }
}

impl Served {
    pub(super) async fn attach(&self) -> Stream {
        let (frames, receiver) = mpsc::channel(64);
        let mut client = EventSinkClient::new(self.channel.clone());
        let answers = client
            .attach(ReceiverStream::new(receiver))
            .await
            .unwrap()
            .into_inner();
        Stream { frames, answers }
    }

    pub(super) async fn stopped(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        drop(self.channel);
        tokio::time::timeout(TIME, self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

pub(super) struct Stream {
    frames: mpsc::Sender<v1::AttachRequest>,
    answers: Streaming<v1::AttachResponse>,
}

impl Stream {
    async fn send(&self, instance_id: u64, kind: attach_request::Kind) {
        self.frames
            .send(v1::AttachRequest {
                instance_id,
                kind: Some(kind),
            })
            .await
            .unwrap();
    }

    /// Opens an instance, with the binding at the first one of the stream only.
    pub(super) async fn open(&self, instance_id: u64) {
        let binding = v1::Binding {
            name: "test".into(),
            ..Default::default()
        };
        let open = v1::Open {
            protocol_version: 1,
            scope: v1::Scope::InboundSession.into(),
            binding_revision: 9,
            binding: (instance_id == 1).then(|| Box::new(binding)),
            ..Default::default()
        };
        self.send(
            instance_id,
            attach_request::Kind::OpenInstance(Box::new(open)),
        )
        .await;
    }

    pub(super) async fn mail(&self, instance_id: u64, event_id: u64, sender: &'static str) {
        let envelope = v1::Envelope {
            reverse_path: Bytes::from_static(sender.as_bytes()),
            ..Default::default()
        };
        let body = v1::InboundMail {
            envelope: Some(envelope),
            ..Default::default()
        };
        let event = v1::Event {
            event_id,
            deadline: Some(prost_types::Duration {
                seconds: 5,
                nanos: 0,
            }),
            kind: Some(event::Kind::InboundMail(Box::new(body))),
            ..Default::default()
        };
        self.send(instance_id, attach_request::Kind::Event(Box::new(event)))
            .await;
    }

    pub(super) async fn next(&mut self) -> Option<(u64, attach_response::Kind)> {
        let frame = tokio::time::timeout(TIME, self.answers.message())
            .await
            .unwrap()
            .unwrap()?;
        Some((frame.instance_id, frame.kind.unwrap()))
    }

    #[track_caller]
    pub(super) fn is_verdict(
        frame: Option<(u64, attach_response::Kind)>,
        instance_id: u64,
        event_id: u64,
    ) {
        match frame {
            Some((instance, attach_response::Kind::Verdict(verdict))) => {
                assert_eq!((instance, verdict.event_id), (instance_id, event_id));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn one_slow_instance_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), &[]).await;
    let mut stream = served.attach().await;
    stream.open(1).await;
    stream.mail(1, 1, "hang@example.test").await;
    for instance_id in 2..200 {
        stream.open(instance_id).await;
        stream.mail(instance_id, 1, "a@example.test").await;
        let frame = stream.next().await;
        Stream::is_verdict(frame, instance_id, 1);
    }
    // A cancelled event gets no answer; the instance goes on.
    let cancel = v1::Cancel {
        event_id: 1,
        reason: v1::CancelReason::Deadline.into(),
    };
    stream.send(1, attach_request::Kind::Cancel(cancel)).await;
    stream.mail(1, 2, "a@example.test").await;
    let frame = stream.next().await;
    Stream::is_verdict(frame, 1, 2);
    drop(stream);
    served.stopped().await;
}

#[tokio::test]
async fn a_panic_costs_one_event_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), &[]).await;
    let mut stream = served.attach().await;
    stream.open(1).await;
    stream.mail(1, 1, "panic@example.test").await;
    match stream.next().await {
        Some((1, attach_response::Kind::Fault(fault))) => assert_eq!(fault.event_id, 1),
        other => panic!("{other:?}"),
    }
    stream.mail(1, 2, "a@example.test").await;
    let frame = stream.next().await;
    Stream::is_verdict(frame, 1, 2);
    drop(stream);
    served.stopped().await;
}

#[tokio::test]
async fn what_the_gateway_breaks_is_a_fault_of_that_instance() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), &[]).await;
    let mut stream = served.attach().await;
    // A binding that the stream has never seen.
    stream.open(2).await;
    match stream.next().await {
        Some((2, attach_response::Kind::Fault(fault))) => {
            assert_eq!(
                (fault.event_id, fault.kind()),
                (0, v1::FaultKind::ProtocolError)
            );
        }
        other => panic!("{other:?}"),
    }
    // An event of a later version of the protocol.
    stream.open(1).await;
    let deadline = Some(prost_types::Duration {
        seconds: 5,
        nanos: 0,
    });
    let unknown = v1::Event {
        event_id: 1,
        deadline,
        ..Default::default()
    };
    stream
        .send(1, attach_request::Kind::Event(Box::new(unknown)))
        .await;
    match stream.next().await {
        Some((1, attach_response::Kind::Fault(fault))) => {
            assert_eq!(fault.kind(), v1::FaultKind::UnknownEvent)
        }
        other => panic!("{other:?}"),
    }
    let heartbeat = v1::Heartbeat { sequence: 5 };
    stream
        .send(0, attach_request::Kind::Heartbeat(heartbeat))
        .await;
    assert_eq!(
        stream.next().await,
        Some((0, attach_response::Kind::Heartbeat(heartbeat)))
    );
    drop(stream);
    served.stopped().await;
}

#[tokio::test]
async fn a_told_event_that_wants_to_be_acknowledged_is() {
    let folder = tempfile::tempdir().unwrap();
    let heard = sink!().on(delivery::RESULT, async |_: DeliveryResult| {});
    let served = serving(heard, folder.path(), &[]).await;
    let mut stream = served.attach().await;
    stream.open(1).await;
    let event = |event_id, deadline| v1::Event {
        event_id,
        deadline,
        kind: Some(event::Kind::DeliveryResult(Box::default())),
        ..Default::default()
    };
    let deadline = Some(prost_types::Duration {
        seconds: 5,
        nanos: 0,
    });
    for event in [event(1, None), event(2, deadline)] {
        stream
            .send(1, attach_request::Kind::Event(Box::new(event)))
            .await;
    }
    let frame = stream.next().await;
    Stream::is_verdict(frame, 1, 2);
    drop(stream);
    served.stopped().await;
}

#[tokio::test]
async fn draining_lets_open_instances_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut served = served(folder.path(), &["--drain=1000s"]).await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(served.channel.clone());
    let asked = tonic_health::pb::HealthCheckRequest {
        service: "postern.v1.EventSink".into(),
    };
    let mut watch = health.watch(asked).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, 1, "serving");

    let mut stream = served.attach().await;
    stream.open(1).await;
    stream.mail(1, 1, "a@example.test").await;
    let frame = stream.next().await;
    Stream::is_verdict(frame, 1, 1);
    served.stop.take().unwrap().send(()).unwrap();

    match stream.next().await {
        Some((0, attach_response::Kind::GoAway(away))) => {
            assert_eq!(away.drain.unwrap().seconds, 1000)
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        watch.message().await.unwrap().unwrap().status,
        2,
        "not serving"
    );
    stream.mail(1, 2, "a@example.test").await;
    let frame = stream.next().await;
    Stream::is_verdict(frame, 1, 2);
    let close = v1::Close {
        reason: v1::CloseReason::Finished.into(),
        detail: String::new(),
    };
    stream
        .send(1, attach_request::Kind::CloseInstance(close))
        .await;
    assert_eq!(
        stream.next().await,
        None,
        "the stream ends when its last instance has"
    );
    // Those who still watch the health hold nothing up.
    tokio::time::timeout(TIME, served.serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!folder.path().join("sink.sock").exists());
    drop((stream, watch, health));
}

#[tokio::test]
async fn it_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let served = served(folder.path(), &[]).await;
    let mut client = EventSinkClient::new(served.channel.clone());
    let description = client
        .describe(v1::DescribeRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(description, picky().describe().unwrap());
    // It takes no properties, and says so of a binding that has some, when it is asked.
    let binding = |name: &str, properties: &'static [u8]| v1::ConfiguredBinding {
        name: name.to_owned(),
        properties_json: properties.into(),
        ..Default::default()
    };
    let request = v1::DescribeRequest {
        bindings: vec![binding("plain", b"{}"), binding("odd", b"{\"a\":1}")],
        ..Default::default()
    };
    let problems = client
        .describe(request)
        .await
        .unwrap()
        .into_inner()
        .problems;
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (&*problem.binding, &*problem.detail))
        .collect();
    assert_eq!(found, [("odd", "the sink takes no properties")]);
    assert!(description.instances_per_stream > 1);
    drop(client);
    served.stopped().await;
}

#[tokio::test]
async fn over_mutual_tls_only_known_gateways_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let sink = rcgen::generate_simple_self_signed(vec!["sink.example.test".to_owned()]).unwrap();
    let gateway =
        rcgen::generate_simple_self_signed(vec!["gateway.example.test".to_owned()]).unwrap();
    let cert = file("cert.pem", &sink.cert.pem());
    let key = file("key.pem", &sink.signing_key.serialize_pem());
    let client_ca = file("gateways.pem", &gateway.cert.pem());

    // A free port: taken and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let options = Options::from_args([
        format!("--listen=127.0.0.1:{port}"),
        format!("--tls-cert={cert}"),
        format!("--tls-key={key}"),
        format!("--tls-client-ca={client_ca}"),
    ])
    .unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(serve(picky(), options, async {
        stopped.await.ok();
    }));
    let trusting = ClientTlsConfig::new()
        .domain_name("sink.example.test")
        .ca_certificate(Certificate::from_pem(sink.cert.pem()));
    let known = trusting.clone().identity(Identity::from_pem(
        gateway.cert.pem(),
        gateway.signing_key.serialize_pem(),
    ));
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap();

    let with_identity = endpoint.clone().tls_config(known).unwrap();
    let channel = loop {
        assert!(!serving.is_finished());
        match with_identity.connect().await {
            Ok(channel) => break channel,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    EventSinkClient::new(channel)
        .describe(v1::DescribeRequest::default())
        .await
        .unwrap();

    // With TLS 1.3 the refusal comes with the first answer.
    let without = endpoint.tls_config(trusting).unwrap().connect_lazy();
    EventSinkClient::new(without)
        .describe(v1::DescribeRequest::default())
        .await
        .unwrap_err();
    stop.send(()).unwrap();
    tokio::time::timeout(TIME, serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
