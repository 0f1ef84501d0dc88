//! Unix sockets that are listened on: made for those who may connect, over what a killed process left, and removed by whom
//! they are.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use postern_config::settings::server::SocketAccess;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Uid, chownat, fchmod, openat};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::accounts;

/// Binds and listens. Nobody can connect before mode, owner and group are those of `access`.
pub(crate) fn listen(
    path: &Path,
    access: &SocketAccess,
    backlog: i32,
) -> io::Result<(Socket, OwnPath)> {
    let owner = access.owner.as_deref().map(accounts::user).transpose()?;
    let group = access.group.as_deref().map(accounts::group).transpose()?;
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The name is made with no more than this, whatever the umask.
    fchmod(&socket, Mode::from_raw_mode(access.mode))?;
    socket.bind(&SockAddr::unix(path)?)?;
    let own = OwnPath::of(path)?;
    if owner.is_some() || group.is_some() {
        let owner = owner.map(|user| Uid::from_raw(user.uid));
        let group = group.map(Gid::from_raw);
        chownat(CWD, path, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    own.set_mode(access.mode)?;
    // Until here a connection is refused.
    socket.listen(backlog)?;
    Ok((socket, own))
}

/// Removes a socket that nobody listens on any more, as a killed process leaves it. Anything else of that name stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "there is something of that name, and it is no socket",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // Its listener is only busy, or not ours to judge.
        _ => return Err(io::ErrorKind::AddrInUse.into()),
    }
    // Another one may have taken its place while we asked.
    if is_same(&found, &fs::symlink_metadata(path)?) {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn is_same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// The path of a socket that we made; removed when dropped, if it is still ours.
#[derive(Debug)]
pub(crate) struct OwnPath {
    path: PathBuf,
    made: fs::Metadata,
}

impl OwnPath {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            made: fs::symlink_metadata(path)?,
        })
    }

    /// Sets the mode of the socket itself, not of what a link in its place leads to.
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(CWD, &self.path, flags, Mode::empty())?);
        if !is_same(&self.made, &file.metadata()?) {
            return Err(io::Error::other("the socket was replaced by another"));
        }
        let itself = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(itself, Permissions::from_mode(mode))
    }
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        let removed = match fs::symlink_metadata(&self.path) {
            Ok(found) if is_same(&self.made, &found) => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::debug!(path = %self.path.display(), %error, "socket not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    const BACKLOG: i32 = 8;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn x12_the_mode_is_that_of_the_key_whatever_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        for wanted in [0o660, 0o600, 0o666, 0o777] {
            let path = folder.path().join(format!("{wanted:o}.sock"));
            let access = SocketAccess {
                mode: wanted,
                ..SocketAccess::default()
            };
            let (_socket, _own) = listen(&path, &access, BACKLOG).unwrap();
            assert_eq!(mode(&path), wanted);
        }
    }

    #[test]
    fn x12_owner_and_group_are_those_of_the_keys() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let access = SocketAccess {
            owner: Some("4321".to_owned()),
            group: Some("1234".to_owned()),
            ..SocketAccess::default()
        };
        let (_socket, _own) = listen(&path, &access, BACKLOG).unwrap();
        let made = fs::symlink_metadata(&path).unwrap();
        assert_eq!((made.uid(), made.gid()), (4321, 1234));
        assert_eq!(mode(&path), 0o660);
    }

    #[test]
    fn x12_an_owner_that_is_not_there_leaves_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let access = SocketAccess {
            owner: Some("nobody-of-this-name".to_owned()),
            ..SocketAccess::default()
        };
        let error = listen(&path, &access, BACKLOG).unwrap_err().to_string();
        assert!(error.contains("nobody-of-this-name"), "{error}");
        assert!(!path.exists());
    }

    #[test]
    fn x12_only_a_socket_without_a_listener_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let access = SocketAccess::default();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (socket, own) = listen(&path, &access, BACKLOG).unwrap();
        let error = listen(&path, &access, BACKLOG).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop((socket, own));
        assert!(!path.exists());

        let victim = folder.path().join("victim");
        fs::write(&victim, "stays").unwrap();
        for there in [&victim, &path] {
            if there == &path {
                symlink(&victim, &path).unwrap();
            }
            let error = listen(there, &access, BACKLOG).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "stays");
        assert!(path.is_symlink());
    }

    #[test]
    fn x12_a_socket_that_took_the_place_of_ours_stays_when_we_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.sock");
        let (socket, own) = listen(&path, &SocketAccess::default(), BACKLOG).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixListener::bind(&path).unwrap();
        drop((socket, own));
        UnixStream::connect(&path).unwrap();
    }
}
