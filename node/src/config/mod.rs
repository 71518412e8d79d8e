//! The configuration of a process: file, then environment, then flags; unknown keys are refused.
//!
//! One table ([`KEYS`]) names every key with its unit, default, variable and flag; the file, the environment and the
//! flags are all read through it, and `docs/config.md` is checked against it. Nothing outside this module reads the
//! environment.

mod key;
mod load;
mod settings;

pub use key::{KEYS, Key};
pub use load::{ConfigError, FILE_BYTES_MAX, Flags, Origin, data_folder, default_data_dir};
pub use settings::{ArtifactLimits, Config, LogConfig, LogFormat, LogLevel};
