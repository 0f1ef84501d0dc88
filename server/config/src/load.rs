//! From files and environment to one typed configuration, with everything that is wrong at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::elements::{Names, key_by_name};
use crate::environment::{self, Env};
use crate::error::ConfigError;
use crate::origin::{KeyPath, Origin};
use crate::reader::{Field, Reader, Setting};
use crate::section::Section;
use crate::settings::Config;
use crate::tree::Node;
use crate::{check, document, layer};

/// Where the configuration is looked for when nobody says.
pub const DEFAULT_PATH: &str = "/etc/postern/postern.toml";

/// Largest file that is read. Configurations are kilobytes.
const MAX_FILE: u64 = 16 << 20;

/// A configuration that is in order, with where each value comes from.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The values.
    pub config: Config,
    files: Vec<PathBuf>,
    settings: Vec<Setting>,
    places: BTreeMap<String, Origin>,
}

impl Effective {
    /// The files that were read, in the order in which each lies over those before it.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Every key with its value and where it comes from, in the order of the reference.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Where a key stands; for one that nobody set, where the table stands that it belongs to.
    /// The key is written with element names, as in `binding.disclaimer.rule`.
    pub fn origin(&self, key: &[&str]) -> Origin {
        origin_in(&self.places, key)
    }

    /// An error about a key, for those who find out later what is wrong with it.
    pub fn error_at(
        &self,
        key: &[&str],
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            origin: self.origin(key),
            key: KeyPath::of(key).to_string(),
            what: what.into(),
            advice: advice.into(),
        }
    }
}

pub(crate) fn origin_in(places: &BTreeMap<String, Origin>, key: &[&str]) -> Origin {
    let known = (0..=key.len())
        .rev()
        .filter_map(|end| places.get(&KeyPath::of(key.get(..end)?).to_string()));
    known
        .into_iter()
        .find(|origin| **origin != Origin::Default)
        .cloned()
        .unwrap_or(Origin::Default)
}

/// Reads `path`, then `conf.d/*.toml` beside it in byte order, then the environment.
///
/// # Errors
/// Everything that is wrong, in the order of files and lines. Nothing is started with a configuration that has one
/// error.
pub fn load(path: &Path, env: &dyn Env) -> Result<Effective, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let files = files(path, &mut errors);
    let texts = files.iter().filter_map(|file| match read(file) {
        Ok(text) => Some((file.clone(), text)),
        Err(error) => {
            errors.push(error);
            None
        }
    });
    let texts: Vec<_> = texts.collect();
    let result = load_texts(path, &texts, env, errors);
    result.map(|effective| Effective { files, ..effective })
}

/// What [`load`] does once the files are read. Relative paths are taken from the folder of `path`.
pub(crate) fn load_texts(
    path: &Path,
    texts: &[(PathBuf, String)],
    env: &dyn Env,
    mut errors: Vec<ConfigError>,
) -> Result<Effective, Vec<ConfigError>> {
    let mut layers: Vec<Node> = Vec::new();
    for (file, text) in texts {
        match document::parse(file, text) {
            Ok(tree) => layers.push(tree),
            Err(error) => errors.push(error),
        }
    }
    // With a file missing from the picture every further complaint would be a guess.
    let complete = errors.is_empty();
    let mut names = Names::new();
    for layer in &mut layers {
        key_by_name(layer, &mut names, &mut errors);
    }
    if complete {
        let environment = environment::layer(env, &layers, &mut errors);
        layers.push(environment);
    }
    let root = layer::merge(&layers);
    // Paths stay right when the program changes its folder; a sink's socket has to be absolute anyway.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut reader = Reader::new(path.parent().unwrap_or(Path::new("/")));
    let config = Config::read(
        Field {
            node: &root,
            key: &KeyPath::root(),
        },
        &mut reader,
    );
    if let (Some(config), true) = (&config, complete) {
        check::config(config, &root, &mut reader);
    }
    if complete || !layers.is_empty() {
        errors.append(&mut reader.errors);
    }
    match config {
        Some(config) if errors.is_empty() => Ok(Effective {
            config,
            files: Vec::new(),
            settings: reader.settings,
            places: reader.places,
        }),
        _ => {
            sort(&mut errors, texts);
            Err(errors)
        }
    }
}

/// By file, line and column; what the environment says comes last.
fn sort(errors: &mut [ConfigError], texts: &[(PathBuf, String)]) {
    errors.sort_by_key(|error| match &error.origin {
        Origin::File { file, line, column } => (
            texts
                .iter()
                .position(|(other, _)| other.as_path() == &**file)
                .unwrap_or(0),
            *line,
            *column,
        ),
        Origin::Environment(_) | Origin::Default => (usize::MAX, 0, 0),
    });
}

fn files(path: &Path, errors: &mut Vec<ConfigError>) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    let folder = path.parent().unwrap_or(Path::new("")).join("conf.d");
    match std::fs::read_dir(&folder) {
        Ok(entries) => {
            let mut beside: Vec<PathBuf> = Vec::new();
            for entry in entries {
                match entry {
                    Ok(entry) => beside.push(entry.path()),
                    Err(error) => errors.push(unreadable(&folder, &error)),
                }
            }
            beside.retain(|file| {
                file.extension()
                    .is_some_and(|extension| extension == "toml")
            });
            beside.sort_by(|a, b| {
                a.as_os_str()
                    .as_encoded_bytes()
                    .cmp(b.as_os_str().as_encoded_bytes())
            });
            files.extend(beside);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => errors.push(unreadable(&folder, &error)),
    }
    files
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let size = std::fs::metadata(file).map_err(|error| unreadable(file, &error))?;
    if size.len() > MAX_FILE {
        return Err(whole_file(
            file,
            "is larger than 16 MiB",
            "name the right file with --config",
        ));
    }
    let octets = std::fs::read(file).map_err(|error| unreadable(file, &error))?;
    String::from_utf8(octets).map_err(|_| whole_file(file, "is not UTF-8 text", "save it as UTF-8"))
}

fn unreadable(file: &Path, error: &std::io::Error) -> ConfigError {
    let advice = match error.kind() {
        std::io::ErrorKind::NotFound => "create it, or name another with --config",
        std::io::ErrorKind::PermissionDenied => "allow this user to read it",
        _ => "see that it is a file that can be read",
    };
    whole_file(file, &format!("cannot be read: {error}"), advice)
}

fn whole_file(file: &Path, what: &str, advice: &str) -> ConfigError {
    ConfigError {
        origin: Origin::start_of(file),
        key: String::new(),
        what: what.to_owned(),
        advice: advice.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
