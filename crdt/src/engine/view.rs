//! A document's body as clients see it: JSON, and what lost against concurrent writes.

use std::collections::BTreeMap;

use automerge::{Automerge, ReadDoc, ScalarValue, Value as EngineValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    engine::{CELL_ID_LENGTH, automerge_doc::Maps},
    ops::Scalar,
    path::from_pointer,
};

/// The body of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// A JSON object; empty when nothing is stored.
    pub value: Value,
    /// Places with concurrent values, in the order of their paths, at most [`CONFLICTS_SHOWN_MAX`]. A write to such a place resolves it.
    pub conflicts: Vec<Conflict>,
    /// Conflicts beyond those shown.
    pub conflicts_omitted: usize,
}

/// One place that replicas wrote to at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// The values that are not shown in the body, which has the winner.
    pub lost: Vec<Value>,
}

/// Conflicts listed in one answer.
pub const CONFLICTS_SHOWN_MAX: usize = 64;

impl Default for Body {
    fn default() -> Self {
        Self { value: Value::Object(serde_json::Map::new()), conflicts: Vec::new(), conflicts_omitted: 0 }
    }
}

/// What is stored at and below one place.
#[derive(Debug, Default)]
struct Place {
    /// The winner first.
    values: Vec<Scalar>,
    /// The sum of a counter's cells; wide enough for any number of them.
    counted: Option<i128>,
    below: BTreeMap<String, Self>,
}

pub(crate) fn body(doc: &Automerge, maps: &Maps) -> Body {
    let mut root = Place::default();
    for item in doc.map_range(&maps.values, ..) {
        let Some(place) = root.at(&item.key) else { continue };
        // All values are in the order of their operations; the last wins.
        let values = doc.get_all(&maps.values, item.key.as_ref()).unwrap_or_default();
        place.values = values.iter().rev().filter_map(|(value, _)| scalar(value)).collect();
    }
    for (pointer, counted) in cells(doc, maps) {
        if let Some(place) = root.at(&pointer) {
            *place.counted.get_or_insert(0) += i128::from(counted);
        }
    }
    let mut body = Body::default();
    body.value = root.show(&mut String::new(), &mut body.conflicts).unwrap_or(body.value);
    body.conflicts_omitted = body.conflicts.len().saturating_sub(CONFLICTS_SHOWN_MAX);
    body.conflicts.truncate(CONFLICTS_SHOWN_MAX);
    body
}

pub(crate) fn body_bytes(doc: &Automerge, maps: &Maps) -> usize {
    let mut bytes = 0;
    for map in [&maps.values, &maps.cells] {
        for item in doc.map_range(map, ..) {
            let size = scalar(&item.value.into_value()).map_or(0, |value| value.size());
            bytes += item.key.len() + size;
        }
    }
    bytes
}

impl Place {
    /// The place at `pointer` below this one; `None` when a foreign change stored something under a key that is no pointer.
    fn at(&mut self, pointer: &str) -> Option<&mut Self> {
        let path = from_pointer(pointer).ok()?;
        Some(path.into_iter().fold(self, |place, component| place.below.entry(component).or_default()))
    }

    /// The JSON of this place and everything below, which is at most [`crate::limits::PATH_DEPTH_MAX`] deep. A subtree is shown before a value,
    /// a value before a counter that is no part of it.
    fn show(self, pointer: &mut String, conflicts: &mut Vec<Conflict>) -> Option<Value> {
        let Self { values, counted, below } = self;
        let mut shown: Vec<Value> = match (values.split_first(), counted) {
            (Some((Scalar::Int(base), others)), Some(sum)) => {
                std::iter::once(number(i128::from(*base) + sum)).chain(others.iter().map(Scalar::to_json)).collect()
            }
            (_, sum) => values.iter().map(Scalar::to_json).chain(sum.map(number)).collect(),
        };
        if !below.is_empty() {
            let at = conflicts.len();
            let mut object = serde_json::Map::new();
            for (component, place) in below {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&component.replace('~', "~0").replace('/', "~1"));
                if let Some(value) = place.show(pointer, conflicts) {
                    object.insert(component, value);
                }
                pointer.truncate(length);
            }
            if !shown.is_empty() {
                conflicts.insert(at, Conflict { pointer: pointer.clone(), lost: shown });
            }
            return Some(Value::Object(object));
        }
        let lost = shown.split_off(shown.len().min(1));
        if !lost.is_empty() {
            conflicts.push(Conflict { pointer: pointer.clone(), lost });
        }
        shown.pop()
    }
}

/// Every counter's cells as (pointer, count).
fn cells(doc: &Automerge, maps: &Maps) -> Vec<(String, i64)> {
    doc.keys(&maps.cells).filter_map(|key| cell(doc, maps, &key)).collect()
}

fn cell(doc: &Automerge, maps: &Maps, key: &str) -> Option<(String, i64)> {
    let (_, pointer) = key.split_at_checked(CELL_ID_LENGTH)?;
    let Ok(Some((EngineValue::Scalar(value), _))) = doc.get(&maps.cells, key) else {
        return None;
    };
    let ScalarValue::Int(counted) = value.as_ref() else {
        return None;
    };
    Some((pointer.to_owned(), *counted))
}

/// A sum that leaves 64 bits is shown as the nearest number that JSON readers take.
fn number(sum: i128) -> Value {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX }).into()
}

/// `None` for types that a session does not store, which the scan of foreign changes keeps out.
fn scalar(value: &EngineValue<'_>) -> Option<Scalar> {
    let EngineValue::Scalar(value) = value else {
        return None;
    };
    match value.as_ref() {
        ScalarValue::Null => Some(Scalar::Null),
        ScalarValue::Boolean(value) => Some(Scalar::Bool(*value)),
        ScalarValue::Int(value) => Some(Scalar::Int(*value)),
        ScalarValue::F64(value) => Some(Scalar::Float(*value)),
        ScalarValue::Str(text) => Some(Scalar::Text(text.to_string())),
        ScalarValue::Bytes(bytes) => Some(Scalar::Bytes(bytes.clone())),
        ScalarValue::Uint(_) | ScalarValue::Counter(_) | ScalarValue::Timestamp(_) | ScalarValue::Unknown { .. } => {
            None
        }
    }
}
