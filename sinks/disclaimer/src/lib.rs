//! Text appended to messages, wherever their text is: plain, HTML, alternatives, attachments beside
//! it, any charset, any transfer encoding. Signed and encrypted messages are left alone.
//!
//! The work is done on bytes in memory and knows nothing of gateways: [`footer::append`] says which
//! octets of the body change and which header fields with them.

pub mod footer;

mod charset;
mod place;
mod rewrite;
mod transfer;
