//! Tests of trees beside artifacts.

use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::config::ArtifactLimits;
use crate::content::testing::{bytes, outboard, range, receive};

const LIMITS: ArtifactLimits = ArtifactLimits { bytes_max: 1 << 20, total_bytes_max: 4 << 20 };

async fn stored() -> (TempDir, Artifacts, Bytes, Sha256Digest, Content) {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(folder.path(), LIMITS).unwrap();
    let content = bytes(3, 200_000);
    let digest = artifacts.put(content.clone()).await.unwrap();
    let named = outboard(&content).content();
    (folder, artifacts, content, digest, named)
}

async fn held(artifacts: &Artifacts, content: Content) -> Option<Arc<Holding>> {
    match artifacts.held(content.blake3()).await.unwrap() {
        Held::Whole(holding) => Some(holding),
        Held::Partly => panic!("nothing is fetched"),
        Held::Nothing => None,
    }
}

/// A range from an artifact, as its asker takes it.
fn taken(holding: &Holding) -> Vec<u8> {
    let range = range(3, 13);
    let piece = receive(holding.content(), range, holding.read(range).unwrap(), 4000).unwrap();
    piece.data().to_vec()
}

#[tokio::test]
async fn an_artifact_is_served_in_ranges_by_its_blake3_also_after_a_restart() {
    let (folder, artifacts, content, digest, named) = stored().await;
    let holding = held(&artifacts, named).await.unwrap();
    assert_eq!((holding.content(), taken(&holding)), (named, content[3 * 16_384..].to_vec()));
    let again = held(&artifacts, named).await.unwrap();
    assert!(Arc::ptr_eq(&holding, &again), "askers share what is read of the tree");
    assert!(held(&artifacts, outboard(b"other").content()).await.is_none());

    let artifacts = Artifacts::open(folder.path(), LIMITS).unwrap();
    assert_eq!(taken(&held(&artifacts, named).await.unwrap()), content[3 * 16_384..]);
    artifacts.remove(digest).await.unwrap();
    assert!(held(&artifacts, named).await.is_none());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the tree went with it");
}

#[tokio::test]
async fn a_tree_that_is_missing_or_wrong_is_made_anew() {
    let (folder, artifacts, content, digest, named) = stored().await;
    let path = folder.path().join(format!("{digest}.tree"));
    let right = std::fs::read(&path).unwrap();
    let damaged = |at: usize| {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        Some(wrong)
    };
    for wrong in [None, Some(Vec::new()), Some(right[..100].to_vec()), damaged(0), damaged(7), damaged(90)] {
        match &wrong {
            Some(wrong) => std::fs::write(&path, wrong).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        // A running node finds it when it opens the artifact, one that starts also at its start.
        for artifacts in [artifacts.clone(), Artifacts::open(folder.path(), LIMITS).unwrap()] {
            assert_eq!(taken(&held(&artifacts, named).await.unwrap()), content[3 * 16_384..], "{wrong:?}");
            assert_eq!(std::fs::read(&path).unwrap(), right);
        }
    }
}

#[tokio::test]
async fn a_damaged_artifact_is_not_served_under_a_new_tree() {
    let (folder, _artifacts, _, digest, named) = stored().await;
    std::fs::remove_file(folder.path().join(format!("{digest}.tree"))).unwrap();
    let file = File::options().write(true).open(folder.path().join(digest.to_string())).unwrap();
    file.write_all_at(b"x", 5).unwrap();
    let artifacts = Artifacts::open(folder.path(), LIMITS).unwrap();
    assert!(held(&artifacts, named).await.is_none());
    assert!(matches!(artifacts.verify(digest).await, Err(ArtifactError::Damaged { .. })));
}

#[test]
fn the_form_of_a_tree_is_frozen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tree");
    let tree = outboard(&[7; 40_000]);
    write(&path, &tree).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 45 + 2 * 64);
    assert_eq!(bytes[..13], [b'H', b'g', b'T', b'r', 1, 0x40, 0x9c, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[13..45], *Blake3Digest::of(&[7; 40_000]).as_bytes());
    let frozen = "ba164a4e71a91c4c290a6555e0b2528675b0afd860921d100d17caad04da495d";
    assert_eq!(Sha256Digest::of(&bytes).to_string(), frozen);
    assert_eq!(parse(&bytes), Some((tree.content(), tree.pairs())));
    assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
}
