//! The smallest sink: it fits in 15 lines and does what it says.

#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)]
#[path = "../examples/add_header.rs"]
mod add_header;

use add_header::AddHeader;
use postern_sdk::testing::Session;

#[test]
fn it_fits_in_15_lines_with_main() {
    let source = include_str!("../examples/add_header.rs");
    assert!(source.contains("fn main()"));
    assert!(source.lines().count() <= 15);
    assert!(
        source.lines().all(|line| line.len() <= 100),
        "and no line is stretched"
    );
}

#[tokio::test]
async fn it_adds_its_header_behind_all_others() {
    let transcript = Session::connect(AddHeader, "192.0.2.1")
        .ehlo("client.example.test")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message("Subject: hello\r\n\r\nHello.\r\n")
        .await;
    assert_eq!(
        transcript.mail().text(),
        "Subject: hello\r\nX-Seen-By: a sink in 15 lines\r\n\r\nHello.\r\n"
    );
}
