//! Names that sinks look up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postern_events::plan::Plan;
use postern_events::transport::{ResolveAnswer, ResolvedHost};

use super::judged::proceeds;
use super::stage::{Play, Script};
use postern_delivery::testing::peer::Peer;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(start_paused = true)]
async fn a_next_hop_without_a_host_is_asked_about_again_and_fails_nobody() {
    let peer = Peer::with(&[]);
    let times = AtomicUsize::new(0);
    let no_hosts = move |_: &str| {
        let first = times.fetch_add(1, Ordering::Relaxed) == 0;
        first.then(|| ResolveAnswer {
            hosts: Vec::new(),
            lifetime: Some(DAY),
        })
    };
    let play = Play::new(&peer, Script::new(proceeds).resolving(no_hosts));
    play.accept(&["a@example.test"]).await;
    let took = play.until_empty().await;
    assert!((270..335).contains(&took.as_secs()), "{took:?}");
    assert_eq!(peer.taken()[0].recipients, ["a@example.test"]);
    assert_eq!(*play.judge.names.lock(), ["one.test", "one.test"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_holds_as_long_as_the_bindings_are_those_that_gave_it() {
    let peer = Peer::with(&[]);
    let hosts = |_: &str| {
        let host = ResolvedHost {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ..ResolvedHost::default()
        };
        Some(ResolveAnswer {
            hosts: vec![host],
            lifetime: Some(DAY),
        })
    };
    let play = Play::new(&peer, Script::new(proceeds).resolving(hosts));
    for (changes, asked) in [(true, 1), (false, 1), (true, 2)] {
        if changes {
            *play.judge.plan.lock() = Some(Arc::new(Plan::empty()));
        }
        play.accept(&["a@example.test"]).await;
        play.until_empty().await;
        assert_eq!(play.judge.names.lock().len(), asked);
    }
}
