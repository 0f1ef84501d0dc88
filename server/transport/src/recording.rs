//! Results on their way to stable storage while their connection goes on.
//!
//! What is delivered and not recorded yet is delivered again after a crash, so there are few of them. But a connection that waited for
//! each record would be as slow as the store's commits, which many clients share: beside a burst of mail that comes in, hardly
//! anything would go out.

use tokio::task::JoinSet;

use super::worker::note;

/// Messages of one connection that may be delivered and not recorded, besides the one that it is at.
const UNRECORDED: usize = 3;

/// The results of one connection that are being recorded.
#[derive(Default)]
pub(crate) struct Recording {
    tasks: JoinSet<()>,
}

impl Recording {
    /// Whether the connection may begin with another message.
    pub(crate) fn has_room(&self) -> bool {
        self.tasks.len() < UNRECORDED
    }

    /// Goes on recording beside what comes next.
    pub(crate) fn begin(&mut self, record: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(record);
    }

    /// Waits until one of them is recorded; for ever if there is none. May be dropped at any time.
    pub(crate) async fn one(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => note(&error),
            None => std::future::pending().await,
        }
    }

    /// Waits until all of them are.
    pub(crate) async fn all(&mut self) {
        while !self.tasks.is_empty() {
            self.one().await;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn few_are_on_their_way_and_none_is_forgotten() {
        let mut recording = Recording::default();
        let mut ends = Vec::new();
        for _ in 0..UNRECORDED {
            assert!(recording.has_room());
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            recording.begin(async move { ended.await.unwrap() });
        }
        assert!(!recording.has_room());
        assert!(recording.one().now_or_never().is_none());
        ends.pop().unwrap().send(()).unwrap();
        recording.one().await;
        assert!(recording.has_room());
        // A record that panics is one that has ended.
        drop(ends.pop());
        ends.pop().unwrap().send(()).unwrap();
        recording.all().await;
        assert!(recording.one().now_or_never().is_none());
    }
}
