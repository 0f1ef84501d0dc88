#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;
use crate::{Description, EventKind};

struct Nothing;

impl Sink for Nothing {
    fn describe(&self) -> Description {
        Description::new("nothing", "1.2.3").on(EventKind::InboundMail)
    }
}

fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
    let arguments = std::iter::once("nothing").chain(arguments.iter().copied());
    options(&Nothing, arguments.map(OsString::from))
}

#[test]
fn flags_are_read_and_named_in_errors() {
    let options = parsed(&["--listen", "unix:/run/x.sock", "--drain", "500ms"]).unwrap();
    assert_eq!(options.listen, Address::Unix("/run/x.sock".into()));
    assert_eq!(options.drain, Duration::from_millis(500));

    for (arguments, told) in [
        (["--drain", "10"], "a unit is missing"),
        (["--listen", "7001"], "HOST:PORT or unix:/path"),
        (["--listen", "unix:relative"], "an absolute path"),
        (["--tls-cert", "x.pem"], "--tls-key"),
    ] {
        let error = parsed(&arguments).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    assert!(
        parsed(&["--version"])
            .unwrap_err()
            .to_string()
            .contains("1.2.3")
    );
}

#[tokio::test]
async fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem").display().to_string();
    let options = parsed(&["--tls-cert", &missing, "--tls-key", &missing]).unwrap();
    let error = serve(Nothing, options, std::future::pending())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ServeError::File { path, .. } if path == Path::new(&missing)),
        "{error}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let options = parsed(&["--listen", &address]).unwrap();
    let error = serve(Nothing, options, std::future::pending())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot listen on {address}: ")),
        "{error}"
    );
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sink.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let address = Address::Unix(path.clone());
    let incoming = Incoming::bind(&address).await.unwrap();
    assert!(
        Incoming::bind(&address).await.is_err(),
        "one that is answered on is not"
    );
    drop(incoming);
    assert!(!path.exists());
}
