//! What several operators sign, one after the other: handed on in a file.

use std::path::Path;

use super::failure::{CliError, Exit};
use super::output::{counted, line};

/// Writes it for the next operator, who goes on with `command` and the file.
pub(super) fn hand_on(path: &Path, bytes: &[u8], signatures: usize, command: &str) -> Result<Exit, CliError> {
    write(path, bytes)?;
    let (signed, path) = (counted(signatures, "operator"), path.display());
    line(&format!("signed by {signed} and written to {path}; another one signs it with `{command} {path}`"))?;
    Ok(Exit::Ok)
}

/// Writes it to a file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    std::fs::write(path, bytes).map_err(|error| {
        let remedy = format!("see that the folder of {} exists and may be written", path.display());
        CliError::local("write the statement", error, Some(remedy))
    })
}

/// An envelope takes no more signatures.
pub(super) fn full() -> CliError {
    CliError::Usage {
        what: "the statement carries as many signatures as it may".to_owned(),
        remedy: "sign with fewer keys, or hand it in as it is",
    }
}
