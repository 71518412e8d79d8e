//! Tests of what stands on the shelf.

use super::super::testing::model;
use super::*;

fn place(version: &str, manifest: &[u8]) -> (ModelRef, Sha256Digest) {
    let model = ModelName::new("fraud").unwrap();
    (ModelRef { model, version: ModelVersion::new(version).unwrap() }, Sha256Digest::of(manifest))
}

fn states(shelf: &Shelf) -> Vec<(String, &'static str)> {
    shelf.rows().into_iter().map(|row| (row.model.version.to_string(), row.state)).collect()
}

fn warm_version(shelf: &Shelf, version: Option<&str>) -> Option<String> {
    let version = version.map(|version| ModelVersion::new(version).unwrap());
    let warm = shelf.warm(&ModelName::new("fraud").unwrap(), version.as_ref())?;
    Some(warm.model.version.to_string())
}

#[test]
fn the_model_before_answers_until_its_successor_is_warm() {
    let shelf = Shelf::default();
    // As text, 9 comes after 10.
    let (old, next) = (place("9", b"old"), place("10", b"next"));
    shelf.fetching(old.clone());
    shelf.settle(&old, Ok(model()));
    let wanted = BTreeMap::from([next.clone()]);
    assert_eq!(shelf.retain(&wanted), []);
    shelf.fetching(next.clone());
    assert_eq!(states(&shelf), [("10".to_owned(), "fetching"), ("9".to_owned(), "warm")]);
    assert_eq!(warm_version(&shelf, None).as_deref(), Some("9"));
    shelf.settle(&next, Ok(model()));
    assert_eq!(warm_version(&shelf, None).as_deref(), Some("10"));
    assert_eq!(warm_version(&shelf, Some("9")).as_deref(), Some("9"));
    assert_eq!(shelf.retain(&wanted), std::slice::from_ref(&old.0), "it answered until then");
    assert_eq!(states(&shelf), [("10".to_owned(), "warm")]);
    assert_eq!(shelf.retain(&BTreeMap::new()), std::slice::from_ref(&next.0));
    assert_eq!(states(&shelf), []);
}

#[test]
fn another_artifact_under_the_same_version_is_another_place() {
    let shelf = Shelf::default();
    let (old, next) = (place("1", b"old"), place("1", b"next"));
    shelf.fetching(old.clone());
    shelf.settle(&old, Ok(model()));
    assert!(shelf.has(&old) && !shelf.has(&next));
    shelf.fetching(next.clone());
    shelf.settle(&next, Err("damaged".to_owned()));
    assert!(!shelf.has(&next));
    assert_eq!(shelf.warm_models(), std::slice::from_ref(&old.0));
    assert_eq!(shelf.retain(&BTreeMap::from([next.clone()])), []);
    assert_eq!(shelf.warm(&old.0.model, None).map(|warm| warm.manifest), Some(old.1));
    let failed = shelf.rows().into_iter().find(|row| row.manifest == next.1).unwrap();
    assert_eq!((failed.state, failed.reason.as_deref()), ("failed", Some("damaged")));
}

#[test]
fn a_loading_that_ends_after_its_place_was_given_up_leaves_nothing() {
    let (shelf, place) = (Shelf::default(), place("1", b"m"));
    shelf.fetching(place.clone());
    assert_eq!(shelf.retain(&BTreeMap::new()), [], "it never answered");
    shelf.settle(&place, Ok(model()));
    assert_eq!(shelf.rows(), []);
}
