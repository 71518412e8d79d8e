//! The files of the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every text file of the repository by its path from the root, with `/` between folders.
pub(super) fn texts() -> BTreeMap<String, String> {
    let root = root();
    let mut texts = BTreeMap::new();
    collect(&root, &root, &mut texts);
    for known in ["Cargo.toml", "attest/src/lib.rs", "testnet/tests/tidy/source.rs"] {
        assert!(texts.contains_key(known), "the walk missed {known}");
    }
    texts
}

/// The Rust files among them.
pub(super) fn rust() -> BTreeMap<String, String> {
    texts().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// Fails with every complaint on a line of its own.
pub(super) fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaint(s):\n{}", complaints.len(), complaints.join("\n"));
}

/// The root of the workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(root: &Path, folder: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().expect("entries have names").to_string_lossy().into_owned();
        if path.is_symlink() || is_foreign(&path, &name) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts);
        } else if let Ok(text) = String::from_utf8(fs::read(&path).expect("a readable file")) {
            let path = path.strip_prefix(root).expect("below the root");
            texts.insert(path.to_string_lossy().into_owned(), text);
        }
    }
}

/// Build products, virtual environments and what version control keeps for itself.
fn is_foreign(path: &Path, name: &str) -> bool {
    let hidden = name.starts_with('.') && !matches!(name, ".ci" | ".cargo" | ".gitignore" | ".dockerignore");
    hidden || matches!(name, "target" | "__pycache__") || path.join("CACHEDIR.TAG").exists()
}
