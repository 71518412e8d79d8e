//! A model as an OCI artifact in `ModelPack`'s manner: a manifest that names a configuration, the
//! graph and the weights by digest.
//!
//! [`pack()`] makes one, [`open()`] checks every byte against the manifest and reads it,
//! [`Bundle`] carries one with its signatures through a single HTTP body. Who may publish is
//! decided by [`crate::publish`]; opening alone proves integrity, not origin.

mod bundle;
mod config;
mod manifest;
mod open;
mod pack;

pub use bundle::{BUNDLE_BYTES_MAX, Bundle, BundleError};
pub use config::{CONFIG_BYTES_MAX, Config};
pub use manifest::{Descriptor, Layer, MANIFEST_BYTES_MAX, Manifest, ManifestError};
pub use open::{ArtifactError, Opened, open};
pub use pack::{Artifact, PackError, pack};

#[cfg(test)]
mod tests;
