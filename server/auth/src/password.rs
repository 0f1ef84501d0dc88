//! Passwords, and what is kept of them: argon2id (RFC 9106) in the usual text form.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use stringprep::saslprep;

/// Longest password in octets.
const MAX_PASSWORD: usize = 1024;

/// Octets of a hash.
const OUTPUT: usize = 32;

/// Octets of a salt that is read.
const MAX_SALT: usize = 64;

/// Most memory and passes that a hash in a file may ask for: a check must not take a machine down.
const MAX_MEMORY: u32 = 256 << 10;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// What is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing, or more than 1024 octets.
    #[error("a password has 1 to {MAX_PASSWORD} octets")]
    Length,
    /// Characters that a password cannot have (RFC 4013).
    #[error("a password is UTF-8 without control characters and others that SASLprep forbids")]
    Characters,
}

/// What is no hash that can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not `$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    #[error("is not an argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")]
    Form,
    /// It would take too much to check.
    #[error("asks for more than 256 MiB, 16 passes or 16 lanes")]
    Cost,
}

/// A password, prepared (RFC 4013). It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Prepares what a client sent or an operator typed.
    ///
    /// # Errors
    /// [`PasswordError`]
    pub fn parse(octets: &[u8]) -> Result<Self, PasswordError> {
        if octets.is_empty() || octets.len() > MAX_PASSWORD {
            return Err(PasswordError::Length);
        }
        let text = std::str::from_utf8(octets).map_err(|_| PasswordError::Characters)?;
        let text = saslprep(text).map_err(|_| PasswordError::Characters)?;
        if text.is_empty() {
            return Err(PasswordError::Length);
        }
        Ok(Self(text.into_owned()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// What a hash takes to make and to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// 19 MiB and two passes.
impl Default for Cost {
    fn default() -> Self {
        Self {
            memory: 19 << 10,
            passes: 2,
            lanes: 1,
        }
    }
}

impl Cost {
    fn hasher(self) -> Result<Argon2<'static>, HashError> {
        let most = self.memory > MAX_MEMORY || self.passes > MAX_PASSES || self.lanes > MAX_LANES;
        if most {
            return Err(HashError::Cost);
        }
        let params = Params::new(self.memory, self.passes, self.lanes, Some(OUTPUT));
        let params = params.map_err(|_| HashError::Form)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// An argon2id hash with its salt and cost. To check one takes some 30 ms and the memory of its cost.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    cost: Cost,
    salt: Vec<u8>,
    output: [u8; OUTPUT],
}

impl PasswordHash {
    /// Hashes a password. Takes as long as a check.
    ///
    /// # Errors
    /// [`HashError`]: the cost is out of bounds.
    pub fn make(password: &Password, salt: [u8; 16], cost: Cost) -> Result<Self, HashError> {
        let output = derive(password, &salt, cost)?;
        Ok(Self {
            cost,
            salt: salt.to_vec(),
            output,
        })
    }

    /// One that belongs to no password, and takes as long to check.
    #[must_use]
    pub fn of_nobody(output: [u8; OUTPUT], salt: [u8; 16], cost: Cost) -> Self {
        Self {
            cost,
            salt: salt.to_vec(),
            output,
        }
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`HashError`]
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let mut parts = text.split('$');
        let mut part = || parts.next().ok_or(HashError::Form);
        if (part()?, part()?, part()?) != ("", "argon2id", "v=19") {
            return Err(HashError::Form);
        }
        let cost = parse_cost(part()?).ok_or(HashError::Form)?;
        let decode = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| HashError::Form);
        let (salt, output) = (decode(part()?)?, decode(part()?)?);
        let output = output.try_into().map_err(|_| HashError::Form)?;
        if parts.next().is_some() || !(8..=MAX_SALT).contains(&salt.len()) {
            return Err(HashError::Form);
        }
        cost.hasher()?;
        Ok(Self { cost, salt, output })
    }

    /// Whether it is the hash of this password.
    #[must_use]
    pub fn is_of(&self, password: &Password) -> bool {
        derive(password, &self.salt, self.cost)
            .is_ok_and(|output| verify_slices_are_equal(&output, &self.output).is_ok())
    }

    /// What a check takes.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.cost
    }
}

/// The text form.
impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost {
            memory,
            passes,
            lanes,
        } = self.cost;
        let (salt, output) = (
            STANDARD_NO_PAD.encode(&self.salt),
            STANDARD_NO_PAD.encode(self.output),
        );
        write!(
            f,
            "$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${output}"
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

fn derive(password: &Password, salt: &[u8], cost: Cost) -> Result<[u8; OUTPUT], HashError> {
    let mut output = [0; OUTPUT];
    cost.hasher()?
        .hash_password_into(password.as_bytes(), salt, &mut output)
        .map_err(|_| HashError::Form)?;
    Ok(output)
}

/// `m=19456,t=2,p=1`
fn parse_cost(text: &str) -> Option<Cost> {
    let mut parts = text.split(',');
    let mut number = |key: &str| {
        let value = parts.next()?.strip_prefix(key)?;
        let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| value.parse().ok()).flatten()
    };
    let cost = Cost {
        memory: number("m=")?,
        passes: number("t=")?,
        lanes: number("p=")?,
    };
    parts.next().is_none().then_some(cost)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CHEAP: Cost = Cost {
        memory: 64,
        passes: 1,
        lanes: 1,
    };

    fn password(text: &str) -> Password {
        Password::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_hash_is_of_its_password_alone() {
        let hash = PasswordHash::make(&password("s\u{e9}cret"), [7; 16], CHEAP).unwrap();
        assert!(hash.is_of(&password("s\u{e9}cret")));
        // Composed in another way, which is the same to who types it.
        assert!(hash.is_of(&password("se\u{301}cret")));
        for wrong in ["secret", "s\u{e9}cret ", "S\u{e9}cret"] {
            assert!(!hash.is_of(&password(wrong)), "{wrong}");
        }
        let read = PasswordHash::parse(&hash.to_string()).unwrap();
        assert_eq!(read, hash);
        assert!(!PasswordHash::of_nobody([0; 32], [7; 16], CHEAP).is_of(&password("x")));
    }

    /// Made by the reference implementation (argon2-cffi): of "password" with these costs.
    #[test]
    fn hashes_of_others_are_read() {
        let text =
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let hash = PasswordHash::parse(text).unwrap();
        assert!(hash.is_of(&password("password")));
        assert_eq!(hash.to_string(), text);
    }

    #[test]
    fn what_is_no_hash() {
        let good = PasswordHash::make(&password("x"), [7; 16], CHEAP)
            .unwrap()
            .to_string();
        for (from, to, error) in [
            ("argon2id", "argon2i", HashError::Form),
            ("v=19", "v=16", HashError::Form),
            ("m=64", "m=x", HashError::Form),
            ("m=64", "m=+64", HashError::Form),
            (",t=1", "", HashError::Form),
            ("p=1$", "p=1$$", HashError::Form),
            ("m=64", "m=2097152", HashError::Cost),
            ("t=1", "t=4000000", HashError::Cost),
        ] {
            let text = good.replacen(from, to, 1);
            assert_eq!(PasswordHash::parse(&text).unwrap_err(), error, "{text}");
        }
        assert!(PasswordHash::parse("").is_err());
        assert!(PasswordHash::parse("secret").is_err());
    }

    #[test]
    fn what_is_no_password() {
        for octets in [&b""[..], b"\xff", b"a\0b", &[b'a'; 1025]] {
            assert!(Password::parse(octets).is_err());
        }
        assert!(!format!("{:?}", password("secret")).contains("secret"));
    }
}
