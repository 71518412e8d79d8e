//! Tests of artifact files.

use super::*;

const LIMITS: ArtifactLimits = ArtifactLimits { bytes_max: 100, total_bytes_max: 150 };

#[tokio::test]
async fn bytes_come_back_under_their_digest_after_a_restart() {
    let parent = tempfile::tempdir().unwrap();
    let digest = {
        let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
        let digest = artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
        assert_eq!(artifacts.put(Bytes::from_static(b"weights")).await.unwrap(), digest, "twice is once");
        digest
    };
    fs::write(parent.path().join(".staged-left"), "half").unwrap();
    let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
    assert_eq!(digest, Sha256Digest::of(b"weights"));
    assert_eq!(artifacts.read(digest).await.unwrap(), b"weights".as_slice());
    assert_eq!(artifacts.list().unwrap(), [(digest, 7)]);
    assert_eq!(artifacts.read_small(digest, 7).await.unwrap().unwrap(), b"weights".as_slice());
    assert_eq!(artifacts.read_small(digest, 6).await.unwrap(), None);
    assert_eq!(artifacts.read_small(Sha256Digest::of(b"other"), 100).await.unwrap(), None);
    artifacts.verify(digest).await.unwrap();
    assert!(artifacts.holds(digest) && !parent.path().join(".staged-left").exists());
    artifacts.remove(digest).await.unwrap();
    assert!(matches!(artifacts.read(digest).await, Err(ArtifactError::Absent { digest: absent }) if absent == digest));
    assert!(matches!(artifacts.remove(digest).await, Err(ArtifactError::Absent { .. })));
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_and_can_be_mended() {
    let parent = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
    let digest = artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
    fs::write(parent.path().join(digest.to_string()), "weighty").unwrap();
    match artifacts.read(digest).await {
        Err(ArtifactError::Damaged { digest: asked, found }) => {
            assert_eq!((asked, found), (digest, Sha256Digest::of(b"weighty")));
        }
        other => panic!("{other:?}"),
    }
    artifacts.put(Bytes::from_static(b"weights")).await.unwrap();
    assert_eq!(artifacts.read(digest).await.unwrap(), b"weights".as_slice());
}

#[tokio::test]
async fn limits_hold_for_one_file_and_for_all() {
    let parent = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(parent.path(), LIMITS).unwrap();
    let refused = artifacts.put(vec![1; 101].into()).await;
    assert!(matches!(refused, Err(ArtifactError::TooLarge { bytes: 101, bytes_max: 100 })), "{refused:?}");
    let first = artifacts.put(vec![1; 100].into()).await.unwrap();
    let refused = artifacts.put(vec![2; 51].into()).await;
    assert!(
        matches!(refused, Err(ArtifactError::NoRoom { bytes: 51, held_bytes: 100, total_bytes_max: 150 })),
        "{refused:?}"
    );
    artifacts.put(vec![3; 50].into()).await.unwrap();
    artifacts.remove(first).await.unwrap();
    artifacts.put(vec![2; 51].into()).await.unwrap();
    assert_eq!(artifacts.list().unwrap().iter().map(|&(_, bytes)| bytes).sum::<u64>(), 101);
}
