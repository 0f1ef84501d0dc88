#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::{Verdict, inbound};

fn nothing() -> Sink {
    Sink::new("nothing", "1.2.3").on(inbound::MAIL, async || Verdict::proceed())
}

fn parsed(arguments: &[&str]) -> Result<Options, OptionsError> {
    Options::from_args(arguments)
}

#[test]
fn flags_are_read_and_named_in_errors() {
    let options = parsed(&["--listen", "unix:/run/x.sock", "--drain", "500ms"]).unwrap();
    assert_eq!(options.listen, Address::Unix("/run/x.sock".into()));
    assert_eq!(options.drain, Duration::from_millis(500));

    for (arguments, told) in [
        (["--drain", "10"], "--drain: a unit is missing"),
        (["--listen", "7001"], "--listen: HOST:PORT or unix:/path"),
        (["--listen", "unix:relative"], "an absolute path"),
        (["--tls-cert", "x.pem"], "--tls-cert: needs --tls-key"),
        (["--lisen", "127.0.0.1:1"], "--lisen: there is no such flag"),
        (
            ["--listen-mode", "0660"],
            "--listen-mode: needs --listen unix:",
        ),
        (
            ["--listen-mode", "rw-rw----"],
            "--listen-mode: an octal number",
        ),
        (["--listen-mode", "1777"], "--listen-mode: an octal number"),
        (["--log-format", "xml"], "--log-format: text or json"),
    ] {
        let error = parsed(&arguments).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let error = parsed(&["--listen"]).unwrap_err().to_string();
    assert_eq!(error, "--listen: a value must follow");
}

#[tokio::test]
async fn what_cannot_be_served_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem").display().to_string();
    let options = parsed(&["--tls-cert", &missing, "--tls-key", &missing]).unwrap();
    let error = serve(nothing(), options, std::future::pending())
        .await
        .unwrap_err();
    assert!(
        matches!(&error, ServeError::File { path, .. } if path == Path::new(&missing)),
        "{error}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let options = parsed(&["--listen", &address]).unwrap();
    let error = serve(nothing(), options, std::future::pending())
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
    let incoming = Incoming::bind(&address, None).await.unwrap();
    assert!(
        Incoming::bind(&address, None).await.is_err(),
        "one that is answered on is not"
    );
    drop(incoming);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_has_the_mode_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sink.sock");
    let listen = format!("unix:{}", path.display());
    for mode in ["0660", "600", "0666"] {
        let options = parsed(&["--listen", &listen, "--listen-mode", mode]).unwrap();
        let incoming = Incoming::bind(&options.listen, options.listen_mode).await;
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, u32::from_str_radix(mode, 8).unwrap());
        assert!(tokio::net::UnixStream::connect(&path).await.is_ok());
        drop(incoming);
    }
}

#[tokio::test]
async fn what_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    std::fs::write(&path, "mine").unwrap();
    let bound = Incoming::bind(&Address::Unix(path.clone()), Some(0o660)).await;
    assert!(bound.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
