//! Users and groups of the system, and becoming one of them.

use std::ffi::CString;
use std::io;

use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, initgroups, seteuid, setgroups, setresgid, setresuid,
};

/// A user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// The number of its own group.
    pub gid: u32,
    /// Its name, if the system knows one.
    name: Option<CString>,
}

/// Why a user or group cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The system does not know it.
    #[error("there is no {kind} \"{name}\"")]
    Unknown {
        /// User or group.
        kind: &'static str,
        /// As it was written.
        name: String,
    },
    /// The system could not look it up.
    #[error("the {kind} \"{name}\" cannot be looked up: {source}")]
    Lookup {
        /// User or group.
        kind: &'static str,
        /// As it was written.
        name: String,
        /// The system's error.
        source: io::Error,
    },
    /// Only root may become another user.
    #[error("only root can start it as another user than the one that runs it")]
    NotRoot,
    /// The system refused.
    #[error("the process cannot become that user: {0}")]
    Become(io::Error),
}

impl From<AccountError> for io::Error {
    fn from(error: AccountError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// A user by its name or number. A number without a name has the group of the same number.
///
/// # Errors
/// There is none of that name.
pub fn user(text: &str) -> Result<Account, AccountError> {
    let number = text.parse().ok();
    let found = match number {
        Some(uid) => User::from_uid(Uid::from_raw(uid)),
        None => User::from_name(text),
    };
    let found = found.map_err(|source| lookup("user", text, source))?;
    match (found, number) {
        (Some(found), _) => Ok(Account {
            uid: found.uid.as_raw(),
            gid: found.gid.as_raw(),
            name: CString::new(found.name).ok(),
        }),
        (None, Some(uid)) => Ok(Account {
            uid,
            gid: uid,
            name: None,
        }),
        (None, None) => Err(unknown("user", text)),
    }
}

/// The number of a group by its name or number.
///
/// # Errors
/// There is none of that name.
pub fn group(text: &str) -> Result<u32, AccountError> {
    if let Ok(gid) = text.parse() {
        return Ok(gid);
    }
    match Group::from_name(text) {
        Ok(Some(found)) => Ok(found.gid.as_raw()),
        Ok(None) => Err(unknown("group", text)),
        Err(source) => Err(lookup("group", text, source)),
    }
}

impl Account {
    /// The process is this user already.
    #[must_use]
    pub fn is_current(&self) -> bool {
        geteuid().as_raw() == self.uid
    }

    /// Makes the whole process this user, with its groups and no others, for good.
    ///
    /// # Errors
    /// [`AccountError::NotRoot`], [`AccountError::Become`]
    pub fn assume(&self) -> Result<(), AccountError> {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if !geteuid().is_root() {
            return match self.is_current() {
                true => Ok(()),
                false => Err(AccountError::NotRoot),
            };
        }
        let become_it = || {
            match &self.name {
                Some(name) => initgroups(name, gid)?,
                None => setgroups(&[gid])?,
            }
            setresgid(gid, gid, gid)?;
            setresuid(uid, uid, uid)
        };
        become_it().map_err(|error| AccountError::Become(error.into()))?;
        let is_whole = geteuid() == uid && getegid() == gid;
        let has_way_back = !uid.is_root() && seteuid(Uid::from_raw(0)).is_ok();
        if !is_whole || has_way_back {
            let error = io::Error::other("the system let the process keep what it had");
            return Err(AccountError::Become(error));
        }
        Ok(())
    }
}

fn unknown(kind: &'static str, name: &str) -> AccountError {
    AccountError::Unknown {
        kind,
        name: name.to_owned(),
    }
}

fn lookup(kind: &'static str, name: &str, source: nix::Error) -> AccountError {
    AccountError::Lookup {
        kind,
        name: name.to_owned(),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn users_and_groups_go_by_name_or_number() {
        let root = user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert_eq!(user("0").unwrap(), root);
        let number = user("54321").unwrap();
        assert_eq!((number.uid, number.gid, number.name), (54321, 54321, None));
        assert_eq!(group("root").unwrap(), 0);
        assert_eq!(group("54321").unwrap(), 54321);
        for name in ["no-such-one", "-1", "4294967296"] {
            let error = user(name).unwrap_err().to_string();
            assert_eq!(error, format!("there is no user \"{name}\""));
            let error = group(name).unwrap_err().to_string();
            assert_eq!(error, format!("there is no group \"{name}\""));
        }
    }

    #[test]
    fn who_is_not_root_becomes_nobody_else() {
        if geteuid().is_root() {
            return;
        }
        assert!(matches!(
            user("root").unwrap().assume(),
            Err(AccountError::NotRoot)
        ));
    }
}
