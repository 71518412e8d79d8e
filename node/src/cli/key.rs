//! The keys with which operators, publishers and policy makers sign.

use std::path::{Path, PathBuf};

use hedgerow_attest::key::SecretKey;
use hedgerow_attest::secretfile::SecretPurpose;

use super::failure::CliError;
use crate::identity::load_secrets;

/// A kind of signing key.
pub(super) struct SigningKey {
    pub(super) purpose: SecretPurpose,
    /// What is done, for the error.
    pub(super) operation: &'static str,
    /// Where else it may be.
    pub(super) remedy: &'static str,
}

impl SigningKey {
    /// Loads it from the file that was named, else from that of the data folder.
    pub(super) fn load(&self, named: Option<&Path>, own: PathBuf) -> Result<SecretKey, CliError> {
        let path = named.map_or(own, Path::to_owned);
        let failed = |cause: anyhow::Error| CliError::Own { cause, remedy: Some(self.remedy) };
        let secrets = load_secrets(&path).map_err(|error| failed(error.into()))?;
        let without = |error| CliError::local(self.operation, error, Some(self.remedy.to_owned()));
        secrets.key(self.purpose).map_err(without)
    }
}
