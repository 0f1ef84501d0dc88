//! A handler that computes holds up no other instance, also where it never waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postern_sdk::{Mail, Verdict, inbound, sink};

use super::served;

static RELEASED: AtomicBool = AtomicBool::new(false);

/// Computes until the other instance has been answered; fails to, if it never is.
async fn mail(mail: Mail) -> Verdict {
    if mail.sender().to_string() == "busy@example.test" {
        let began = Instant::now();
        while !RELEASED.load(Ordering::Acquire) && began.elapsed() < Duration::from_secs(10) {
            std::hint::spin_loop();
        }
    }
    Verdict::proceed()
}

#[tokio::test]
async fn one_that_computes_from_the_first_octet_on_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let served = served::serving(sink!().on(inbound::MAIL, mail), folder.path(), &[]).await;
    let mut stream = served.attach().await;
    stream.open(1).await;
    stream.mail(1, 1, "busy@example.test").await;
    stream.open(2).await;
    stream.mail(2, 1, "a@example.test").await;
    let frame = stream.next().await;
    served::Stream::is_verdict(frame, 2, 1);
    RELEASED.store(true, Ordering::Release);
    let frame = stream.next().await;
    served::Stream::is_verdict(frame, 1, 1);
    drop(stream);
    served.stopped().await;
}
