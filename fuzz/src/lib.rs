//! The corpus of every decoder in [`hedgerow::hostile`]: bytes that were interesting once.

use std::fs;
use std::io;
use std::path::PathBuf;

/// One file of a corpus.
#[derive(Debug)]
pub struct Entry {
    /// Its name; `taken-…` is of the decoder's form.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The corpus of a decoder, by name.
///
/// # Errors
/// What the system says, also where there is none.
pub fn corpus(decoder: &str) -> io::Result<Vec<Entry>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(decoder);
    let mut entries = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        entries.push(Entry { name, bytes: fs::read(file.path())? });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
