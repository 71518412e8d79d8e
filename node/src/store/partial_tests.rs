//! Tests of artifacts that arrive in part.

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::config::ArtifactLimits;
use crate::content::testing::{bytes, outboard, range, receive};
use crate::content::{Held, Holding};

const LIMITS: ArtifactLimits = ArtifactLimits { bytes_max: 4 << 20, total_bytes_max: 9 << 20 };

/// Three ranges and a bit.
const SIZE: usize = (3 << 20) + 70_000;

struct Source {
    bytes: Bytes,
    digest: Sha256Digest,
    holding: Holding,
}

impl Source {
    fn new(seed: u64) -> Self {
        let bytes = bytes(seed, SIZE);
        let holding = Holding::in_memory(outboard(&bytes), bytes.clone());
        Self { digest: Sha256Digest::of(&bytes), bytes, holding }
    }

    fn content(&self) -> Content {
        self.holding.content()
    }

    async fn send(&self, range: GroupRange, to: &Arc<Partial>) {
        let piece = receive(self.content(), range, self.holding.read(range).unwrap(), 1 << 20).unwrap();
        to.clone().store(piece).await.unwrap();
    }

    async fn begin(&self, artifacts: &Artifacts) -> Arc<Partial> {
        Arc::new(artifacts.begin(self.digest, self.content()).await.unwrap())
    }
}

fn open(folder: &TempDir) -> Artifacts {
    Artifacts::open(folder.path(), LIMITS).unwrap()
}

fn files(folder: &TempDir) -> Vec<String> {
    let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_artifact_that_arrived_in_ranges_is_whole_and_served_without_being_hashed_again() {
    let (folder, source) = (tempfile::tempdir().unwrap(), Source::new(1));
    let artifacts = open(&folder);
    let partial = source.begin(&artifacts).await;
    assert_eq!(partial.missing(), [source.content().whole()]);
    source.send(range(128, 192), &partial).await;
    source.send(range(64, 128), &partial).await;
    assert_eq!(partial.missing(), [range(0, 64), range(192, 197)]);
    assert!(matches!(artifacts.held(source.content().blake3()).await.unwrap(), Held::Partly));
    assert!(matches!(
        partial.clone().finish().await,
        Err(ArtifactError::Unfinished { digest, groups: 69 }) if digest == source.digest
    ));
    source.send(range(192, 197), &partial).await;
    source.send(range(0, 64), &partial).await;
    source.send(range(0, 64), &partial).await;
    partial.finish().await.unwrap();

    assert_eq!(files(&folder), [source.digest.to_string(), format!("{}.tree", source.digest)]);
    assert_eq!(artifacts.read(source.digest).await.unwrap(), source.bytes);
    artifacts.verify(source.digest).await.unwrap();
    let tree = fs::read(folder.path().join(format!("{}.tree", source.digest))).unwrap();
    assert_eq!(trees::parse(&tree), Some((source.content(), outboard(&source.bytes).pairs())));
    assert!(matches!(artifacts.held(source.content().blake3()).await.unwrap(), Held::Whole(_)));
    assert_eq!(artifacts.lock().held_bytes, SIZE as u64);
}

#[tokio::test]
async fn a_restart_goes_on_with_what_was_there_and_with_nothing_else() {
    let (folder, source) = (tempfile::tempdir().unwrap(), Source::new(2));
    {
        let artifacts = open(&folder);
        let partial = source.begin(&artifacts).await;
        source.send(range(0, 64), &partial).await;
        source.send(range(128, 192), &partial).await;
        assert!(matches!(
            artifacts.begin(source.digest, source.content()).await,
            Err(ArtifactError::Fetching { digest }) if digest == source.digest
        ));
    }
    let missing = async || source.begin(&open(&folder)).await.missing();
    assert_eq!(missing().await, [range(64, 128), range(192, 197)]);

    // A torn write: bytes of group 5, and those of a group that never arrived.
    let path = folder.path().join(format!("{}.part", source.digest));
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"torn", 5 * 16_384 + 100).unwrap();
    file.write_all_at(&source.bytes[70 * 16_384..71 * 16_384], 70 * 16_384).unwrap();
    assert_eq!(missing().await, [range(5, 6), range(64, 128), range(192, 197)]);

    // A torn hash takes along what it proves: here the left half of the second range that arrived.
    let tree_path = folder.path().join(format!("{}.part.tree", source.digest));
    let tree = fs::read(&tree_path).unwrap();
    let pairs = outboard(&source.bytes).proof(range(128, 129)).0;
    let at = |pair: &[u8]| tree.windows(64).position(|window| window == pair).unwrap();
    let file = OpenOptions::new().write(true).open(&tree_path).unwrap();
    file.write_all_at(&[0; 32], at(&pairs[pairs.len() - 64..]) as u64).unwrap();
    assert_eq!(missing().await, [range(5, 6), range(64, 130), range(192, 197)]);

    // What is left is fetched, and the artifact is whole.
    let artifacts = open(&folder);
    let partial = source.begin(&artifacts).await;
    for range in partial.missing().into_iter().flat_map(GroupRange::cut) {
        source.send(range, &partial).await;
    }
    partial.finish().await.unwrap();
    assert_eq!(artifacts.read(source.digest).await.unwrap(), source.bytes);
}

#[tokio::test]
async fn partial_files_are_within_the_limits_of_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let artifacts = open(&folder);
    let sources = [Source::new(1), Source::new(2), Source::new(3)];
    let (first, second) = (sources[0].begin(&artifacts).await, sources[1].begin(&artifacts).await);
    let refused = artifacts.begin(sources[2].digest, sources[2].content()).await.unwrap_err();
    let held = 2 * SIZE as u64;
    assert!(matches!(refused, ArtifactError::NoRoom { held_bytes, .. } if held_bytes == held), "{refused}");
    let large = Content::new(sources[2].content().blake3(), LIMITS.bytes_max + 1).unwrap();
    assert!(matches!(artifacts.begin(sources[2].digest, large).await, Err(ArtifactError::TooLarge { .. })));
    drop((first, second));

    // They are reserved across a restart, also under smaller limits, and given back when nobody wants them.
    let small = ArtifactLimits { bytes_max: 1, total_bytes_max: 1 };
    assert_eq!(Artifacts::open(folder.path(), small).unwrap().lock().held_bytes, held);
    let artifacts = open(&folder);
    assert_eq!(artifacts.lock().held_bytes, held);
    let open_one = sources[0].begin(&artifacts).await;
    artifacts.keep_parts(BTreeSet::from([sources[2].digest])).await.unwrap();
    assert_eq!(files(&folder).len(), 2, "what is being fetched stays");
    drop(open_one);
    artifacts.keep_parts(BTreeSet::from([sources[0].digest])).await.unwrap();
    assert_eq!(artifacts.lock().held_bytes, SIZE as u64);
    artifacts.keep_parts(BTreeSet::new()).await.unwrap();
    assert_eq!((files(&folder), artifacts.lock().held_bytes), (vec![], 0));

    let small =
        |number: usize| Source { bytes: Bytes::new(), digest: Sha256Digest::of(&[number as u8]), ..Source::new(4) };
    let content = outboard(b"small").content();
    for number in 0..PARTS_MAX {
        drop(artifacts.begin(small(number).digest, content).await.unwrap());
    }
    let digest = small(PARTS_MAX).digest;
    let refused = artifacts.begin(digest, content).await.unwrap_err();
    assert!(matches!(refused, ArtifactError::TooManyParts { count_max: PARTS_MAX, .. }), "{refused}");
}

#[tokio::test]
async fn what_belongs_to_no_partial_file_is_removed_at_the_start() {
    let (folder, source) = (tempfile::tempdir().unwrap(), Source::new(5));
    drop(source.begin(&open(&folder)).await);
    let [part, tree] = ["", ".tree"].map(|suffix| folder.path().join(format!("{}.part{suffix}", source.digest)));
    let kept = fs::read(&tree).unwrap();
    let other = Sha256Digest::of(b"another");
    let spoil: [&dyn Fn(); 4] = [
        &|| fs::remove_file(&part).unwrap(),
        &|| fs::remove_file(&tree).unwrap(),
        &|| fs::write(&tree, &kept[..40]).unwrap(),
        &|| fs::write(&part, "short").unwrap(),
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        drop(source.begin(&open(&folder)).await);
        spoil();
        fs::write(folder.path().join(format!("{other}.tree")), "of nothing").unwrap();
        let artifacts = open(&folder);
        assert_eq!((files(&folder), artifacts.lock().held_bytes), (vec![], 0), "{number}");
    }
}

#[tokio::test]
async fn a_crash_between_both_names_costs_the_tree_alone() {
    let (folder, source) = (tempfile::tempdir().unwrap(), Source::new(9));
    let artifacts = open(&folder);
    let partial = source.begin(&artifacts).await;
    for range in source.content().whole().cut() {
        source.send(range, &partial).await;
    }
    partial.finish().await.unwrap();
    drop(artifacts);
    // As it is after the first of the two: the bytes have their name.
    let [tree, part_tree] =
        ["tree", "part.tree"].map(|suffix| folder.path().join(format!("{}.{suffix}", source.digest)));
    fs::rename(tree, part_tree).unwrap();
    let artifacts = open(&folder);
    assert_eq!(files(&folder), [source.digest.to_string()]);
    artifacts.verify(source.digest).await.unwrap();
    let held = artifacts.held(source.content().blake3()).await.unwrap();
    assert!(matches!(held, Held::Whole(_)), "it is hashed once more, and served");
}

#[tokio::test]
async fn content_under_the_name_of_another_is_refused_and_a_new_manifest_begins_anew() {
    let (folder, source) = (tempfile::tempdir().unwrap(), Source::new(6));
    let artifacts = open(&folder);
    let digest = Sha256Digest::of(b"what the manifest says");
    let partial = Arc::new(artifacts.begin(digest, source.content()).await.unwrap());
    for range in source.content().whole().cut() {
        source.send(range, &partial).await;
    }
    let refused = partial.clone().finish().await.unwrap_err();
    assert!(matches!(refused, ArtifactError::Damaged { found, .. } if found == source.digest), "{refused}");
    assert_eq!((files(&folder), artifacts.lock().held_bytes), (vec![], 0));

    // The one that was refused is still there when the next begins, and does not take it along when it goes.
    let next = Arc::new(artifacts.begin(digest, source.content()).await.unwrap());
    drop(partial);
    assert!(matches!(artifacts.begin(digest, source.content()).await, Err(ArtifactError::Fetching { .. })));
    source.send(range(0, 64), &next).await;
    drop(next);
    let other = outboard(b"another").content();
    let begun = artifacts.begin(digest, other).await.unwrap();
    assert_eq!(begun.missing(), [other.whole()]);
    assert_eq!(artifacts.lock().held_bytes, 7);
}
