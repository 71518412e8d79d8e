//! The scenarios that come with the program, and those in files.

use super::spec::Scenario;
use std::path::{Path, PathBuf};
use thiserror::Error;

macro_rules! scenarios {
    ($($name:literal),+ $(,)?) => {
        /// Every scenario that comes with the program, by name.
        const LIBRARY: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../scenarios/", $name, ".toml")))),+];
    };
}

scenarios![
    "crash",
    "departure",
    "failover",
    "idle",
    "loss",
    "monitoring",
    "partition",
    "recovery",
    "review",
    "scale",
    "smoke",
    "split",
    "storm"
];

/// Why there is no scenario to play.
#[derive(Debug, Error)]
pub(crate) enum LibraryError {
    /// Neither a name nor a file.
    #[error("scenario {name:?}: neither one of {} nor a file that can be read", names().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A file that is no scenario.
    #[error("scenario in {path}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// The names of the scenarios that come with the program.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LIBRARY.iter().map(|(name, _)| *name)
}

/// The scenario of that name, or in that file.
pub(crate) fn load(name: &str) -> Result<Scenario, LibraryError> {
    let read = |path: &Path, text: &str| {
        toml::from_str(text)
            .map_err(|source| LibraryError::Malformed { path: path.to_owned(), source: Box::new(source) })
    };
    if let Some((name, text)) = LIBRARY.iter().find(|(known, _)| *known == name) {
        return read(Path::new(name), text);
    }
    let path = Path::new(name);
    match std::fs::read_to_string(path) {
        Ok(text) => read(path, &text),
        Err(_unreadable) => Err(LibraryError::Unknown { name: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_says_what_it_expects() {
        for name in names() {
            let scenario = load(name).unwrap_or_else(|error| panic!("{name}: {error:?}"));
            assert!(!scenario.cases.is_empty() && !scenario.about.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_no_scenario_is_told_apart() {
        let unknown = load("crsh").unwrap_err().to_string();
        assert!(unknown.starts_with("scenario \"crsh\": neither one of crash, departure"), "{unknown}");
        let unknown_key = toml::from_str::<Scenario>("about = 'x'\ncolour = 1\ncase = []").unwrap_err();
        assert!(unknown_key.to_string().contains("unknown field `colour`"), "{unknown_key}");
    }
}
