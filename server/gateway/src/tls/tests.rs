#![allow(clippy::unwrap_used)]
use super::*;

fn write_pair(folder: &Path, name: &str) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let files = CertificateFiles {
        cert: folder.join(format!("{name}.crt")),
        key: folder.join(format!("{name}.key")),
    };
    fs::write(&files.cert, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    files
}

fn der(files: &CertificateFiles) -> CertificateDer<'static> {
    load_chain(&files.cert).unwrap().remove(0)
}

#[test]
fn the_certificate_is_chosen_by_name_and_the_first_one_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path(), "mx.example.test");
    let second = write_pair(folder.path(), "mail.example.org");
    let tls = ServerTls::load(vec![first.clone(), second.clone()]).unwrap();
    let chosen = |name| tls.resolver.choose(name).unwrap().cert[0].clone();
    assert_eq!(chosen(Some("mail.example.org")), der(&second));
    assert_eq!(chosen(Some("mx.example.test")), der(&first));
    assert_eq!(chosen(Some("other.example.test")), der(&first));
    assert_eq!(chosen(None), der(&first));
}

#[test]
fn a_key_of_another_certificate_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    let one = write_pair(folder.path(), "one.test");
    let two = write_pair(folder.path(), "two.test");
    let mixed = CertificateFiles {
        cert: one.cert,
        key: two.key,
    };
    let error = ServerTls::load(vec![mixed]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{text}");
    assert!(
        text.contains("one.test.crt") && text.contains("two.test.key"),
        "{text}"
    );
}

#[test]
fn missing_and_empty_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = write_pair(folder.path(), "good.test");
    let absent = CertificateFiles {
        cert: folder.path().join("absent.crt"),
        key: good.key.clone(),
    };
    assert!(matches!(
        ServerTls::load(vec![absent]),
        Err(TlsError::Read { .. })
    ));
    let empty = folder.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let no_cert = CertificateFiles {
        cert: empty.clone(),
        key: good.key,
    };
    assert!(matches!(
        ServerTls::load(vec![no_cert]),
        Err(TlsError::NoCertificate(_))
    ));
    let no_key = CertificateFiles {
        cert: good.cert,
        key: empty,
    };
    assert!(matches!(
        ServerTls::load(vec![no_key]),
        Err(TlsError::NoKey(_))
    ));
}

#[test]
fn a_new_file_is_taken_and_a_broken_one_leaves_the_old() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_pair(folder.path(), "mx.example.test");
    let tls = ServerTls::load(vec![files.clone()]).unwrap();
    let before = der(&files);
    write_pair(folder.path(), "mx.example.test");
    let after = der(&files);
    assert_ne!(before, after);
    tls.reload().unwrap();
    assert_eq!(tls.resolver.choose(None).unwrap().cert[0], after);
    fs::write(&files.cert, "-----BEGIN CERTIFICATE-----\nnot base64!\n").unwrap();
    assert!(tls.reload().is_err());
    assert_eq!(tls.resolver.choose(None).unwrap().cert[0], after);
}
