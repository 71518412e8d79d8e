//! The text of a secret key file. Each line names what its key is for, so that a key put in the wrong place is refused,
//! and a checksum line tells a damaged file from an old one. Reading and writing files is for others.

use crate::digest::Sha256Digest;
use crate::key::SecretKey;
use crate::text::{Base32, TextForm as _};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// First line of every secret file; the digit is the version.
const HEADER: &str = "hedgerow-secret 1";

/// Characters of a file at most; one with every purpose has under 900.
const TEXT_MAX: usize = 4096;

/// Keeps the checksum apart from every other digest of the same text.
const CHECKSUM_CONTEXT: &[u8] = b"hedgerow secret file checksum 1\0";

/// What a secret key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPurpose {
    /// A node's transport key in use.
    Transport,
    /// The transport key that the node's chain committed to.
    NextTransport,
    /// A node's statement key.
    Statement,
    /// A node's audit key.
    Audit,
    /// A node's witness key.
    Witness,
    /// A node's x25519 key, to which secrets are sealed.
    Seal,
    /// A publisher of the root.
    Publisher,
    /// An operator of the root.
    Operator,
    /// A membership key of the root.
    Membership,
    /// A revocation key of the root.
    Revocation,
    /// A policy key of the root.
    Policy,
    /// Signs TUF's snapshot and timestamp.
    Freshness,
}

impl SecretPurpose {
    const ALL: [Self; 12] = [
        Self::Transport,
        Self::NextTransport,
        Self::Statement,
        Self::Audit,
        Self::Witness,
        Self::Seal,
        Self::Publisher,
        Self::Operator,
        Self::Membership,
        Self::Revocation,
        Self::Policy,
        Self::Freshness,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::NextTransport => "next-transport",
            Self::Statement => "statement",
            Self::Audit => "audit",
            Self::Witness => "witness",
            Self::Seal => "seal",
            Self::Publisher => "publisher",
            Self::Operator => "operator",
            Self::Membership => "membership",
            Self::Revocation => "revocation",
            Self::Policy => "policy",
            Self::Freshness => "freshness",
        }
    }
}

impl fmt::Display for SecretPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Why a text is not a secret file or lacks the key in question. No message repeats any part of the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretFileError {
    /// Not a secret file, or one of a later release.
    #[error("text that does not begin with \"{HEADER}\"")]
    Header,
    /// Longer than any secret file.
    #[error("text of {0} characters where 4096 are the most")]
    TooLong(usize),
    /// The checksum does not match: restore the file from a backup.
    #[error("damaged secret file: its checksum does not match")]
    Damaged,
    /// A line is not a known purpose, a space and a key, or repeats a purpose.
    #[error("line {0} that is not a purpose and its key")]
    Line(usize),
    /// The file holds no key for this purpose: it is another kind of secret file.
    #[error("secret file without a {0} key")]
    Missing(SecretPurpose),
}

/// Secret keys by purpose; wiped when dropped, and `Debug` shows purposes only.
#[derive(Default)]
pub struct SecretFile(BTreeMap<SecretPurpose, Zeroizing<[u8; 32]>>);

impl SecretFile {
    /// A file with one key.
    #[must_use]
    pub fn of(purpose: SecretPurpose, key: &SecretKey) -> Self {
        let mut file = Self::default();
        file.insert(purpose, key.seed());
        file
    }

    /// Sets the seed for a purpose, in place of an earlier one.
    pub fn insert(&mut self, purpose: SecretPurpose, seed: Zeroizing<[u8; 32]>) {
        self.0.insert(purpose, seed);
    }

    /// The ed25519 key for a purpose.
    ///
    /// # Errors
    /// [`SecretFileError::Missing`].
    pub fn key(&self, purpose: SecretPurpose) -> Result<SecretKey, SecretFileError> {
        self.seed(purpose).map(|seed| SecretKey::from_seed(**seed))
    }

    /// The seed for a purpose.
    ///
    /// # Errors
    /// [`SecretFileError::Missing`].
    pub fn seed(&self, purpose: SecretPurpose) -> Result<&Zeroizing<[u8; 32]>, SecretFileError> {
        self.0.get(&purpose).ok_or(SecretFileError::Missing(purpose))
    }

    /// The text, wiped when dropped.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<String> {
        // Reserved at once: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(TEXT_MAX));
        text.push_str(HEADER);
        text.push('\n');
        for (purpose, seed) in &self.0 {
            let seed = Zeroizing::new(Base32::encode(seed.as_slice()));
            for part in [purpose.word(), " ", &seed, "\n"] {
                text.push_str(part);
            }
        }
        let checksum = checksum(&text);
        for part in ["check ", &checksum, "\n"] {
            text.push_str(part);
        }
        text
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`SecretFileError`].
    pub fn decode(text: &str) -> Result<Self, SecretFileError> {
        if text.len() > TEXT_MAX {
            return Err(SecretFileError::TooLong(text.len()));
        }
        let Some(("", after_header)) = text.split_once(HEADER) else {
            return Err(SecretFileError::Header);
        };
        let body = after_header.strip_prefix('\n').ok_or(SecretFileError::Header)?;
        let (keys, stated) = body.split_once("check ").ok_or(SecretFileError::Damaged)?;
        let covered = text.strip_suffix(stated).and_then(|head| head.strip_suffix("check "));
        if covered.map(checksum).as_deref() != stated.strip_suffix('\n') {
            return Err(SecretFileError::Damaged);
        }
        let mut file = Self::default();
        for (line, number) in keys.split_terminator('\n').zip(2..) {
            let (purpose, seed) = parse_line(line).ok_or(SecretFileError::Line(number))?;
            if file.0.insert(purpose, seed).is_some() {
                return Err(SecretFileError::Line(number));
            }
        }
        Ok(file)
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretFile").field(&self.0.keys().collect::<Vec<_>>()).finish()
    }
}

fn parse_line(line: &str) -> Option<(SecretPurpose, Zeroizing<[u8; 32]>)> {
    let (word, seed) = line.split_once(' ')?;
    let purpose = SecretPurpose::ALL.into_iter().find(|purpose| purpose.word() == word)?;
    let seed = Base32::decode(seed).ok()?;
    Some((purpose, Zeroizing::new(seed)))
}

fn checksum(text: &str) -> String {
    let mut covered = Zeroizing::new(Vec::with_capacity(CHECKSUM_CONTEXT.len() + text.len()));
    covered.extend_from_slice(CHECKSUM_CONTEXT);
    covered.extend_from_slice(text.as_bytes());
    let mut digest = Sha256Digest::of(&covered).to_string();
    digest.truncate(8);
    digest
}

#[cfg(test)]
#[path = "secretfile_tests.rs"]
mod tests;
