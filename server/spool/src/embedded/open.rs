//! Opening a spool: whatever may be wrong with it is found here, before anything is accepted.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Mutex, RwLock};
use postern_message::encoding::to_millis;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Semaphore, mpsc};

use super::coming::Coming;
use super::extents::{self, Extents, Place};
use super::housekeeper::Housekeeper;
use super::migrate;
use super::place::{Lock, refuse_network};
use super::read::Readers;
use super::schema::{self, FIRST, FORMAT, Found, NEEDS, PREVIOUS};
use super::space::Space;
use super::writer::{QUEUE, Waiting, Writer};
use super::{Counts, Embedded, Options, ROOM, ROOM_FOR_MAIL, Running, SetAside, Shared};
use crate::disk::Disk;
use crate::files::{Folder, has_files, make_folder, sync_folder};
use crate::stage::Kind;
use crate::{Budget, Health, SpoolError};

/// The folder of content files.
const CONTENT: &str = "content";

/// The file that says the format.
const FORMAT_FILE: &str = "spool.format";

/// Octets of it that are read.
const FORMAT_FILE_MAX: u64 = 1024;

/// Opening what a link leads to is refused: who put it there is not known.
pub(super) const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Opens a spool on a disk. `prepare` has a hand on the connection that will write.
pub(super) fn open_with(
    options: &Options,
    now: SystemTime,
    disk: Arc<dyn Disk>,
    prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<Embedded, SpoolError> {
    let health = Health::default();
    let path = &options.path;
    make_folder(path).map_err(|error| SpoolError::io("making its folder", error))?;
    refuse_network(path)?;
    let lock = Lock::take(path)?;
    format_of(path)?;
    let database = path.join("spool.db");
    let folder = || {
        let folder = Folder::open(path.join(CONTENT), Arc::clone(&disk), health.clone());
        folder.map_err(|error| SpoolError::io("making its folder", error))
    };
    let (mut opened, set_aside) = match open_database(path, &database, &disk, &folder) {
        Ok(opened) => (opened, None),
        Err(Trouble::Damaged(why)) => {
            let aside = move_aside(path, now, why)?;
            tracing::error!(
                database = %aside.database.display(),
                why = aside.why,
                "the spool's database is damaged; it was set aside and a new one is begun"
            );
            let again = open_database(path, &database, &disk, &folder);
            (again.map_err(Trouble::into_error)?, Some(aside))
        }
        Err(trouble) => return Err(trouble.into_error()),
    };
    write_format_file(path).map_err(|error| SpoolError::io("writing its format", error))?;
    let folder = Arc::new(folder()?);
    let known = opened.known.take();
    let (files, places) = known.map(|known| (known.files, known.places)).unzip();
    let swept = match files {
        Some(files) => folder
            .sweep(&files)
            .map_err(|error| SpoolError::io("sweeping", error))?,
        None => 0,
    };
    let content = path.join(CONTENT);
    let extents = Extents::open(&content, Arc::clone(&disk), health.clone(), places)
        .map_err(|error| SpoolError::io("opening its extents", error))?;
    let Opened {
        connection, counts, ..
    } = opened;
    prepare(&connection)?;
    let shared = Arc::new(Shared {
        counts,
        ledger: Mutex::default(),
        health,
        space: Space::new(path.clone(), options.min_free, Arc::clone(&disk)),
        disk,
        folder,
        extents: Arc::new(extents),
        budget: Budget::new(options.memory),
        coming: Coming::default(),
    });
    let mut spool = start(&database, connection, shared, lock)?;
    spool.set_aside = set_aside;
    spool.swept = swept;
    Ok(spool)
}

fn start(
    database: &Path,
    connection: Connection,
    shared: Arc<Shared>,
    lock: Lock,
) -> Result<Embedded, SpoolError> {
    let (housekeeper, signals) = Housekeeper::start(database, Arc::clone(&shared.folder))?;
    let mut log_path = database.as_os_str().to_owned();
    log_path.push("-wal");
    let log_path = PathBuf::from(log_path);
    let log = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&log_path)
        .map_err(|error| SpoolError::io("opening the log", error))?;
    let (requests, queue) = mpsc::channel(QUEUE);
    let writer = Writer {
        connection,
        log,
        log_path,
        queue,
        signals,
        shared: Arc::clone(&shared),
        waiting: Waiting::default(),
        grown: 0,
    };
    let writer = writer.start()?;
    Ok(Embedded {
        running: Mutex::new(Some(Running {
            writer,
            housekeeper,
        })),
        requests: RwLock::new(Some(requests)),
        room: Arc::new(Semaphore::new(ROOM)),
        room_for_mail: Arc::new(Semaphore::new(ROOM_FOR_MAIL)),
        searching: tokio::sync::Mutex::default(),
        readers: Readers::new(database.to_owned()),
        shared,
        set_aside: None,
        swept: 0,
        _lock: lock,
    })
}

/// Why a database was not opened.
enum Trouble {
    /// It is no database, or its structure is broken.
    Damaged(String),
    Other(SpoolError),
}

impl Trouble {
    fn into_error(self) -> SpoolError {
        match self {
            Self::Damaged(why) => SpoolError::Database(why),
            Self::Other(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Other(error.into()),
        }
    }
}

/// A database in which nothing wrong was found.
struct Opened {
    connection: Connection,
    /// The contents that it names; `None` when a name cannot be read.
    known: Option<Known>,
    counts: Counts,
}

/// Contents that rows name.
#[derive(Default)]
struct Known {
    files: HashSet<String>,
    places: Vec<Place>,
}

fn open_database(
    folder: &Path,
    database: &Path,
    disk: &Arc<dyn Disk>,
    contents: &dyn Fn() -> Result<Folder, SpoolError>,
) -> Result<Opened, Trouble> {
    let io = |what| move |error| Trouble::Other(SpoolError::io(what, error));
    // SQLite throws the WAL of an empty database away, and every content would be an orphan.
    if is_lost(folder, database).map_err(io("looking at"))? {
        let why = "there is no database to the contents or the WAL that are there";
        return Err(Trouble::Damaged(why.to_owned()));
    }
    make_private(database).map_err(io("making"))?;
    let mut connection = schema::connect_writer(database)?;
    let size = fs::metadata(database).map_or(0, |found| found.len());
    match schema::examine(&connection, size)? {
        Found::Empty => schema::create(&mut connection)?,
        Found::Format(FORMAT, _) => {}
        Found::Format(PREVIOUS, _) => schema::upgrade(&mut connection)?,
        Found::Format(FIRST, _) => {
            // The old one is brought to an end as it would have been by its own program.
            schema::settle(&connection)?;
            schema::trust(&connection)?;
            connection
                .close()
                .map_err(|(_, error)| Trouble::from(error))?;
            let contents = contents().map_err(Trouble::Other)?;
            let copy =
                migrate::migrate(&**disk, folder, database, &contents).map_err(Trouble::Other)?;
            tracing::info!(
                copy = %copy.display(), from = FIRST, to = FORMAT,
                "the spool was migrated; the database as it was before is kept as a copy"
            );
            return open_database(folder, database, disk, &|| {
                Err(SpoolError::Database("it was migrated already".to_owned()))
            });
        }
        Found::Format(found, needs) if found > FORMAT => {
            return Err(Trouble::Other(newer(folder, found, needs)));
        }
        Found::Format(found, _) => {
            return Err(Trouble::Damaged(format!("format {found} does not exist")));
        }
    }
    let known = known(&connection)?;
    let counts = count(&connection)?;
    schema::trust(&connection)?;
    schema::settle(&connection)?;
    schema::complete(&connection)?;
    disk.sync_folder(folder).map_err(io("syncing"))?;
    Ok(Opened {
        connection,
        known,
        counts,
    })
}

/// The database is not there or empty, and what belongs to it is.
fn is_lost(folder: &Path, database: &Path) -> io::Result<bool> {
    let size = |path: &Path| match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => found.map(|found| found.len()),
    };
    let content = folder.join(CONTENT);
    Ok(size(database)? == 0
        && (size(&folder.join("spool.db-wal"))? > 0
            || size(&content.join(extents::NAME))? > 0
            || has_files(&content)?))
}

/// Mail is for nobody else's eyes. SQLite gives the WAL the mode that the database has.
pub(super) fn make_private(database: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    options.custom_flags(NO_LINK).open(database).map(drop)
}

fn newer(folder: &Path, found: u32, needs: String) -> SpoolError {
    SpoolError::Format {
        path: folder.to_owned(),
        found,
        known: FORMAT,
        needs,
    }
}

/// Looks at the folder of a spool without opening it, as `postern check` does: the format of what is there, `None` where
/// nothing says one.
///
/// # Errors
/// What would keep this program from opening it: a network file system, a newer format, a file that cannot be read.
pub fn examine(folder: &Path) -> Result<Option<u32>, SpoolError> {
    if !folder.is_dir() {
        return Ok(None);
    }
    refuse_network(folder)?;
    format_of(folder)
}

/// The format file is there so that a program need not open a database that it does not know.
fn format_of(folder: &Path) -> Result<Option<u32>, SpoolError> {
    let read = |error| SpoolError::io("reading its format", error);
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(NO_LINK);
    let file = match options.open(folder.join(FORMAT_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
    };
    let mut text = Vec::new();
    file.take(FORMAT_FILE_MAX)
        .read_to_end(&mut text)
        .map_err(read)?;
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_whitespace();
    let found = words.next().and_then(|word| word.parse::<u32>().ok());
    match found {
        Some(found) if found > FORMAT => {
            let needs = words.last().unwrap_or("a later version").to_owned();
            Err(newer(folder, found, needs))
        }
        // A torn file says nothing; the database has the number too.
        found => Ok(found),
    }
}

/// The file under its name is always one of ours: what a link leads to is never written to.
fn write_format_file(folder: &Path) -> io::Result<()> {
    let text = format!("{FORMAT} read by postern {NEEDS}\n");
    if format_of(folder).is_ok_and(|found| found == Some(FORMAT)) {
        return Ok(());
    }
    let path = folder.join(FORMAT_FILE);
    let fresh = folder.join("spool.format.new");
    if let Err(error) = fs::remove_file(&fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    sync_folder(folder)
}

/// Renames the database and the contents that it names. Nothing is overwritten.
fn move_aside(folder: &Path, now: SystemTime, why: String) -> Result<SetAside, SpoolError> {
    let mut stamp = to_millis(now);
    let name = |what: &str, stamp: i64| folder.join(format!("{what}.damaged-{stamp}"));
    while name("spool.db", stamp).exists() || name(CONTENT, stamp).exists() {
        stamp += 1;
    }
    let aside = SetAside {
        database: name("spool.db", stamp),
        content: name(CONTENT, stamp),
        why,
    };
    let failed = |error| SpoolError::io("setting the damaged database aside", error);
    // After a crash in between the next start must find trouble again. So the contents go first,
    // before an empty database could make orphans of them, and the WAL after its database.
    rename_if_there(&folder.join(CONTENT), &aside.content).map_err(failed)?;
    sync_folder(folder).map_err(failed)?;
    // The WAL belongs to the database and goes with it, under the name that SQLite expects.
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut to = aside.database.clone().into_os_string();
        to.push(ending);
        rename_if_there(&folder.join(format!("spool.db{ending}")), &to.into()).map_err(failed)?;
    }
    sync_folder(folder).map_err(failed)?;
    Ok(aside)
}

fn rename_if_there(from: &Path, to: &PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The contents that rows name; `None` when a name cannot be read.
fn known(connection: &Connection) -> rusqlite::Result<Option<Known>> {
    let mut statement =
        connection.prepare("SELECT file, start, size FROM body WHERE file IS NOT NULL")?;
    let mut rows = statement.query([])?;
    let mut known = Known::default();
    while let Some(row) = rows.next()? {
        let place = || {
            Some((
                row.get_ref(1).ok()?.as_i64().ok()?,
                row.get_ref(2).ok()?.as_i64().ok()?,
            ))
        };
        match row.get_ref(0)?.as_str() {
            Ok(extents::NAME) => match place().and_then(|(start, size)| Place::of_row(start, size))
            {
                Some(place) => known.places.push(place),
                None => return Ok(unreadable()),
            },
            Ok(name) => drop(known.files.insert(name.to_owned())),
            Err(_) => return Ok(unreadable()),
        }
    }
    Ok(Some(known))
}

fn unreadable() -> Option<Known> {
    tracing::error!("a message is damaged, and its content's name; nothing is swept");
    None
}

fn count(connection: &Connection) -> rusqlite::Result<Counts> {
    let counts = Counts::default();
    let mut statement = connection.prepare("SELECT kind, count(*) FROM message GROUP BY kind")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Ok(kind) = row.get_ref(0)?.as_i64()
            && let Some(kind) = Kind::of(kind)
        {
            counts.add(kind, row.get(1)?);
        }
    }
    Ok(counts)
}
