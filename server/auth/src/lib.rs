//! Who a client is: SASL mechanisms (RFC 4422), credentials, and the file of users, without I/O.
//!
//! An [`Exchange`] is the server's side of one mechanism: what the client says goes in, challenges and what is to be
//! checked come out. A [`Users`] is what a file of users says. Randomness is an argument, files and threads are the
//! caller's affair.
//!
//! | module | has |
//! | --- | --- |
//! | `exchange` | the mechanisms, step by step |
//! | `scram` | SCRAM-SHA-256 (RFC 5802, RFC 7677): verifiers, messages, proofs |
//! | `password` | passwords and their argon2id hashes |
//! | `name` | names of users, and how they are compared |
//! | `sender` | which senders a user may name |
//! | `users` | all users of a file |
//! | `document` | the file itself, read and changed |

mod document;
mod exchange;
mod name;
mod password;
mod scram;
mod sender;
mod users;

pub use document::{Document, NewUser};
pub use exchange::{Claim, Credentials, Exchange, Malformed, Mechanism, Step};
pub use name::{NameError, UserName};
pub use password::{Cost, HashError, Password, PasswordError, PasswordHash};
pub use scram::{NONCE, ScramVerifier};
pub use sender::{Sender, SenderError};
pub use users::{User, Users, UsersError};
