#![allow(clippy::unwrap_used, clippy::panic)]

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn known(name: &str) -> ScramVerifier {
    let iterations = NonZeroU32::new(7).unwrap();
    match name {
        "anna" => {
            let password = Password::parse(b"pencil").unwrap();
            ScramVerifier::make(&password, [3; 16], iterations)
        }
        other => ScramVerifier::of_nobody(&[1; 32], other, iterations),
    }
}

fn begin(mechanism: Mechanism, response: Option<&[u8]>) -> Result<Step, Malformed> {
    Exchange::new(mechanism).step(response, known, &[0; NONCE])
}

fn challenge(step: Result<Step, Malformed>) -> (Bytes, Exchange) {
    match step {
        Ok(Step::Challenge(challenge, next)) => (challenge, next),
        other => panic!("{other:?}"),
    }
}

fn is_anna(step: Result<Step, Malformed>) -> bool {
    let Ok(Step::Check(credentials)) = step else {
        panic!("{step:?}")
    };
    let claim = credentials.claim;
    credentials.password == Password::parse(b"pencil").ok()
        && claim.name == UserName::parse("anna").ok()
        && !claim.for_another
}

#[test]
fn plain_in_one_step_or_two() {
    assert!(is_anna(begin(Mechanism::Plain, Some(b"\0anna\0pencil"))));
    assert!(is_anna(begin(
        Mechanism::Plain,
        Some(b"Anna\0anna\0pencil")
    )));
    let (empty, next) = challenge(begin(Mechanism::Plain, None));
    assert!(empty.is_empty());
    assert!(is_anna(next.step(
        Some(b"\0anna\0pencil"),
        known,
        &[0; NONCE]
    )));
    let Ok(Step::Check(credentials)) = begin(Mechanism::Plain, Some(b"boss\0anna\0pencil")) else {
        panic!()
    };
    assert!(credentials.claim.for_another);
    for bad in [
        &b""[..],
        b"anna",
        b"\0anna",
        b"\0anna\0pencil\0",
        b"\0\xff\0pencil",
    ] {
        assert!(begin(Mechanism::Plain, Some(bad)).is_err());
    }
    let Ok(Step::Check(credentials)) = begin(Mechanism::Plain, Some(b"\0anna\0")) else {
        panic!()
    };
    assert!(credentials.password.is_none());
}

#[test]
fn login_with_and_without_an_initial_response() {
    let (question, next) = challenge(begin(Mechanism::Login, None));
    assert_eq!(question, "Username:");
    let (question, next) = challenge(next.step(Some(b"anna"), known, &[0; NONCE]));
    assert_eq!(question, "Password:");
    assert!(is_anna(next.step(Some(b"pencil"), known, &[0; NONCE])));
    let (question, next) = challenge(begin(Mechanism::Login, Some(b"anna")));
    assert_eq!(question, "Password:");
    assert!(is_anna(next.step(Some(b"pencil"), known, &[0; NONCE])));
}

/// A client of its own making.
struct Client<'a> {
    name: &'a str,
    password: &'a str,
}

impl Client<'_> {
    fn last(&self, first: &str, challenge: &Bytes) -> String {
        let challenge = std::str::from_utf8(challenge).unwrap();
        let parts: Vec<&str> = challenge.split(',').map(|own| &own[2..]).collect();
        let salt = STANDARD.decode(parts[1]).unwrap();
        let mut salted = [0; 32];
        let iterations = parts[2].parse().unwrap();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(
            algorithm,
            iterations,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let mac = |key: &[u8], text: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
                .as_ref()
                .to_vec()
        };
        let client_key = mac(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let without = format!("c=biws,r={}", parts[0]);
        let said = format!("{first},{challenge},{without}");
        let signature = mac(stored_key.as_ref(), said.as_bytes());
        let proof: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        format!("{without},p={}", STANDARD.encode(proof))
    }

    fn run(&self) -> Step {
        let first = format!("n={},r=abc", self.name);
        let (reply, next) = challenge(begin(
            Mechanism::ScramSha256,
            Some(format!("n,,{first}").as_bytes()),
        ));
        let last = self.last(&first, &reply);
        match next
            .step(Some(last.as_bytes()), known, &[0; NONCE])
            .unwrap()
        {
            Step::Challenge(_, next) => next.step(Some(b""), known, &[0; NONCE]).unwrap(),
            over => over,
        }
    }
}

#[test]
fn scram_knows_who_knows_the_password() {
    let run = |name, password| Client { name, password }.run();
    let Step::Proved(claim) = run("anna", "pencil") else {
        panic!()
    };
    assert_eq!(claim.name, UserName::parse("anna").ok());
    assert!(matches!(run("ANNA", "pencil"), Step::Proved(_)));
    assert!(matches!(run("anna", "pencils"), Step::Failed(_)));
    assert!(matches!(run("nobody", "pencil"), Step::Failed(_)));
}

#[test]
fn whose_proof_comes_next_is_known_before_it_is_checked() {
    let claimed = |exchange: &Exchange| exchange.claim().and_then(|claim| claim.name.clone());
    assert!(Exchange::new(Mechanism::ScramSha256).claim().is_none());
    let (reply, next) = challenge(begin(Mechanism::ScramSha256, Some(b"n,,n=anna,r=abc")));
    assert_eq!(claimed(&next), UserName::parse("anna").ok());
    let client = Client {
        name: "anna",
        password: "pencil",
    };
    let last = client.last("n=anna,r=abc", &reply);
    let (_, end) = challenge(next.step(Some(last.as_bytes()), known, &[0; NONCE]));
    assert!(end.claim().is_none());
    let (_, login) = challenge(begin(Mechanism::Login, Some(b"anna")));
    assert!(login.claim().is_none());
}

#[test]
fn an_answer_to_the_last_message_of_scram_is_empty() {
    let first = "n=anna,r=abc";
    let client = Client {
        name: "anna",
        password: "pencil",
    };
    for answer in [None, Some(&b"x"[..])] {
        let (reply, next) = challenge(begin(Mechanism::ScramSha256, Some(b"n,,n=anna,r=abc")));
        let last = client.last(first, &reply);
        let (verifier, next) = challenge(next.step(Some(last.as_bytes()), known, &[0; NONCE]));
        assert!(verifier.starts_with(b"v="));
        assert!(next.step(answer, known, &[0; NONCE]).is_err());
    }
}

#[test]
fn names_are_registered() {
    for mechanism in Mechanism::ALL {
        assert_eq!(
            Mechanism::named(mechanism.name().as_bytes()),
            Some(mechanism)
        );
    }
    assert_eq!(Mechanism::named(b"CRAM-MD5"), None);
}

proptest! {
    /// No sequence of messages that is not the right one proves anything, and challenges have room on a line.
    #[test]
    fn nothing_else_proves_anything(
        mechanism in prop_oneof![Just(Mechanism::Plain), Just(Mechanism::Login), Just(Mechanism::ScramSha256)],
        messages in proptest::collection::vec(prop_oneof![
            "n,,n=anna,r=[a-z]{1,128}", "c=biws,r=[a-zA-Z=]{1,40},p=[A-Za-z0-9+/]{43}=", "[ -~]{0,40}", Just(String::new()),
        ], 0..6))
    {
        let mut exchange = Exchange::new(mechanism);
        for message in messages {
            match exchange.step(Some(message.as_bytes()), known, &[5; NONCE]) {
                Ok(Step::Challenge(challenge, next)) => {
                    prop_assert!(challenge.len() <= postern_smtp::server::MAX_CHALLENGE);
                    exchange = next;
                }
                Ok(Step::Proved(_)) => return Err(TestCaseError::fail("proved")),
                _ => break,
            }
        }
    }
}
