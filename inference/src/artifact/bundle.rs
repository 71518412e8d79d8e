//! An artifact and its signatures as one HTTP body.
//!
//! Layout: magic `HgBn`, a version byte, then five parts in fixed order (manifest, config, graph,
//! weights, envelope), each a 64-bit little-endian length and that many bytes.

use hedgerow_attest::dsse::{DsseError, ENVELOPE_MAX, Envelope};

use super::{
    manifest::{Layer, MANIFEST_BYTES_MAX, Manifest, ManifestError},
    pack::Artifact,
};

/// Version of the layout.
const VERSION: u8 = 1;
const MAGIC: [u8; 4] = *b"HgBn";
const PARTS: [(&str, usize); 5] = [
    ("manifest", MANIFEST_BYTES_MAX),
    ("config", super::CONFIG_BYTES_MAX),
    ("graph", crate::ir::GRAPH_BYTES_MAX),
    ("weights", crate::weights::WEIGHTS_BYTES_MAX),
    ("envelope", ENVELOPE_MAX),
];

/// Largest bundle: every part at its bound. A node that takes less says so with its own limit.
pub const BUNDLE_BYTES_MAX: usize = {
    let mut sum = MAGIC.len() + 1;
    let mut part = 0;
    while part < PARTS.len() {
        sum += 8 + PARTS[part].1;
        part += 1;
    }
    sum
};

/// An artifact with the publishers' envelope over its statement. Neither is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The artifact; [`Artifact::open`] compares its blobs with its manifest.
    pub artifact: Artifact,
    /// The signatures; [`crate::publish::verify`] checks them.
    pub envelope: Envelope,
}

/// Why bytes are no bundle. A retry with the same bytes fails again.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes do not begin as a bundle does.
    #[error("not a bundle: the magic bytes are missing")]
    Magic,
    /// Written by another version of this crate; push again with one that both sides have.
    #[error("bundle has version {found}, this node reads {VERSION}")]
    Version {
        /// The version byte found.
        found: u8,
    },
    /// A part is cut short.
    #[error("bundle ends within its {part}")]
    CutShort {
        /// The part.
        part: &'static str,
    },
    /// A part is larger than its kind may be.
    #[error("{part} of {bytes} bytes is larger than {most}")]
    PartSize {
        /// The part.
        part: &'static str,
        /// The length stated.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// Bytes follow the last part.
    #[error("{bytes} bytes follow the bundle")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The first part is no manifest.
    #[error("manifest is refused")]
    Manifest(#[source] ManifestError),
    /// The last part is no envelope.
    #[error("envelope is refused")]
    Envelope(#[source] DsseError),
}

impl Bundle {
    /// The body to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        let envelope = self.envelope.to_json();
        let blobs = Layer::ALL.map(|layer| self.artifact.blob(layer));
        let [config, graph, weights] = blobs;
        let parts = [self.artifact.manifest.bytes(), config, graph, weights, &envelope];
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        for part in parts {
            bytes.extend((part.len() as u64).to_le_bytes());
            bytes.extend(part);
        }
        bytes
    }

    /// Reads a body; lengths are compared with their bounds before anything is copied.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let rest = bytes.strip_prefix(&MAGIC).ok_or(BundleError::Magic)?;
        let (version, mut rest) = rest.split_first().ok_or(BundleError::Magic)?;
        if *version != VERSION {
            return Err(BundleError::Version { found: *version });
        }
        let mut parts = [[].as_slice(); PARTS.len()];
        for (slot, (part, most)) in parts.iter_mut().zip(PARTS) {
            (*slot, rest) = split(rest, part, most as u64)?;
        }
        if !rest.is_empty() {
            return Err(BundleError::Trailing { bytes: rest.len() });
        }
        let [manifest, config, graph, weights, envelope] = parts;
        let manifest = Manifest::parse(manifest).map_err(BundleError::Manifest)?;
        let envelope = Envelope::from_json(envelope).map_err(BundleError::Envelope)?;
        let [config, graph, weights] = [config, graph, weights].map(<[u8]>::to_vec);
        Ok(Self { artifact: Artifact { manifest, config, graph, weights }, envelope })
    }
}

/// The next part and what follows it.
fn split<'a>(bytes: &'a [u8], part: &'static str, most: u64) -> Result<(&'a [u8], &'a [u8]), BundleError> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(BundleError::CutShort { part })?;
    let length = u64::from_le_bytes(*length);
    if length > most {
        return Err(BundleError::PartSize { part, bytes: length, most });
    }
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    split.ok_or(BundleError::CutShort { part })
}
