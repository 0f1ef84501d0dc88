//! Power cuts: of what was not synced, any part may have reached the disk and any part not. At
//! whatever moment the power goes, what was acknowledged is there, and nothing reads as what it is not.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::path::PathBuf;

use bytes::Bytes;
use parking_lot::Mutex;

use super::*;
use crate::{Disk, SystemDisk};

const BLOCK: usize = 4096;

/// How far the test is with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Sending,
    Acknowledged,
    Removing,
    Removed,
}

type Messages = HashMap<MessageId, (Said, Bytes)>;

/// A disk that now and then writes down what a power cut would leave of it.
struct Cut {
    folder: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    random: u64,
    /// The file of extents with nothing in it that was not synced.
    durable: Vec<u8>,
    /// Blocks that were written since.
    pending: Vec<(usize, Vec<u8>)>,
    /// Octets of the log that were synced.
    logged: u64,
    messages: Messages,
    left: Vec<(tempfile::TempDir, Messages)>,
}

impl Inner {
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }
}

/// Where syncs cost nothing, if there is such a place: these disks are made up.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn put(image: &mut Vec<u8>, at: usize, block: &[u8]) {
    image.resize(image.len().max(at + block.len()), 0);
    image[at..at + block.len()].copy_from_slice(block);
}

fn is_extents(path: &Path) -> bool {
    path.ends_with("content/extents")
}

impl Cut {
    /// Now and then the power goes. Nothing else is written meanwhile: the one who writes is here.
    fn may_cut(&self) {
        let mut inner = self.inner.lock();
        if inner.random(12) > 0 {
            return;
        }
        let left = in_memory();
        let to = left.path();
        fs::create_dir(to.join("content")).unwrap();
        let mut image = inner.durable.clone();
        for (at, block) in std::mem::take(&mut inner.pending) {
            if inner.random(2) == 0 {
                put(&mut image, at, &block);
            }
            inner.pending.push((at, block));
        }
        fs::write(to.join("content/extents"), image).unwrap();
        fs::copy(self.folder.join("spool.db"), to.join("spool.db")).unwrap();
        let log = fs::read(self.folder.join("spool.db-wal")).unwrap();
        let length = log.len() as u64;
        let unsynced = length - inner.logged;
        let reached = match inner.random(3) {
            0 => length,
            1 => inner.logged,
            _ => inner.logged + inner.random(unsynced + 1),
        };
        fs::write(to.join("spool.db-wal"), &log[..reached as usize]).unwrap();
        let messages = inner.messages.clone();
        inner.left.push((left, messages));
    }
}

impl Disk for Cut {
    fn write_at(
        &self,
        file: &File,
        path: &Path,
        pieces: &mut [IoSlice<'_>],
        offset: u64,
    ) -> io::Result<()> {
        self.may_cut();
        let octets: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        assert!(octets.len().is_multiple_of(BLOCK), "whole pages");
        let at = offset as usize;
        let blocks = octets.chunks(BLOCK).enumerate();
        let blocks = blocks.map(|(n, block)| (at + n * BLOCK, block.to_vec()));
        self.inner.lock().pending.extend(blocks);
        SystemDisk.write_at(file, path, pieces, offset)?;
        self.may_cut();
        Ok(())
    }

    fn sync(&self, file: &File, path: &Path) -> io::Result<()> {
        self.may_cut();
        {
            let mut inner = self.inner.lock();
            if is_extents(path) {
                for (at, block) in std::mem::take(&mut inner.pending) {
                    put(&mut inner.durable, at, &block);
                }
            } else {
                inner.logged = file.metadata()?.len();
            }
        }
        self.may_cut();
        Ok(())
    }
}

#[test]
fn whatever_a_power_cut_leaves_holds_what_was_acknowledged_and_nothing_wrong() {
    let mut cuts = 0;
    for seed in 1..=6 {
        let folder = in_memory();
        let disk = Arc::new(Cut {
            folder: folder.path().to_owned(),
            inner: Mutex::new(Inner {
                random: 0x9E37_79B9_7F4A_7C15 ^ (seed << 40),
                durable: Vec::new(),
                pending: Vec::new(),
                logged: 0,
                messages: HashMap::new(),
                left: Vec::new(),
            }),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(come_and_go(folder.path(), &disk, seed));
        let left = std::mem::take(&mut disk.inner.lock().left);
        cuts += left.len();
        for (folder, messages) in left {
            runtime.block_on(check(folder.path(), &messages));
        }
    }
    assert!(cuts > 40, "{cuts} cuts");
}

/// Messages come and go, so that places are used again and again.
async fn come_and_go(folder: &Path, disk: &Arc<Cut>, seed: u64) {
    let spool = Arc::new(open_on(folder, Arc::clone(disk) as Arc<dyn Disk>));
    let senders = (0..6).map(|sender| {
        let (spool, disk) = (Arc::clone(&spool), Arc::clone(disk));
        tokio::spawn(async move {
            for round in 0..8 {
                let seed = seed * 1000 + sender * 100 + round;
                let size = [40_000, 90_000, 33_000, 700][(seed % 4) as usize];
                let content = content(size, seed);
                let new = new(&*spool, &content).await;
                let id = new.message.id;
                let say = |said| {
                    let mut inner = disk.inner.lock();
                    inner.messages.insert(id, (said, content.clone()));
                };
                say(Said::Sending);
                spool.insert(new).await.unwrap();
                say(Said::Acknowledged);
                if !seed.is_multiple_of(5) {
                    say(Said::Removing);
                    spool.remove(id).await.unwrap();
                    say(Said::Removed);
                }
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
}

async fn check(folder: &Path, messages: &Messages) {
    let spool = open(folder);
    assert_eq!(spool.set_aside(), None);
    for (id, (said, content)) in messages {
        match spool.load(*id).await.unwrap() {
            Some(found) => {
                assert_ne!(*said, Said::Removed, "{id} is back");
                assert_eq!(read(&*found.content).await, *content, "{said:?}");
            }
            None => assert_ne!(*said, Said::Acknowledged, "{id} is lost"),
        }
    }
    let counts = spool.counts().await.unwrap();
    assert_eq!(counts.damaged, 0);
    assert!(counts.submit <= messages.len() as u64);
}
