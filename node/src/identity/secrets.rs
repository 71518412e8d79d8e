//! Secret key files: mode 0600 or refused.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hedgerow_attest::key::SecretKey;
use hedgerow_attest::secretfile::{SecretFile, SecretFileError, SecretPurpose};
use zeroize::Zeroizing;

use crate::store::file;

/// Why secret keys cannot be read or made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Others on this machine may read it.
    #[error("read secret keys: {} has mode {mode:04o} and others may read it; run `chmod 600 {}`", path.display(), path.display())]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system refused, or the file is not there.
    #[error("{action} secret keys {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is damaged, or of another kind.
    #[error("read secret keys {}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: SecretFileError,
    },
    /// The system has no random numbers.
    #[error("make secret keys: the system gave no random numbers")]
    Random(#[source] getrandom::Error),
}

/// Reads a secret key file that only its owner may read.
pub fn load_secrets(path: &Path) -> Result<SecretFile, SecretError> {
    let refused = |source| SecretError::Io { action: "read", path: path.to_path_buf(), source };
    let file = OpenOptions::new().read(true).open(path).map_err(refused)?;
    // Of the open file, so that nobody can swap it in between.
    let mode = file.metadata().map_err(refused)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretError::TooOpen { path: path.to_path_buf(), mode });
    }
    // Reserved at once: growing would leave copies of secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(SECRET_FILE_BYTES_MAX));
    file.take(SECRET_FILE_BYTES_MAX as u64).read_to_string(&mut text).map_err(refused)?;
    SecretFile::decode(&text).map_err(|source| SecretError::Malformed { path: path.to_path_buf(), source })
}

/// The keys in a file; where there is no file, fresh ones, which are durable when this returns.
///
/// A key that is there is never replaced: somebody may have nothing but this copy.
pub(super) fn load_or_make(path: &Path, purposes: &[SecretPurpose]) -> Result<SecretFile, SecretError> {
    match load_secrets(path) {
        Err(SecretError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    let mut secrets = SecretFile::default();
    for purpose in purposes {
        secrets.insert(*purpose, random_seed()?);
    }
    make(path, &secrets)?;
    Ok(secrets)
}

/// Writes a secret key file where there is none.
pub(super) fn make(path: &Path, secrets: &SecretFile) -> Result<(), SecretError> {
    file::create(path, secrets.encode().as_bytes()).map_err(|source| SecretError::Io {
        action: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// The key for one purpose, with the file named where it lacks it.
pub(super) fn key(path: &Path, secrets: &SecretFile, purpose: SecretPurpose) -> Result<SecretKey, SecretError> {
    secrets.key(purpose).map_err(|source| SecretError::Malformed { path: path.to_path_buf(), source })
}

pub(super) fn random_seed() -> Result<Zeroizing<[u8; 32]>, SecretError> {
    random().map(Zeroizing::new).map_err(SecretError::Random)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// More than any secret file has; a longer one does not decode.
const SECRET_FILE_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn keys_are_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("publisher.key");
        let made = load_or_make(&path, &[SecretPurpose::Publisher]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let loaded = load_or_make(&path, &[SecretPurpose::Publisher]).unwrap();
        let public = |secrets: &SecretFile| secrets.key(SecretPurpose::Publisher).unwrap().public();
        assert_eq!(public(&made), public(&loaded));
        assert!(make(&path, &made).is_err(), "what is there is not replaced");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("publisher.key");
        load_or_make(&path, &[SecretPurpose::Publisher]).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = load_secrets(&path).unwrap_err();
            assert!(matches!(&error, SecretError::TooOpen { mode: found, .. } if *found == mode), "{error}");
            assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        load_secrets(&path).unwrap();
    }

    #[test]
    fn a_damaged_or_other_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("publisher.key");
        let secrets = load_or_make(&path, &[SecretPurpose::Publisher]).unwrap();
        assert!(matches!(
            key(&path, &secrets, SecretPurpose::Operator),
            Err(SecretError::Malformed { source: SecretFileError::Missing(SecretPurpose::Operator), .. })
        ));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("publisher ", "publisher a", 1)).unwrap();
        assert!(matches!(load_secrets(&path), Err(SecretError::Malformed { .. })));
    }
}
