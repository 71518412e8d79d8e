//! From an ONNX file to an artifact on disk.

use std::{fs, path::Path};

use hedgerow_inference::{
    artifact::{Artifact, Layer, pack},
    ir::Limits,
    onnx::{LowerLimits, lower},
};

use crate::model::{MEMORY_BYTES_MAX, SYMBOL_MAX, chain};

/// What a publisher does.
pub(crate) fn published(onnx: &[u8]) -> Result<Artifact, String> {
    let graph = Limits { symbol_max: SYMBOL_MAX, memory_bytes_max: MEMORY_BYTES_MAX };
    let limits = LowerLimits { graph, ..LowerLimits::default() };
    let lowered = lower(onnx, &limits).map_err(chain)?;
    let name = "case".parse().map_err(chain)?;
    let version = "1".parse().map_err(chain)?;
    pack(name, version, &lowered).map_err(chain)
}

/// Keeps an artifact in a folder.
pub(crate) fn store(artifact: &Artifact, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("manifest"), artifact.manifest.bytes())?;
    for layer in Layer::ALL {
        fs::write(folder.join(layer.to_string()), artifact.blob(layer))?;
    }
    Ok(())
}
