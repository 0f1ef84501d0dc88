//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: verifiers, messages, proofs.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::exchange::Malformed;
use crate::password::Password;

/// Octets of a key.
const KEY: usize = 32;

/// Octets of randomness in our part of the nonce.
pub const NONCE: usize = 18;

/// Longest part of the nonce that a client may give, in octets.
const MAX_CLIENT_NONCE: usize = 128;

/// Longest salt in octets: with it a challenge still has room on one line.
const MAX_SALT: usize = 64;

/// What is kept of a password for SCRAM: the password cannot be had from it but by guessing.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: [u8; KEY],
    server_key: [u8; KEY],
}

impl ScramVerifier {
    /// Makes one from a password.
    #[must_use]
    pub fn make(password: &Password, salt: [u8; 16], iterations: NonZeroU32) -> Self {
        let mut salted = [0; KEY];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            &salt,
            password.as_bytes(),
            &mut salted,
        );
        let client_key = mac(&salted, b"Client Key");
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: hash(&client_key),
            server_key: mac(&salted, b"Server Key"),
        }
    }

    /// One that belongs to no password: always the same for a name and a secret, so that nobody can tell it from the
    /// verifier of a user by asking twice.
    #[must_use]
    pub fn of_nobody(secret: &[u8; KEY], name: &str, iterations: NonZeroU32) -> Self {
        let derived = |what: &str| mac(secret, format!("{what}\0{name}").as_bytes());
        let mut salt = derived("salt").to_vec();
        salt.truncate(16);
        Self {
            iterations,
            salt,
            stored_key: derived("stored key"),
            server_key: derived("server key"),
        }
    }

    /// How often the password is hashed.
    #[must_use]
    pub const fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the parts in base64 (RFC 5803).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (parameters, keys) = rest.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        let salt = STANDARD.decode(salt).ok()?;
        if salt.is_empty() || salt.len() > MAX_SALT {
            return None;
        }
        Some(Self {
            iterations: iterations.parse().ok()?,
            salt,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// Our signature over the exchange, if the client's proof is right.
    fn verify(&self, said: &str, proof: &[u8; KEY]) -> Option<[u8; KEY]> {
        let signature = mac(&self.stored_key, said.as_bytes());
        let mut client_key = *proof;
        for (own, other) in client_key.iter_mut().zip(signature) {
            *own ^= other;
        }
        verify_slices_are_equal(&hash(&client_key), &self.stored_key).ok()?;
        Some(mac(&self.server_key, said.as_bytes()))
    }
}

/// The form of a file.
impl fmt::Display for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramVerifier")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The client's first message.
pub(crate) struct ClientFirst {
    /// What the message begins with: nothing about channels, and whom the client acts for.
    gs2_header: String,
    /// The rest of it.
    bare: String,
    nonce: String,
    pub(crate) name: String,
    /// Whom the client acts for, if it says so.
    pub(crate) acts_for: Option<String>,
}

impl ClientFirst {
    /// Reads `n,[a=name],n=name,r=nonce`, or `y` in front: we offer no channel binding.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Malformed> {
        const BAD: Malformed = Malformed("no first message of SCRAM");
        let message = std::str::from_utf8(message).map_err(|_| BAD)?;
        let mut parts = message.splitn(3, ',');
        let mut part = || parts.next().ok_or(BAD);
        let (flag, authorization, bare) = (part()?, part()?, part()?);
        if !matches!(flag, "n" | "y") {
            return Err(Malformed("channel binding is not offered"));
        }
        let acts_for = match authorization.strip_prefix("a=") {
            Some(name) => Some(unescape(name).ok_or(BAD)?),
            None if authorization.is_empty() => None,
            None => return Err(BAD),
        };
        let mut attributes = bare.split(',');
        // An extension that must be understood (`m=`) stands in front of the name, and none is.
        let name = attributes.next().and_then(|own| own.strip_prefix("n="));
        let name = name.and_then(unescape).ok_or(BAD)?;
        let nonce = attributes.next().and_then(|own| own.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_nonce(nonce)).ok_or(BAD)?;
        if !attributes.all(is_extension) {
            return Err(BAD);
        }
        Ok(Self {
            gs2_header: format!("{flag},{authorization},"),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
            name,
            acts_for,
        })
    }

    /// Our first message, and what is awaited after it.
    pub(crate) fn reply(self, verifier: ScramVerifier, nonce: &[u8; NONCE]) -> (Bytes, Awaited) {
        let nonce = format!("{}{}", self.nonce, STANDARD.encode(nonce));
        let salt = STANDARD.encode(&verifier.salt);
        let first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let awaited = Awaited {
            channel: STANDARD.encode(self.gs2_header),
            said: format!("{},{first}", self.bare),
            nonce,
            verifier,
        };
        (Bytes::from(first), awaited)
    }
}

/// What the client's last message has to fit.
pub(crate) struct Awaited {
    channel: String,
    said: String,
    nonce: String,
    verifier: ScramVerifier,
}

impl Awaited {
    /// Reads `c=channel,r=nonce,p=proof`. Our last message if the proof is right, `None` if it is not.
    pub(crate) fn verify(&self, message: &[u8]) -> Result<Option<Bytes>, Malformed> {
        const BAD: Malformed = Malformed("no last message of SCRAM");
        let message = std::str::from_utf8(message).map_err(|_| BAD)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(BAD)?;
        let mut attributes = without_proof.split(',');
        let channel = attributes.next().and_then(|own| own.strip_prefix("c="));
        let nonce = attributes.next().and_then(|own| own.strip_prefix("r="));
        let (channel, nonce) = channel.zip(nonce).ok_or(BAD)?;
        if !attributes.all(is_extension) {
            return Err(BAD);
        }
        let proof = STANDARD.decode(proof).map_err(|_| BAD)?;
        let proof: [u8; KEY] = proof.try_into().map_err(|_| BAD)?;
        let said = format!("{},{without_proof}", self.said);
        let signature = self.verifier.verify(&said, &proof);
        let fits = channel == self.channel && nonce == self.nonce;
        let signature = signature.filter(|_| fits);
        Ok(signature.map(|own| Bytes::from(format!("v={}", STANDARD.encode(own)))))
    }
}

fn mac(key: &[u8; KEY], message: &[u8]) -> [u8; KEY] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    sized(tag.as_ref())
}

fn hash(octets: &[u8; KEY]) -> [u8; KEY] {
    sized(digest::digest(&digest::SHA256, octets).as_ref())
}

fn sized(octets: &[u8]) -> [u8; KEY] {
    let mut out = [0; KEY];
    for (own, other) in out.iter_mut().zip(octets) {
        *own = *other;
    }
    out
}

/// A `saslname`: `=2C` is a comma, `=3D` an equals sign.
fn unescape(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return None,
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    (!plain.is_empty() && !plain.contains('\0')).then_some(plain)
}

fn is_nonce(text: &str) -> bool {
    (1..=MAX_CLIENT_NONCE).contains(&text.len())
        && text.bytes().all(|b| matches!(b, 0x21..=0x2b | 0x2d..=0x7e))
}

/// `x=value`, which means nothing to us.
fn is_extension(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b'=', _, ..] if letter.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text.as_bytes()).unwrap()
    }

    /// The example of RFC 7677 3.
    #[test]
    fn the_example_of_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = ScramVerifier::make(
            &password("pencil"),
            salt.try_into().unwrap(),
            NonZeroU32::new(4096).unwrap(),
        );
        let awaited = Awaited {
            channel: STANDARD.encode("n,,"),
            said: "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                   s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
                .to_owned(),
            nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
            verifier,
        };
        let last = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let signature = awaited.verify(last).unwrap().unwrap();
        assert_eq!(signature, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        // Another nonce, another channel, another proof.
        for (from, to) in [("$k0", "$k1"), ("biws", "eSws"), ("p=dH", "p=eH")] {
            let changed = String::from_utf8(last.to_vec()).unwrap().replace(from, to);
            assert_eq!(
                awaited.verify(changed.as_bytes()).unwrap(),
                None,
                "{changed}"
            );
        }
    }

    #[test]
    fn a_verifier_is_written_and_read() {
        let verifier = ScramVerifier::make(&password("x"), [9; 16], NonZeroU32::new(4096).unwrap());
        let text = verifier.to_string();
        assert_eq!(ScramVerifier::parse(&text), Some(verifier));
        for (from, to) in [
            ("256$", "1$"),
            ("4096", "0"),
            ("4096", "-1"),
            (":", ";"),
            ("=$", "$"),
        ] {
            assert_eq!(
                ScramVerifier::parse(&text.replacen(from, to, 1)),
                None,
                "{to}"
            );
        }
    }

    #[test]
    fn who_is_nobody_has_the_same_salt_each_time() {
        let of = |secret: u8, name| {
            ScramVerifier::of_nobody(&[secret; 32], name, NonZeroU32::new(10).unwrap())
        };
        assert_eq!(of(1, "a"), of(1, "a"));
        assert_ne!(of(1, "a").salt, of(1, "b").salt);
        assert_ne!(of(1, "a").salt, of(2, "a").salt);
        assert_eq!(of(1, "a").salt.len(), 16);
    }

    #[test]
    fn first_messages() {
        let first = ClientFirst::parse(b"n,,n=a=2Cb=3Dc,r=x,z=ext").unwrap();
        assert_eq!((first.name.as_str(), first.acts_for), ("a,b=c", None));
        let first = ClientFirst::parse(b"y,a=boss,n=anna,r=x").unwrap();
        assert_eq!(first.acts_for.as_deref(), Some("boss"));
        for bad in [
            "",
            "n",
            "n,,",
            "n,,n=a",
            "n,,n=,r=x",
            "n,,n=a=2,r=x",
            "n,,n=a=2c,r=x",
            "n,,r=x,n=a",
            "n,,n=a,r=",
            "n,x,n=a,r=x",
            "p=tls-exporter,,n=a,r=x",
            "n,,m=1,n=a,r=x",
            "n,,n=a,r=x y",
            "n,,n=a,r=x,",
            "n,a=,n=a,r=x",
        ] {
            assert!(ClientFirst::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let long = format!("n,,n=a,r={}", "x".repeat(129));
        assert!(ClientFirst::parse(long.as_bytes()).is_err());
        assert!(ClientFirst::parse(b"n,,n=\xff,r=x").is_err());
    }
}
