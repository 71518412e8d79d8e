//! The image: one static binary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::Command;

use super::engine::{Engine, EngineError};
use super::render::IMAGE;
use crate::commands::say;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// See the text of the cause.
    #[error("make the image {IMAGE}")]
    Engine(#[source] EngineError),
    /// The sources that this program was built from are gone: name a binary with `HEDGEROW_STATIC_BINARY`.
    #[error("find the sources in {}; name a static binary with HEDGEROW_STATIC_BINARY", folder.display())]
    NoSources {
        /// Where they were.
        folder: PathBuf,
    },
    /// Cargo could not be executed: name a binary with `HEDGEROW_STATIC_BINARY`.
    #[error("execute cargo; name a static binary with HEDGEROW_STATIC_BINARY")]
    Cargo(#[source] io::Error),
    /// Cargo failed and said why.
    #[error("build the static binary: cargo ended with {exit}")]
    Build {
        /// How it ended.
        exit: ExitStatus,
    },
    /// The binary or the build context cannot be read or written.
    #[error("put {} into the build context", binary.display())]
    Context {
        /// The binary.
        binary: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It would not start in an image without libraries. Build it with `-C target-feature=+crt-static`.
    #[error("use {}, which is not a static binary: build it with RUSTFLAGS=\"-C target-feature=+crt-static\"", binary.display())]
    NotStatic {
        /// The binary.
        binary: PathBuf,
    },
}

/// Makes the image out of `static_binary`, or out of one that is built first, with `context` as a folder to work in.
/// Says so at once where no engine answers, since a build takes minutes.
pub(crate) async fn prepare(static_binary: Option<PathBuf>, context: &Path) -> Result<(), ImageError> {
    let engine = Engine::find().await.map_err(ImageError::Engine)?;
    let binary = match static_binary {
        Some(binary) => binary,
        None => build().await?,
    };
    let unreadable = |source| ImageError::Context { binary: binary.clone(), source };
    if !is_static(&fs::read(&binary).map_err(unreadable)?) {
        return Err(ImageError::NotStatic { binary });
    }
    fs::create_dir_all(context)
        .and_then(|()| fs::copy(&binary, context.join("hedgerow")))
        .and_then(|_bytes| fs::write(context.join("Dockerfile"), DOCKERFILE))
        .map_err(unreadable)?;
    let folder = context.to_string_lossy();
    engine.docker(&["build", "--quiet", "--tag", IMAGE, &folder]).await.map_err(ImageError::Engine)?;
    fs::remove_dir_all(context).map_err(unreadable)
}

/// Builds the node as a static binary in a target folder of its own: with other flags in a shared one every dependency
/// would be built anew each time.
async fn build() -> Result<PathBuf, ImageError> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !sources.join("Cargo.lock").exists() {
        return Err(ImageError::NoSources { folder: sources });
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| sources.join("target"), PathBuf::from);
    let target = target.join("static");
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    say("building the static binary");
    let exit = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", "hedgerow", "--target", &triple, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(&sources)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(ImageError::Cargo)?;
    if !exit.success() {
        return Err(ImageError::Build { exit });
    }
    Ok(target.join(triple).join("release/hedgerow"))
}

/// Whether a 64-bit little-endian ELF file asks for no interpreter (System V ABI, program headers: `PT_INTERP` is 3).
fn is_static(elf: &[u8]) -> bool {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let field = elf.get(at..at.checked_add(bytes)?)?;
        field.iter().rev().try_fold(0_usize, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()))
    };
    let interpreter = || -> Option<bool> {
        let (first, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let kinds = (0..count).map(|index| number(first.checked_add(index * size)?, 4));
        kinds.collect::<Option<Vec<_>>>().map(|kinds| kinds.contains(&PT_INTERP))
    };
    elf.starts_with(b"\x7fELF\x02\x01") && interpreter() == Some(false)
}

const PT_INTERP: usize = 3;

const DOCKERFILE: &str = include_str!("../../compose/Dockerfile");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_that_needs_a_loader_is_not_static() {
        let elf = |kind: u8| {
            let mut bytes = vec![0; 64 + 2 * 56];
            bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
            (bytes[32], bytes[54], bytes[56]) = (64, 56, 2);
            bytes[64] = 1;
            bytes[64 + 56] = kind;
            bytes
        };
        assert!(is_static(&elf(2)));
        assert!(!is_static(&elf(3)));
        assert!(!is_static(&elf(2)[..100]), "cut inside the headers");
        assert!(!is_static(b"#!/bin/sh"));
    }

    #[tokio::test]
    async fn this_test_binary_is_refused_as_an_image() {
        let this = fs::read("/proc/self/exe").expect("readable");
        assert!(!is_static(&this), "tests are linked dynamically");
    }
}
