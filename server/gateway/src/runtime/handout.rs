//! New work goes to the least busy runtime. Lanes are bounded; when all are full the caller gets its work back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

/// Hands items to the runtime that has the fewest of them.
#[derive(Debug)]
pub struct HandOut<T> {
    lanes: Vec<LaneSender<T>>,
}

#[derive(Debug)]
struct LaneSender<T> {
    sender: mpsc::Sender<Handed<T>>,
    load: Arc<AtomicUsize>,
}

/// The receiving end of one runtime.
#[derive(Debug)]
pub struct Lane<T> {
    receiver: mpsc::Receiver<Handed<T>>,
    load: Arc<AtomicUsize>,
}

/// An item, and the proof that it counts as load of its runtime.
#[derive(Debug)]
pub struct Handed<T> {
    /// The item.
    pub item: T,
    /// Counts until it is dropped.
    pub load: Load,
}

/// Counts as one item of a runtime until it is dropped.
#[derive(Debug)]
pub struct Load(Arc<AtomicUsize>);

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One lane for each runtime, each with room for `waiting` items that it has not taken yet.
#[must_use]
pub fn lanes<T>(runtimes: usize, waiting: usize) -> (HandOut<T>, Vec<Lane<T>>) {
    let pairs = (0..runtimes.max(1)).map(|_| {
        let (sender, receiver) = mpsc::channel(waiting.max(1));
        let load = Arc::new(AtomicUsize::new(0));
        (
            LaneSender {
                sender,
                load: Arc::clone(&load),
            },
            Lane { receiver, load },
        )
    });
    let (senders, receivers) = pairs.unzip();
    (HandOut { lanes: senders }, receivers)
}

impl<T> HandOut<T> {
    /// Gives the item to the least busy runtime that has room.
    ///
    /// # Errors
    /// The item, if no runtime has room.
    pub fn offer(&self, item: T) -> Result<(), T> {
        let mut tried = vec![false; self.lanes.len()];
        let mut item = item;
        while let Some((index, lane)) = self.least_busy(&tried) {
            lane.load.fetch_add(1, Ordering::Relaxed);
            let load = Load(Arc::clone(&lane.load));
            match lane.sender.try_send(Handed { item, load }) {
                Ok(()) => return Ok(()),
                Err(refused) => item = refused.into_inner().item,
            }
            if let Some(flag) = tried.get_mut(index) {
                *flag = true;
            }
        }
        Err(item)
    }

    fn least_busy(&self, tried: &[bool]) -> Option<(usize, &LaneSender<T>)> {
        self.lanes
            .iter()
            .enumerate()
            .filter(|(index, _)| tried.get(*index) == Some(&false))
            .min_by_key(|(_, lane)| lane.load.load(Ordering::Relaxed))
    }
}

impl<T> Lane<T> {
    /// The next item; `None` when nothing more can come.
    pub async fn next(&mut self) -> Option<Handed<T>> {
        self.receiver.recv().await
    }

    /// Takes no further items. Those that wait in the lane are dropped.
    pub fn close(&mut self) {
        self.receiver.close();
        while self.receiver.try_recv().is_ok() {}
    }

    /// Items given to this runtime that still count.
    #[must_use]
    pub fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn the_least_busy_runtime_gets_the_next_item() {
        let (out, mut lanes) = lanes::<u32>(2, 8);
        for item in 0..4 {
            out.offer(item).unwrap();
        }
        assert_eq!((lanes[0].load(), lanes[1].load()), (2, 2));
        drop(lanes[1].next().await.unwrap());
        drop(lanes[1].next().await.unwrap());
        out.offer(4).unwrap();
        out.offer(5).unwrap();
        assert_eq!((lanes[0].load(), lanes[1].load()), (2, 2));
        assert_eq!(lanes[1].next().await.unwrap().item, 4);
    }

    #[tokio::test]
    async fn full_lanes_are_passed_over_and_then_the_item_comes_back() {
        let (out, mut lanes) = lanes::<u32>(2, 1);
        out.offer(0).unwrap();
        out.offer(1).unwrap();
        assert_eq!(out.offer(2), Err(2));
        let first = lanes[0].next().await.unwrap();
        out.offer(3).unwrap();
        assert_eq!(lanes[0].load(), 2);
        drop(first);
        lanes[0].close();
        lanes[1].close();
        assert_eq!(out.offer(4), Err(4));
        assert_eq!((lanes[0].load(), lanes[1].load()), (0, 0));
    }
}
