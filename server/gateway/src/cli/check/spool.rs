//! Whether the spool's folder can be what it has to be, for the user that runs the check.

use std::path::Path;

use postern_config::{ConfigError, Effective};
use rustix::fs::{Access, access};

/// What is wrong with `spool.path`.
pub(super) fn check(effective: &Effective) -> Option<ConfigError> {
    let path = &effective.config.spool.path;
    let (what, advice) = wrong(path)?;
    let what = format!("{}: {what}", path.display());
    Some(effective.error_at(&["spool", "path"], what, advice))
}

fn wrong(path: &Path) -> Option<(String, &'static str)> {
    // What is not there yet is made in the nearest folder that is.
    let there = path
        .ancestors()
        .find(|folder| folder.symlink_metadata().is_ok())?;
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let own = there == path;
    let shown = there.display();
    if !there.is_dir() {
        let what = if own {
            "is not a folder".to_owned()
        } else {
            format!("{shown} is not a folder")
        };
        return Some((what, "name a folder on a local disk"));
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK | Access::READ_OK;
    match access(there, wanted) {
        Ok(()) => None,
        Err(error) if own => Some((
            format!("cannot be read and written: {error}"),
            "give it to the user that runs the gateway, and run the check as that user",
        )),
        Err(error) => Some((
            format!("cannot be made in {shown}: {error}"),
            "make it and give it to the user that runs the gateway",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_folder_is_one_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(wrong(folder.path()), None);
        assert_eq!(wrong(&folder.path().join("a/b")), None);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(wrong(&file).unwrap().0, "is not a folder");
        let below = wrong(&file.join("state")).unwrap().0;
        assert!(below.ends_with("file is not a folder"), "{below}");
    }
}
