//! Text appended to messages, wherever their text is: plain, HTML, alternatives, attachments beside
//! it, any charset, any transfer encoding. Signed and encrypted messages are left alone.
//!
//! [`footer::append`] works on bytes and knows nothing of gateways: it says which octets of the body
//! change and which header fields with them. [`sink`] hands it what a gateway asks about.

pub mod footer;
pub mod sink;

mod charset;
mod place;
mod rewrite;
mod transfer;
