//! The place of a spool: whose it is, what kind of file system it is on.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock, statfs};

use crate::SpoolError;

/// The lock that makes the spool this process's. Released when it is dropped, or the process ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, SpoolError> {
        let path = folder.join("spool.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(super::open::NO_LINK)
            .open(&path)
            .map_err(|error| SpoolError::io("opening the lock", error))?;
        if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(SpoolError::io("locking", error.into()));
            }
            let mut holder = String::new();
            let read = (&file).take(32).read_to_string(&mut holder);
            return Err(SpoolError::Locked {
                path: folder.to_owned(),
                holder: read.ok().and_then(|_| holder.trim().parse().ok()),
            });
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| SpoolError::io("writing the lock", error))?;
        Ok(Self { _file: file })
    }
}

/// Refuses file systems over a network, where locks and syncs cannot be relied on.
pub(super) fn refuse_network(folder: &Path) -> Result<(), SpoolError> {
    let found = statfs(folder).map_err(|error| SpoolError::io("looking at", error.into()))?;
    // The field's type differs by architecture; the numbers have 32 bits.
    match network_kind(found.f_type as u32) {
        None => Ok(()),
        Some(kind) => Err(SpoolError::NetworkFileSystem {
            path: folder.to_owned(),
            kind,
        }),
    }
}

/// Names a network file system by its magic number (statfs(2), linux/magic.h).
fn network_kind(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "NFS",
        0x517B => "SMB",
        0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        assert_eq!(network_kind(0x6969), Some("NFS"));
        assert_eq!(network_kind(0xFF53_4D42), Some("CIFS"));
        // ext4, XFS, Btrfs, tmpfs, overlay
        for local in [0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630] {
            assert_eq!(network_kind(local), None);
        }
    }
}
