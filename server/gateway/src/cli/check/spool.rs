//! Whether the spool's folder can be what it has to be: for the user that runs the check, or, where root runs it, for the
//! user that the folder belongs to.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use postern_config::Effective;
use rustix::fs::{Access, access, statvfs};

use super::super::Exit;
use super::report::Report;
use crate::{preflight, state_folder};

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
        let error = effective.error_at(&["spool", "path"], what, advice);
        match exit {
            Exit::Ok => report.warning(&error),
            exit => report.error(exit, &error),
        }
    };
    let usable = state_folder::place(path).ok();
    match fs::metadata(path) {
        Ok(folder) if folder.is_dir() => {
            let owner = user(folder.uid());
            lines.push((
                "owner",
                format!("{owner}, mode {:04o}", folder.mode() & 0o7777),
            ));
            for (exit, wrong) in foreign(path, &folder) {
                say(exit, wrong);
            }
        }
        _ if usable.is_some() => lines.push(("owner", "it is made at the first start".to_owned())),
        _ => {}
    }
    if let Some(there) = usable {
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
    if let Some(error) = preflight::state(effective) {
        report.wrong(&error);
    }
    lines
}

/// What keeps the owner of the folder, or whoever runs the check, from using what is in it. What only may do so has
/// [`Exit::Ok`].
fn foreign(path: &Path, folder: &Metadata) -> Vec<(Exit, Wrong)> {
    let is_root = rustix::process::geteuid().is_root();
    let mut found = Vec::new();
    if folder.uid() != 0 && folder.mode() & 0o700 != 0o700 {
        let what = format!(
            "{}, whose it is, cannot read and write it",
            user(folder.uid())
        );
        found.push((Exit::Config, (what, "chmod it to 0700")));
    }
    for name in OWN {
        let inner = path.join(name);
        let Ok(there) = fs::symlink_metadata(&inner) else {
            continue;
        };
        let wanted = Access::READ_OK | Access::WRITE_OK;
        if there.is_symlink() {
            let what = format!("{name} is a symbolic link");
            let advice = "put there what it leads to, or remove it";
            found.push((Exit::Config, (what, advice)));
        } else if is_root && there.uid() != folder.uid() {
            let what = format!(
                "{name} belongs to {}, and the folder to {}",
                user(there.uid()),
                user(folder.uid())
            );
            let advice = "chown both to the user that runs the gateway";
            found.push((Exit::Ok, (what, advice)));
        } else if let (false, Err(error)) = (is_root, access(&inner, wanted)) {
            let what = format!("{name} cannot be read and written: {error}");
            let advice =
                "chown it to the user that runs the gateway, and run the check as that user";
            found.push((Exit::Config, (what, advice)));
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
    fn a_link_where_the_gateway_keeps_its_own_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let found = || foreign(folder.path(), &fs::metadata(folder.path()).unwrap());
        fs::write(folder.path().join("spool.db"), "").unwrap();
        assert!(found().is_empty());
        symlink("/etc/passwd", folder.path().join("spool.format")).unwrap();
        let (exit, (what, _)) = found().remove(0);
        assert_eq!(exit, Exit::Config);
        assert_eq!(what, "spool.format is a symbolic link");
    }

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(512 << 20), "512 MiB");
        assert_eq!(size((12 << 30) + (400 << 20)), "12.3 GiB");
    }
}
