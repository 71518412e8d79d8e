use serde_json::json;

use super::*;
use crate::{
    engine::{Conflict, EditRefusal},
    ops::Scalar,
    testing::{author, delete, increment, path, put, session},
};

/// One replica's document and its author.
struct Site {
    doc: AutomergeDoc,
    author: Author,
}

impl Site {
    fn new(node: u8) -> Self {
        Self { doc: AutomergeDoc::skeleton(), author: author(node, 1) }
    }

    fn write(&mut self, ops: &[SessionOp]) -> Result<ChangeBytes, EditRefusal> {
        let mut doc = self.doc.clone();
        let change = doc.edit(&self.author, &session("cart"), ops, &Limits::standard())?;
        self.doc = doc;
        Ok(change)
    }
}

/// Both write without having seen the other's write, then exchange.
fn concurrently(before: &[SessionOp], one: &[SessionOp], two: &[SessionOp]) -> Body {
    let (mut left, mut right) = (Site::new(1), Site::new(2));
    if !before.is_empty() {
        let change = left.write(before).unwrap();
        right.doc.apply(&change.bytes).unwrap();
    }
    let (from_left, from_right) = (left.write(one).unwrap(), right.write(two).unwrap());
    left.doc.apply(&from_right.bytes).unwrap();
    right.doc.apply(&from_left.bytes).unwrap();
    assert_eq!(left.doc.heads(), right.doc.heads());
    assert_eq!(left.doc.body(), right.doc.body());
    left.doc.body()
}

fn alone(writes: &[&[SessionOp]]) -> serde_json::Value {
    let mut site = Site::new(1);
    for ops in writes {
        site.write(ops).unwrap();
    }
    site.doc.body().value
}

#[test]
fn the_skeleton_is_frozen() {
    let heads: Vec<String> = AutomergeDoc::skeleton().heads().iter().map(ToString::to_string).collect();
    assert_eq!(heads, ["cd37e1d0785cfc178121b4f1a9f03810385ee5965632ef53116438fffadba0ec"]);
}

#[test]
fn a_write_is_a_function_of_its_author_and_the_document() {
    let (mut one, mut two) = (Site::new(1), Site::new(1));
    let change = one.write(&[put("/a", 1), increment("/n", 2)]).unwrap();
    assert_eq!(two.write(&[put("/a", 1), increment("/n", 2)]).unwrap(), change);
    assert_eq!(change.hash.to_string(), "3a44428d21e457659d853d64349b25f3b921a323630394779a7f8743db8dabf8");
}

#[test]
fn values_of_every_kind_are_shown() {
    let put = |name: &str, value| SessionOp::Put { path: path(&format!("/all/{name}")), value };
    let ops = [
        put("null", Scalar::Null),
        put("bool", Scalar::Bool(true)),
        put("int", Scalar::Int(-3)),
        put("float", Scalar::Float(1.5)),
        put("text", Scalar::Text("ü".into())),
        put("bytes", Scalar::Bytes(vec![0, 255])),
    ];
    let expected =
        json!({"all": {"null": null, "bool": true, "int": -3, "float": 1.5, "text": "ü", "bytes": {"$bytes": "AP8="}}});
    assert_eq!(alone(&[&ops]), expected);
}

#[test]
fn a_place_holds_a_value_or_a_subtree() {
    assert_eq!(alone(&[&[put("/a", 1)], &[put("/a/b", 2)]]), json!({"a": {"b": 2}}));
    assert_eq!(alone(&[&[put("/a/b", 2), put("/a-b", 3)], &[put("/a", 1)]]), json!({"a": 1, "a-b": 3}));
    assert_eq!(alone(&[&[increment("/a", 2)], &[put("/a/b", 2)]]), json!({"a": {"b": 2}}));
}

#[test]
fn a_delete_takes_the_subtree_and_nothing_beside_it() {
    let before = [put("/a/b", 1), put("/a/c/d", 2), put("/ab", 3), increment("/a/n", 4)];
    assert_eq!(alone(&[&before, &[delete("/a")]]), json!({"ab": 3}));
    assert_eq!(alone(&[&before, &[delete("")]]), json!({}));
    assert_eq!(alone(&[&before, &[delete("/nothing")]]), json!({"a": {"b": 1, "c": {"d": 2}, "n": 4}, "ab": 3}));
}

#[test]
fn a_write_without_effect_is_still_a_change() {
    let mut site = Site::new(1);
    site.write(&[put("/a", 1)]).unwrap();
    let before = site.doc.heads();
    let change = site.write(&[put("/a", 1)]).unwrap();
    assert_ne!(site.doc.heads(), before);
    assert_eq!(site.doc.heads(), [change.hash]);
    assert_eq!(site.doc.body().value, json!({"a": 1}));
}

#[test]
fn concurrent_values_are_a_conflict_until_the_next_write() {
    let body = concurrently(&[], &[put("/a", 1)], &[put("/a", 2)]);
    let (winner, loser) = if body.value == json!({"a": 1}) { (1, 2) } else { (2, 1) };
    assert_eq!(body.value, json!({ "a": winner }));
    assert_eq!(body.conflicts, [Conflict { pointer: "/a".into(), lost: vec![json!(loser)] }]);
}

#[test]
fn a_write_resolves_a_conflict() {
    let (mut left, mut right) = (Site::new(1), Site::new(2));
    let (_, foreign) = (left.write(&[put("/a", 1)]).unwrap(), right.write(&[put("/a", 2)]).unwrap());
    left.doc.apply(&foreign.bytes).unwrap();
    left.write(&[put("/a", 3)]).unwrap();
    assert_eq!(left.doc.body(), Body { value: json!({"a": 3}), ..Body::default() });
}

#[test]
fn nothing_written_beside_a_concurrent_delete_is_lost() {
    let body = concurrently(&[put("/a/b", 1)], &[delete("/a")], &[put("/a/c", 2)]);
    assert_eq!(body, Body { value: json!({"a": {"c": 2}}), ..Body::default() });
    let body = concurrently(&[put("/a/b", 1)], &[delete("/a")], &[put("/a/b", 2)]);
    assert_eq!(body, Body { value: json!({"a": {"b": 2}}), ..Body::default() });
}

#[test]
fn a_subtree_is_shown_before_a_concurrent_value_in_its_place() {
    let body = concurrently(&[], &[put("/a", 1)], &[put("/a/b", 2)]);
    assert_eq!(body.value, json!({"a": {"b": 2}}));
    assert_eq!(body.conflicts, [Conflict { pointer: "/a".into(), lost: vec![json!(1)] }]);
}

#[test]
fn increments_all_count_even_the_first_ones() {
    assert_eq!(
        concurrently(&[], &[increment("/n", 2)], &[increment("/n", 3)]),
        Body { value: json!({"n": 5}), ..Body::default() }
    );
    assert_eq!(concurrently(&[put("/n", 10)], &[increment("/n", 2)], &[increment("/n", -3)]).value, json!({"n": 9}));
    assert_eq!(
        alone(&[&[increment("/n", 2)], &[put("/n", 10)], &[increment("/n", 1), increment("/n", 1)]]),
        json!({"n": 12})
    );
}

#[test]
fn increments_of_something_else_are_refused() {
    let mut site = Site::new(1);
    site.write(&[SessionOp::Put { path: path("/t"), value: Scalar::Text("x".into()) }, put("/m/a", 1)]).unwrap();
    for at in ["/t", "/m"] {
        assert_eq!(site.write(&[increment(at, 1)]), Err(EditRefusal::NotACounter { pointer: at.into() }));
    }
    site.write(&[increment("/n", i64::MAX)]).unwrap();
    assert_eq!(site.write(&[increment("/n", 1)]), Err(EditRefusal::CounterOverflow { pointer: "/n".into() }));
}

#[test]
fn a_body_beyond_the_bound_is_refused() {
    let large = |at: usize| SessionOp::Put { path: path(&format!("/{at}")), value: Scalar::Bytes(vec![7; 4096]) };
    let mut site = Site::new(1);
    site.write(&(0..15).map(large).collect::<Vec<_>>()).unwrap();
    let refusal = site.write(&[large(15), large(16)]);
    let bytes = 10 * (4096 + 2) + 7 * (4096 + 3);
    assert_eq!(refusal, Err(EditRefusal::BodyTooLarge { bytes, max: 65_536 }));
}

#[test]
fn bytes_that_are_no_change_are_refused() {
    let mut doc = AutomergeDoc::skeleton();
    assert_eq!(doc.apply(b"nothing"), Err(EngineRefusal::Unparsable));
}
