//! Connections to peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_smtp::client::{
    Body, ClientName, Config, Delivery, Login, Protocol, Recipient, Transaction,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use tokio_rustls::TlsAcceptor;

use crate::testing::peer::Peer;
use crate::testing::{in_memory, message};
use crate::{
    Attempted, BoxFuture, Connection, ContentReader, Fate, Hop, HopAddress, OpenError,
    OwnListeners, SystemConnector, opportunistic,
};

fn hop(address: SocketAddr) -> Hop {
    Hop::new(
        false,
        HopAddress::Tcp(address.ip().to_string(), address.port()),
    )
}

fn peer(hop: Hop) -> crate::Peer {
    let protocol = if hop.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let config = Config::new(protocol, ClientName::new("client.test").unwrap());
    crate::Peer {
        hop,
        config: Arc::new(config),
        tls: opportunistic().unwrap(),
        ruled_out: Vec::new(),
        hooks: None,
    }
}

fn connector() -> SystemConnector {
    SystemConnector::new(Duration::from_secs(5), OwnListeners::default())
}

fn transaction(size: usize) -> Transaction {
    Transaction {
        sender: Bytes::from_static(b"from@sender.test"),
        recipients: vec![Recipient::new("to@peer.test")],
        size: size as u64,
        body: Body::SevenBit,
        smtp_utf8: false,
        ret: None,
        envelope_id: None,
        priority: 0,
    }
}

fn content(lines: usize) -> Bytes {
    let mut text = b"Subject: test\r\n\r\n".to_vec();
    for line in 0..lines {
        text.extend_from_slice(format!(".line {line} of the text\r\n").as_bytes());
    }
    text.into()
}

async fn send(connection: &mut Connection, content: &Bytes) -> Vec<Delivery> {
    let message = message(content, &["to@peer.test"], SystemTime::UNIX_EPOCH);
    let reader = ContentReader::new(&message.version, in_memory(content));
    connection
        .deliver(transaction(content.len()), reader, None)
        .await
        .unwrap()
        .recipients
}

fn acceptor() -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["peer.test".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn messages_share_a_connection_and_arrive_as_they_are() {
    for extensions in [&[][..], &["PIPELINING"], &["PIPELINING", "CHUNKING"]] {
        let server = Peer::with(extensions);
        let address = server.clone().listen().await;
        let mut connection = Connection::open(&peer(hop(address)), &connector())
            .await
            .unwrap();
        for lines in [3, 100_000] {
            let content = content(lines);
            let results = send(&mut connection, &content).await;
            assert!(matches!(results[0], Delivery::Accepted(_)), "{results:?}");
            assert_eq!(server.taken().last().unwrap().content, content);
        }
        connection.quit().await;
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn starttls_is_used_where_it_is_offered() {
    let server = Peer {
        tls: Some(acceptor()),
        ..Peer::with(&["PIPELINING"])
    };
    let address = server.clone().listen().await;
    let mut connection = Connection::open(&peer(hop(address)), &connector())
        .await
        .unwrap();
    assert!(connection.is_encrypted());
    let content = content(50_000);
    send(&mut connection, &content).await;
    let taken = server.taken();
    assert!(taken[0].encrypted && taken[0].content == content);
}

#[tokio::test]
async fn a_failed_handshake_is_told_apart_and_plain_text_is_a_new_connection() {
    let server = Peer {
        breaks_tls: true,
        ..Peer::with(&[])
    };
    let address = server.clone().listen().await;
    let peer = peer(hop(address));
    let failed = Connection::open(&peer, &connector()).await;
    assert!(matches!(failed, Err(OpenError::Handshake { .. })));
    let mut connection = Connection::open_plain(&peer, &connector(), None)
        .await
        .unwrap();
    assert!(!connection.is_encrypted());
    send(&mut connection, &content(1)).await;
    assert_eq!((server.taken().len(), server.connections()), (1, 2));
}

#[tokio::test]
async fn lmtp_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = Peer {
        lmtp: true,
        ..Peer::with(&["PIPELINING"])
    };
    let serving = server.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serving.serve(Box::new(stream)).await;
    });
    let hop = Hop::new(true, HopAddress::Unix(path));
    let mut connection = Connection::open(&peer(hop), &connector()).await.unwrap();
    let results = send(&mut connection, &content(1)).await;
    assert!(matches!(results[0], Delivery::Accepted(_)));
    assert_eq!(server.taken()[0].recipients, ["to@peer.test"]);
}

#[tokio::test]
async fn an_own_listener_is_not_connected_to() {
    let server = Peer::with(&[]);
    let address = server.clone().listen().await;
    let own = OwnListeners::default();
    own.add_tcp(SocketAddr::from(([0, 0, 0, 0], address.port())));
    let connector = SystemConnector::new(Duration::from_secs(5), own);
    let Err(OpenError::Connect(error)) = Connection::open(&peer(hop(address)), &connector).await
    else {
        panic!("connected to itself");
    };
    assert!(error.is_permanent() && error.status() == (4, 6), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_idle_connection_that_the_peer_closes_is_noticed() {
    let server = Peer::with(&[]);
    server.says("MAIL", &["421 too long"]);
    let address = server.clone().listen().await;
    let mut connection = Connection::open(&peer(hop(address)), &connector())
        .await
        .unwrap();
    send(&mut connection, &content(1)).await;
    tokio::time::timeout(Duration::from_secs(5), connection.closed())
        .await
        .unwrap();
    assert!(!connection.is_ready());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_costs_its_time_and_no_more() {
    let (near, _far) = tokio::io::duplex(64);
    let connector = Fixed(parking_lot::Mutex::new(Some(Box::new(near))));
    let start = tokio::time::Instant::now();
    let hop = Hop::new(false, HopAddress::Tcp("peer.test".to_owned(), 25));
    let opened = Connection::open(&peer(hop), &connector).await;
    assert!(matches!(opened, Err(OpenError::Session { .. })));
    assert_eq!(start.elapsed().as_secs(), 300);
}

/// Gives one stream to whoever connects.
struct Fixed(parking_lot::Mutex<Option<Box<dyn crate::Link>>>);

impl crate::Connector for Fixed {
    fn connect<'a>(
        &'a self,
        hop: &'a Hop,
    ) -> crate::BoxFuture<'a, Result<crate::Connected, crate::ConnectError>> {
        let link = self.0.lock().take().unwrap();
        Box::pin(std::future::ready(Ok(crate::Connected {
            host: hop.address.host().to_owned(),
            link,
            address: "memory".to_owned(),
            local: None,
        })))
    }
}

/// Several hosts behind one name, in their order.
struct Hosts(Vec<Peer>);

impl crate::Connector for Hosts {
    fn connect<'a>(
        &'a self,
        hop: &'a Hop,
    ) -> BoxFuture<'a, Result<crate::Connected, crate::ConnectError>> {
        self.connect_beyond(hop, &[])
    }

    fn connect_beyond<'a>(
        &'a self,
        hop: &'a Hop,
        ruled_out: &'a [String],
    ) -> BoxFuture<'a, Result<crate::Connected, crate::ConnectError>> {
        Box::pin(async move {
            let mut hosts = self.0.iter().enumerate();
            let next = hosts.find(|(number, _)| !ruled_out.contains(&number.to_string()));
            let Some((number, host)) = next else {
                return Err(crate::ConnectError::TimedOut {
                    address: hop.to_string(),
                });
            };
            let mut connected = host.connect(hop).await?;
            connected.address = number.to_string();
            Ok(connected)
        })
    }
}

#[tokio::test]
async fn a_host_that_has_no_session_to_give_is_ruled_out_and_the_next_one_is_tried() {
    let name = Hop::new(false, HopAddress::Tcp("peer.test".to_owned(), 25));
    for (command, said) in [
        ("CONNECT", "521 5.3.2 no mail here"),
        ("CONNECT", "554 5.7.1 you are on a list"),
        ("CONNECT", "421 4.3.2 full"),
        ("CONNECT", "this is no reply"),
        ("CONNECT", ""),
        ("EHLO", "421 4.3.2 full"),
        ("EHLO", "450 4.7.1 not you"),
    ] {
        let hosts = Hosts(vec![Peer::with(&[]), Peer::with(&[])]);
        hosts.0[0].says(command, &[said]);
        let mut connection = Connection::open(&peer(name.clone()), &hosts).await.unwrap();
        assert_eq!(connection.address(), "1", "{said}");
        let results = send(&mut connection, &content(1)).await;
        assert!(matches!(results[0], Delivery::Accepted(_)), "{results:?}");
    }
    // Open for no longer than it takes to say so is not open, and is no reason to come back at once.
    let hosts = Hosts(vec![Peer::with(&[])]);
    hosts.0[0].says("EHLO", &["250 welcome\r\n421 4.3.2 and goodbye"]);
    let closed = Connection::open(&peer(name.clone()), &hosts).await;
    assert!(matches!(closed, Err(OpenError::Session { .. })));
    // Where all are ruled out, what the last of them said is told, and each was tried once.
    let hosts = Hosts(vec![Peer::with(&[]), Peer::with(&[])]);
    hosts.0[0].says("CONNECT", &["521 no mail here"]);
    hosts.0[1].says("CONNECT", &["554 nor here"]);
    let Err(OpenError::Session {
        address, failure, ..
    }) = Connection::open(&peer(name), &hosts).await
    else {
        panic!("neither wants a session");
    };
    assert!(address == "1" && failure.to_string().contains("554 nor here"));
    assert!(hosts.0.iter().all(|host| host.connections() == 1));
}

#[tokio::test]
async fn a_host_that_cannot_check_a_password_now_is_ruled_out_and_a_wrong_one_is_wrong_everywhere()
{
    let mut ours = peer(Hop::new(false, HopAddress::Tcp("peer.test".to_owned(), 25)));
    let mut config = Config::clone(&ours.config);
    config.login = Some(Login::new("me", "sesame").unwrap());
    config.login_in_clear = true;
    ours.config = Arc::new(config);
    let two = || {
        Hosts(vec![
            Peer::with(&["AUTH PLAIN"]),
            Peer::with(&["AUTH PLAIN"]),
        ])
    };
    for said in ["454 4.7.0 not now", "421 4.3.2 full", ""] {
        let hosts = two();
        hosts.0[0].says("AUTH", &[said]);
        hosts.0[1].says("AUTH", &["235 2.7.0 welcome"]);
        let connection = Connection::open(&ours, &hosts).await.unwrap();
        assert_eq!(connection.address(), "1", "{said}");
    }
    let hosts = two();
    hosts.0[0].says("AUTH", &["535 5.7.8 me, sesame is wrong"]);
    let Err(error) = Connection::open(&ours, &hosts).await else {
        panic!("it is refused")
    };
    assert_eq!(hosts.0[1].connections(), 0);
    let Attempted { fate, status } = Attempted::from_open_error(&error, SystemTime::UNIX_EPOCH);
    assert_eq!(fate, Fate::Deferred);
    assert_eq!((status.code, status.enhanced), (Some(535), Some((4, 7, 8))));
    let logged = error.to_string();
    assert!(logged.contains("535 5.7.8"), "{logged}");
    assert!(
        !logged.contains("sesame") && !status.text.contains("sesame"),
        "{logged}, {status:?}"
    );
}

#[tokio::test]
async fn a_question_that_a_session_asks_takes_the_default() {
    let server = Peer::with(&["PIPELINING"]);
    let address = server.clone().listen().await;
    let mut peer = peer(hop(address));
    let mut config = Config::clone(&peer.config);
    config.questions = postern_smtp::client::Questions::ALL;
    peer.config = Arc::new(config);
    let mut connection = Connection::open(&peer, &connector()).await.unwrap();
    for _ in 0..2 {
        let results = send(&mut connection, &content(3)).await;
        assert!(matches!(results[0], Delivery::Accepted(_)), "{results:?}");
    }
    connection.quit().await;
    assert_eq!(server.taken().len(), 2);
}
