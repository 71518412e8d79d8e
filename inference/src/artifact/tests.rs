use hedgerow_attest::key::SecretKey;
use proptest::prelude::*;

use super::*;
use crate::{onnx::testing, publish};

fn artifact() -> Artifact {
    pack("small".parse().unwrap(), "1.0".parse().unwrap(), &testing::small()).unwrap()
}

fn bundle() -> Bundle {
    let artifact = artifact();
    let envelope = publish::statement(&artifact.manifest).sign(&[&SecretKey::from_seed([1; 32])]);
    Bundle { artifact, envelope }
}

fn with_blob(layer: Layer, change: impl FnOnce(&mut Vec<u8>)) -> Artifact {
    let mut artifact = artifact();
    change(match layer {
        Layer::Config => &mut artifact.config,
        Layer::Graph => &mut artifact.graph,
        Layer::Weights => &mut artifact.weights,
    });
    artifact
}

/// Version 1 as publishers sign it. A change here is a new version, not a new fixture.
const MANIFEST: &str = include_str!("fixtures/manifest-v1.json").trim_ascii_end();
const CONFIG: &str = include_str!("fixtures/config-v1.json").trim_ascii_end();

#[test]
fn the_manifest_keeps_its_bytes() {
    let artifact = artifact();
    assert_eq!(std::str::from_utf8(artifact.manifest.bytes()).unwrap(), MANIFEST);
    assert_eq!(Manifest::parse(MANIFEST.as_bytes()).unwrap(), artifact.manifest);
    assert_eq!(std::str::from_utf8(&artifact.config).unwrap(), CONFIG);
}

#[test]
fn what_was_packed_opens() {
    let opened = artifact().open().unwrap();
    let lowered = testing::small();
    assert_eq!(opened.graph(), &lowered.graph);
    assert_eq!(opened.weights().bytes(), lowered.weights);
    assert_eq!(opened.config().model(), *opened.manifest().model());
    assert_eq!(opened.manifest().model().to_string(), "small@1.0");
}

#[test]
fn a_flipped_byte_anywhere_is_refused_with_its_layer() {
    for layer in Layer::ALL {
        for at in 0..artifact().blob(layer).len() {
            let damaged = with_blob(layer, |bytes| bytes[at] ^= 0x20);
            assert!(
                matches!(damaged.open(), Err(ArtifactError::Digest { layer: named, .. }) if named == layer),
                "{layer} at {at}"
            );
        }
        let longer = with_blob(layer, |bytes| bytes.push(0));
        assert!(matches!(longer.open(), Err(ArtifactError::Length { layer: named, .. }) if named == layer));
    }
    let absent = open(artifact().manifest.bytes(), |_, _| None);
    assert!(matches!(absent, Err(ArtifactError::Missing { layer: Layer::Config, .. })));
}

#[test]
fn manifests_of_other_things_are_refused_by_field() {
    let edited = |from: &str, to: &str| {
        assert!(MANIFEST.contains(from), "{from}");
        Manifest::parse(MANIFEST.replacen(from, to, 1).as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(
        edited("application/vnd.cncf.model.manifest.v1+json", "application/vnd.example"),
        "manifest is not of a model: `artifactType` is \"application/vnd.example\""
    );
    assert_eq!(edited("\"schemaVersion\":2", "\"schemaVersion\":1"), {
        "manifest does not list exactly a graph and its weights"
    });
    assert_eq!(edited("sha256:", "sha512:"), "manifest lacks a readable `digest`");
    assert_eq!(edited("io.hedgerow.blake3", "io.example"), "manifest lacks a readable `io.hedgerow.blake3`");
    assert_eq!(edited("\":\"small\"", "\":\"../small\""), {
        "manifest lacks a readable `org.opencontainers.image.title`"
    });
    let long = " ".repeat(MANIFEST_BYTES_MAX + 1);
    assert!(matches!(Manifest::parse(long.as_bytes()), Err(ManifestError::Size { .. })));
    let size = format!("\"size\":{}", artifact().weights.len());
    assert_eq!(edited(&size, "\"size\":9999999999"), "weights of 9999999999 bytes is larger than 1073741824");
}

#[test]
fn a_bundle_carries_artifact_and_envelope() {
    let bytes = bundle().to_bytes();
    assert_eq!(&bytes[..5], b"HgBn\x01");
    assert_eq!(Bundle::from_bytes(&bytes).unwrap(), bundle());
}

#[test]
fn damaged_bundles_are_refused_by_part() {
    let bytes = bundle().to_bytes();
    let text = |bytes: &[u8]| Bundle::from_bytes(bytes).unwrap_err().to_string();
    assert_eq!(text(b"PK"), "not a bundle: the magic bytes are missing");
    assert_eq!(text(b"HgBn\x02"), "bundle has version 2, this node reads 1");
    assert_eq!(text(&bytes[..20]), "bundle ends within its manifest");
    assert_eq!(text(&bytes[..bytes.len() - 1]), "bundle ends within its envelope");
    assert_eq!(text(&[&bytes[..], b"x"].concat()), "1 bytes follow the bundle");
    let mut claims = bytes[..13].to_vec();
    claims[5..].fill(0xff);
    assert_eq!(text(&claims), "manifest of 18446744073709551615 bytes is larger than 65536");
}

proptest! {
    #[test]
    fn hostile_manifests_and_bundles_never_panic(at in 0usize..8000, byte: u8, cut in 0usize..8000) {
        let mut manifest = artifact().manifest.bytes().to_vec();
        let place = at % manifest.len();
        manifest[place] = byte;
        if let Ok(parsed) = Manifest::parse(&manifest) {
            prop_assert_eq!(parsed.bytes(), manifest);
        }
        let mut bytes = bundle().to_bytes();
        let place = at % bytes.len();
        bytes[place] = byte;
        if let Ok(parsed) = Bundle::from_bytes(&bytes) {
            // The bytes may have been changed where nothing is compared before opening.
            let opened = parsed.artifact.open().is_ok();
            prop_assert!(!opened || parsed.artifact == bundle().artifact || parsed.artifact.manifest != bundle().artifact.manifest);
        }
        bytes.truncate(cut % bytes.len());
        prop_assert!(Bundle::from_bytes(&bytes).is_err());
    }
}
