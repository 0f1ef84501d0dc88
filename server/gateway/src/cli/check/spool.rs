//! Whether the spool's folder can be what it has to be: for the user that runs the check, or, where root runs it, for the
//! user that the folder belongs to.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use postern_config::Effective;
use rustix::fs::{Access, access, statvfs};

use super::super::Exit;
use super::report::Report;
use crate::preflight;

/// What the gateway keeps in the folder.
const OWN: [&str; 5] = [
    "spool.lock",
    "spool.format",
    "spool.db",
    "content",
    "accepted",
];

/// Largest list of users that is read.
const MAX_USERS: u64 = 1 << 20;

/// A label and what there is to say, for the listing.
pub(super) type Line = (&'static str, String);

/// What is wrong, and what to do.
type Wrong = (String, &'static str);

/// Looks at `spool.path`. What is wrong is reported, the rest is returned to be shown.
pub(super) fn look(effective: &Effective, report: &mut Report) -> Vec<Line> {
    let path = &effective.config.spool.path;
    let mut lines = vec![("path", path.display().to_string())];
    let mut say = |exit: Exit, (what, advice): Wrong| {
        let what = format!("{}: {what}", path.display());
        report.error(exit, &effective.error_at(&["spool", "path"], what, advice));
    };
    let usable = place(path);
    if let Some(wrong) = usable.clone().err() {
        say(Exit::Config, wrong);
    }
    match fs::metadata(path) {
        Ok(folder) if folder.is_dir() => {
            let owner = user(folder.uid());
            lines.push((
                "owner",
                format!("{owner}, mode {:04o}", folder.mode() & 0o7777),
            ));
            foreign(path, &folder)
                .into_iter()
                .for_each(|wrong| say(Exit::Config, wrong));
        }
        _ if usable.is_ok() => lines.push(("owner", "it is made at the first start".to_owned())),
        _ => {}
    }
    if let Ok(there) = usable {
        match free(there) {
            Some(octets) => {
                let least = effective.config.spool.min_free;
                lines.push((
                    "free",
                    format!("{}, {} are kept free", size(octets), size(least)),
                ));
                if octets < least {
                    let what = format!(
                        "{} are free, less than spool.min_free: no mail is taken (452 4.3.1)",
                        size(octets)
                    );
                    say(
                        Exit::Unavailable,
                        (what, "make room, or set min_free lower"),
                    );
                }
            }
            None => lines.push(("free", "unknown".to_owned())),
        }
    }
    match postern_spool::examine(path) {
        Ok(Some(format)) => lines.push(("format", format.to_string())),
        Ok(None) => {}
        Err(error) => say(
            Exit::Config,
            (error.to_string(), "see what the error names"),
        ),
    }
    if let Some(error) = preflight::exposed(effective) {
        report.wrong(&error);
    }
    lines
}

/// The folder, or the one that it will be made in, if it can be used.
fn place(path: &Path) -> Result<&Path, Wrong> {
    // What is not there yet is made in the nearest folder that is.
    let there = path
        .ancestors()
        .find(|folder| folder.symlink_metadata().is_ok())
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let own = there == path;
    let shown = there.display();
    if !there.is_dir() {
        let what = match own {
            true => "is not a folder".to_owned(),
            false => format!("{shown} is not a folder"),
        };
        return Err((what, "name a folder on a local disk"));
    }
    let wanted = Access::WRITE_OK | Access::EXEC_OK | Access::READ_OK;
    match access(there, wanted) {
        Ok(()) => Ok(there),
        Err(error) if own => Err((
            format!("cannot be read and written: {error}"),
            "give it to the user that runs the gateway, and run the check as that user",
        )),
        Err(error) => Err((
            format!("cannot be made in {shown}: {error}"),
            "make it and give it to the user that runs the gateway",
        )),
    }
}

/// What keeps the owner of the folder, or whoever runs the check, from using what is in it.
fn foreign(path: &Path, folder: &Metadata) -> Vec<Wrong> {
    let is_root = rustix::process::geteuid().is_root();
    let mut found = Vec::new();
    if folder.uid() != 0 && folder.mode() & 0o700 != 0o700 {
        found.push((
            format!(
                "{}, whose it is, cannot read and write it",
                user(folder.uid())
            ),
            "chmod it to 0700",
        ));
    }
    for name in OWN {
        let inner = path.join(name);
        let Ok(there) = fs::symlink_metadata(&inner) else {
            continue;
        };
        let wanted = Access::READ_OK | Access::WRITE_OK;
        if there.is_symlink() {
            found.push((
                format!("{name} is a symbolic link"),
                "put there what it leads to, or remove it",
            ));
        } else if is_root && there.uid() != folder.uid() {
            found.push((
                format!(
                    "{name} belongs to {}, and the folder to {}",
                    user(there.uid()),
                    user(folder.uid())
                ),
                "chown it to the user that runs the gateway",
            ));
        } else if let (false, Err(error)) = (is_root, access(&inner, wanted)) {
            found.push((
                format!("{name} cannot be read and written: {error}"),
                "chown it to the user that runs the gateway, and run the check as that user",
            ));
        }
    }
    found
}

fn free(folder: &Path) -> Option<u64> {
    let found = statvfs(folder).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// The name of a user, with the number.
fn user(id: u32) -> String {
    let named = || {
        let file = Path::new("/etc/passwd");
        let small = fs::metadata(file).is_ok_and(|found| found.len() <= MAX_USERS);
        let text = small.then(|| fs::read_to_string(file).ok()).flatten()?;
        let of = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            (fields.nth(1)?.parse() == Ok(id)).then_some(name)
        };
        text.lines().find_map(of)
    };
    match named() {
        Some(name) => format!("{name} (user {id})"),
        None => format!("user {id}"),
    }
}

/// `12.3 GiB`
fn size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = octets.saturating_mul(10);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_one_or_can_be_made() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(place(folder.path()), Ok(folder.path()));
        assert_eq!(place(&folder.path().join("a/b")), Ok(folder.path()));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(place(&file).unwrap_err().0, "is not a folder");
        let below = place(&file.join("state")).unwrap_err().0;
        assert!(below.ends_with("file is not a folder"), "{below}");
    }

    #[test]
    fn a_link_where_the_gateway_keeps_its_own_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let found = || foreign(folder.path(), &fs::metadata(folder.path()).unwrap());
        fs::write(folder.path().join("spool.db"), "").unwrap();
        assert_eq!(found(), []);
        symlink("/etc/passwd", folder.path().join("spool.format")).unwrap();
        assert_eq!(
            found().first().unwrap().0,
            "spool.format is a symbolic link"
        );
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size((12 << 30) + (400 << 20)), "12.3 GiB");
    }
}
