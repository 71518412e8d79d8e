//! From layers to settings: file, then environment, then flags, the later one winning.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::key::{KEYS, Key};
use super::settings::{Config, Draft};

/// What a command line said, as typed: absent means that a lower layer decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--config`; a file named here must exist.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--advertise`, repeated; empty means not given.
    pub advertise: Vec<String>,
    /// `--port-base`.
    pub port_base: Option<u16>,
    /// `--rest`.
    pub rest: Option<String>,
    /// `--region`.
    pub region: Option<String>,
    /// `--open-rest`; its absence does not turn off what a lower layer turned on.
    pub open_rest: bool,
    /// `--emulate`; its absence does not turn off what a lower layer turned on.
    pub emulate: bool,
}

/// Why a configuration was refused. Nothing was changed; correct what is named and start again.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no place for a data folder.
    #[error("find a place for the data folder: neither XDG_STATE_HOME nor HOME is set; name one with --data DIR")]
    NoDataFolder,
    /// The file cannot be read, or was named and is not there.
    #[error("read configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("read configuration file {}: it is longer than {FILE_BYTES_MAX} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The file is not TOML.
    #[error("parse configuration file {} as TOML", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and what was wrong there.
        source: Box<toml::de::Error>,
    },
    /// A key that no version of this table has.
    #[error("use unknown key `{key}` from {origin}; docs/config.md lists the keys")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The layer.
        origin: Origin,
    },
    /// A key that decides where the file itself lies, or how it is found.
    #[error("use key `{key}` from {origin}: it cannot stand in a file; give it as {remedy}")]
    NotInFile {
        /// The key.
        key: &'static str,
        /// The layer.
        origin: Origin,
        /// Its flag or variable.
        remedy: &'static str,
    },
    /// A value that its key does not understand.
    #[error("use `{value}` as {key} from {origin}: expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as written.
        value: String,
        /// The layer.
        origin: Origin,
        /// What its values look like.
        expected: &'static str,
    },
    /// A variable whose value is not UTF-8.
    #[error("use environment variable {variable}: its value is not UTF-8")]
    NotUnicode {
        /// The variable.
        variable: String,
    },
    /// The ports above the base leave the range.
    #[error("use port base {base}: it and the three ports above it must be at most 65535; choose at most 65532")]
    PortBase {
        /// The base.
        base: u16,
    },
    /// An interface without tokens would be open to the network.
    #[error(
        "bind {key} to {address}: off loopback, requests must carry tokens, which this version does not check; use a loopback address, or --open-rest where nothing else reaches it"
    )]
    NeedsTokens {
        /// Which one.
        key: &'static str,
        /// The address.
        address: SocketAddr,
    },
    /// An advertised address that nobody could dial.
    #[error("advertise {address}: peers cannot dial it; name an address and port of this machine as they see it")]
    CannotBeDialled {
        /// The address.
        address: SocketAddr,
    },
}

/// Which layer said something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

impl Config {
    /// Reads the file (`--config`, else `hedgerow.toml` in the data folder, where there is one), the environment and the
    /// flags of this process.
    pub fn load(flags: &Flags) -> Result<Self, ConfigError> {
        let environment = hedgerow_variables(std::env::vars_os())?;
        let data = data_folder(flags.data.as_deref())?;
        let named = flags.config.clone().or_else(|| variable(&environment, FILE_VARIABLE).map(PathBuf::from));
        let file = match named {
            Some(path) => {
                let text = read_file(&path)?;
                Some((path, text))
            }
            None => {
                let path = data.join(FILE_NAME);
                match read_file(&path) {
                    Ok(text) => Some((path, text)),
                    Err(ConfigError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                }
            }
        };
        Self::from_layers(data, file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), &environment, flags)
    }

    /// The same from layers that are already in memory; `data` is the folder that [`data_folder`] found.
    pub(super) fn from_layers(
        data: PathBuf,
        file: Option<(&Path, &str)>,
        environment: &[(String, String)],
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut draft = Draft::default();
        if let Some((path, text)) = file {
            apply_file(&mut draft, path, text)?;
        }
        for (name, value) in environment {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            let origin = Origin::Variable(name.clone());
            let key = KEYS.iter().find(|key| key.variable == name);
            let key = key.ok_or_else(|| ConfigError::UnknownKey { key: name.clone(), origin: origin.clone() })?;
            apply(&mut draft, key, value, origin)?;
        }
        apply_flags(&mut draft, flags)?;
        draft.finish(data)
    }
}

/// Where the data folder lies: the flag, else `HEDGEROW_DATA`, else [`default_data_dir`]. For commands that only talk to a
/// running node and read no other key.
pub fn data_folder(flag: Option<&Path>) -> Result<PathBuf, ConfigError> {
    if let Some(path) = flag {
        return Ok(path.to_path_buf());
    }
    let named = std::env::var_os(DATA_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(default_data_dir).ok_or(ConfigError::NoDataFolder)
}

/// The platform's state folder for this program (XDG Base Directory Specification 0.8), where the environment names one.
pub fn default_data_dir() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The specification tells readers to ignore a relative path here.
    let state = set("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| set("HOME").map(|home| home.join(".local/state")));
    state.map(|path| path.join("hedgerow"))
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        Ok(text)
    } else {
        Err(ConfigError::TooLong { path: path.to_path_buf() })
    }
}

fn apply_file(draft: &mut Draft, path: &Path, text: &str) -> Result<(), ConfigError> {
    let table: toml::Table =
        text.parse().map_err(|source| ConfigError::Syntax { path: path.to_path_buf(), source: Box::new(source) })?;
    apply_table(draft, path, "", table)
}

fn apply_table(draft: &mut Draft, path: &Path, prefix: &str, table: toml::Table) -> Result<(), ConfigError> {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        let origin = Origin::File(path.to_path_buf());
        match (Key::named(&name), value) {
            (None, toml::Value::Table(inner)) if KEYS.iter().any(|key| in_section(key, &name)) => {
                apply_table(draft, path, &format!("{name}."), inner)?;
            }
            (None, _) => return Err(ConfigError::UnknownKey { key: name, origin }),
            (Some(key), _) if !key.in_file => {
                return Err(ConfigError::NotInFile { key: key.name, origin, remedy: key.flag.unwrap_or(key.variable) });
            }
            (Some(key), value) => match text_of(&value) {
                Some(text) => apply(draft, key, &text, origin)?,
                None => return Err(not_as_expected(key, value.to_string(), origin)),
            },
        }
    }
    Ok(())
}

fn in_section(key: &Key, section: &str) -> bool {
    key.name.split_once('.').is_some_and(|(first, _)| first == section)
}

/// The form in which variables and flags carry the same value; lists are joined with commas.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            let parts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            parts.map(|parts| parts.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn apply_flags(draft: &mut Draft, flags: &Flags) -> Result<(), ConfigError> {
    let advertise = (!flags.advertise.is_empty()).then(|| flags.advertise.join(","));
    let given = [
        ("listen", flags.listen.clone()),
        ("advertise", advertise),
        ("port_base", flags.port_base.map(|base| base.to_string())),
        ("rest", flags.rest.clone()),
        ("open_rest", flags.open_rest.then(|| true.to_string())),
        ("region", flags.region.clone()),
        ("emulate", flags.emulate.then(|| true.to_string())),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            let key = Key::named(name).expect("every flag has a row in the table");
            apply(draft, key, &value, Origin::Flag(key.flag.expect("and the row names it")))?;
        }
    }
    Ok(())
}

fn apply(draft: &mut Draft, key: &'static Key, value: &str, origin: Origin) -> Result<(), ConfigError> {
    (key.set)(draft, value).map_err(|super::key::NotAsExpected| not_as_expected(key, value.to_owned(), origin))
}

fn not_as_expected(key: &Key, value: String, origin: Origin) -> ConfigError {
    ConfigError::Value { key: key.name, value, origin, expected: key.expected }
}

/// The variables with this program's prefix; only their values have to be UTF-8.
fn hedgerow_variables(all: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in all {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        match value.into_string() {
            Ok(value) => found.push((name.to_owned(), value)),
            Err(_) if name == DATA_VARIABLE => {} // a path may be any bytes
            Err(_) => return Err(ConfigError::NotUnicode { variable: name.to_owned() }),
        }
    }
    Ok(found)
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> Option<&'a str> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A longer configuration file is refused unread.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;
const FILE_NAME: &str = "hedgerow.toml";
const PREFIX: &str = "HEDGEROW_";
const DATA_VARIABLE: &str = "HEDGEROW_DATA";
const FILE_VARIABLE: &str = "HEDGEROW_CONFIG";
/// Variables with the prefix that are not keys: where the file lies, and the ticket that `join` reads.
const OTHER_VARIABLES: [&str; 2] = [FILE_VARIABLE, "HEDGEROW_TICKET"];

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
